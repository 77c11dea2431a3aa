"""JSON schemas of what the API answers, for its OpenAPI document. A test holds real answers against them."""

from collections.abc import Mapping
from typing import Any

__all__ = ["SCHEMAS", "reference"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TRUTH: Schema = {"type": "boolean"}
_WHOLE: Schema = {"type": "integer"}
_OFFSETS: Schema = {"type": "object", "additionalProperties": _WHOLE}
_ANYTHING: Schema = {"type": "object"}


def _or_null(schema: Mapping[str, Any]) -> Schema:
    return {"anyOf": [dict(schema), {"type": "null"}]}


def _list(schema: Mapping[str, Any]) -> Schema:
    return {"type": "array", "items": dict(schema)}


def _record(**properties: Schema) -> Schema:
    """An object that has all of these; more may come with a later release."""
    return {"type": "object", "required": list(properties), "properties": properties}


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_ROW = _record(
    **{"from": _or_null(_TEXT), "to": _or_null(_TEXT)},
    measures=_ANYTHING,
    batch=_or_null(_ANYTHING),
    speed=_or_null(_ANYTHING),
)
# only where a measure still holds what events were before they were corrected
_ROW["properties"]["uncorrected"] = {"type": "object", "additionalProperties": _WHOLE}
_MANIFEST = _record(version=_WHOLE, boundary=_WHOLE, offsets=_OFFSETS, created_at=_TEXT, mode=_TEXT)
_READ = {"keys": _WHOLE, "tiles": _WHOLE, "fields": _WHOLE}
_RESULT = _record(key=_ANYTHING, rows=_list(_ROW))
_RANKED_ROW = _record(**_ROW["properties"], rank=_WHOLE, key=_ANYTHING, certain=_TRUTH)
_RANKED_ROW["required"].remove("uncorrected")
_SEVERAL: Mapping[str, Schema] = {
    "view": _TEXT, "from": _or_null(_TEXT), "to": _or_null(_TEXT), "every": _or_null(_TEXT), "zone": _TEXT,
    "manifest": _or_null(_MANIFEST), "generation": _or_null(_TEXT), "as_of": _or_null(_TEXT),
    "complete": _TRUTH, "reasons": _list(_TEXT),
}  # fmt: skip
_STAND = {"end": _or_null(_OFFSETS), "lag_records": _or_null(_WHOLE)}
_VIEW = _record(
    name=_TEXT, source=_TEXT, description=_TEXT, url=_TEXT, where=_or_null(_TEXT), bucket=_TEXT,
    tiles=_list(_TEXT), every=_list(_TEXT), key=_list(_ANYTHING), measures=_list(_ANYTHING),
)  # fmt: skip
_SOURCE_STATUS = _record(
    source=_TEXT, semantics=_TEXT,
    log=_record(topic=_TEXT, ends=_or_null(_OFFSETS), checked_at=_or_null(_TEXT)),
    cuts=_or_null(_WHOLE), archive=_record(**_STAND),
    batch=_or_null(_record(version=_WHOLE, boundary=_WHOLE, **_STAND)),
    speed=_or_null(
        _record(
            generation=_TEXT,
            start_cut=_WHOLE,
            trouble=_or_null(_TEXT),
            rebuild=_or_null(_record(generation=_TEXT, **_STAND)),
            **_STAND,
        )
    ),
    handoff=_or_null(_record(version=_WHOLE, verdict=_TEXT, alarms=_WHOLE)),
    reasons=_list(_TEXT),
)  # fmt: skip
_CHECK = {
    "from": _WHOLE, "number": _WHOLE, "version": _WHOLE, "to": _WHOLE, "at": _TEXT, "possible": _TRUTH,
    "verdict": {"type": "string", "enum": ["equal", "explained", "unknown", "not possible"]},
    "reason": _or_null(_TEXT), "generation": _or_null(_TEXT), "shards": _list(_WHOLE), "of": _WHOLE,
    "records": _WHOLE, "seconds": {"type": "number"}, "alarms": _WHOLE,
}  # fmt: skip
_FINDING = _record(
    view=_TEXT, measure=_TEXT, expected={}, found={}, difference={}, places=_WHOLE, differing=_WHOLE,
    cause=_or_null(
        {"type": "string", "enum": ["duplicate", "identity", "restatement", "out-of-order", "unknown"]}
    ),
    keys=_list(_record(key=_TEXT, segment=_WHOLE, bucket=_WHOLE, expected={}, found={})),
)  # fmt: skip
_PLACE = _record(partition=_WHOLE, offset=_WHOLE, event_id=_TEXT)
_EVENT = _record(
    partition=_WHOLE, offset=_WHOLE, segment=_WHOLE, event_id=_or_null(_TEXT), event_time=_or_null(_TEXT),
    layer={"type": "string", "enum": ["batch", "speed", "archive"]}, why=_or_null(_TEXT), values=_ANYTHING,
    outcome={
        "type": "string",
        "enum": ["counted", "duplicate", "excluded", "quarantined", "corrected", "retraction"],
    },
    corrected_by=_or_null(_PLACE), took_back=_list(_PLACE),
)  # fmt: skip
_VERSION = _record(version=_WHOLE, boundary=_WHOLE, published_at=_TEXT, current=_TRUTH, retained=_TRUTH)
_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457. GET /problems lists every type.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        name: {"type": "integer" if name == "status" else "string"}
        for name in ("type", "title", "status", "detail", "instance", "field")
    },
    "additionalProperties": True,
}

SCHEMAS: Mapping[str, Schema] = {
    "Answer": _record(
        **{"from": _or_null(_TEXT)}, view=_TEXT, key=_ANYTHING, to=_or_null(_TEXT), every=_or_null(_TEXT),
        zone=_TEXT,
        rows={**_list(_ROW), "maxItems": 10_000}, manifest=_or_null(_MANIFEST), generation=_or_null(_TEXT),
        as_of=_or_null(_TEXT), complete=_TRUTH, reasons=_list(_TEXT),
        read=_record(tiles=_WHOLE, fields=_WHOLE),
    ),
    "Explanation": _record(
        **{"from": _or_null(_TEXT)}, view=_TEXT, key=_ANYTHING, to=_or_null(_TEXT),
        rows={**_list(_ROW), "maxItems": 10_000}, manifest=_or_null(_MANIFEST), complete=_TRUTH,
        reasons=_list(_TEXT), definition=_ANYTHING,
        layers=_record(batch=_or_null(_ANYTHING), speed=_or_null(_ANYTHING)),
        events=_or_null({**_list(_EVENT), "maxItems": 1000}), cursor=_or_null(_TEXT),
        found=_or_null(_ANYTHING), unlisted=_or_null(_TEXT), not_archived=_list(_ANYTHING),
        archived_from=_or_null(_TEXT),
    ),
    "Queried": _record(**_SEVERAL, results=_list(_RESULT), read=_record(**_READ)),
    "Paged": _record(
        **_SEVERAL, prefix=_ANYTHING, results={**_list(_RESULT), "maxItems": 1000}, cursor=_or_null(_TEXT),
        version_changed=_TRUTH, read=_record(**_READ, unnamed=_WHOLE),
    ),
    "Ranked": _record(
        **_SEVERAL, prefix=_ANYTHING, by=_TEXT, order={"type": "string", "enum": ["most", "least"]},
        rows={**_list(_RANKED_ROW), "maxItems": 1000}, exact=_TRUTH, others=_record(keys=_WHOLE, bound={}),
        read=_record(**_READ, unnamed=_WHOLE),
    ),
    "Catalogue": _record(views=_list(_VIEW), sources=_list(_record(name=_TEXT, topic=_TEXT))),
    "Positions": _record(
        accepted=_WHOLE, topic=_TEXT,
        positions=_list(_record(event_id=_TEXT, partition=_WHOLE, offset=_WHOLE)),
    ),
    "Status": _record(now=_TEXT, views=_list(_TEXT), sources=_list(_SOURCE_STATUS)),
    "Ready": _record(ready=_TRUTH, views=_list(_TEXT), missing=_ANYTHING),
    "Live": _record(alive=_TRUTH),
    "Handoffs": _record(source=_TEXT, handoffs={**_list(_record(**_CHECK)), "maxItems": 100}),
    "Handoff": _record(source=_TEXT, **_CHECK, findings=_list(_FINDING)),
    "Versions": _record(
        sources=_list(
            _record(source=_TEXT, held_back_from=_or_null(_WHOLE), versions=_list(_VERSION))
        )
    ),
    "Moved": _record(
        source=_TEXT, held_back_from=_or_null(_WHOLE),
        pointer=_record(
            number=_WHOLE, version=_WHOLE, boundary=_WHOLE, previous_boundary=_WHOLE, kind=_TEXT, at=_TEXT
        ),
    ),
    "Problem": _PROBLEM,
}  # fmt: skip
