"""What the OpenAPI document says of questions about several keys."""

from typing import Any

from serving_layer.openapi import ASK
from serving_layer.queries import MAX_KEYS
from serving_layer.schemas import reference

__all__ = ["PAGE", "QUERY", "TOP"]

_ASKED: Any = ASK["parameters"]
_RANGE = ("from", "to", "last", "every", "zone")
_VIEW = next(parameter for parameter in _ASKED if parameter["name"] == "view")
_PREFIX = {
    **next(parameter for parameter in _ASKED if parameter["name"] == "key"),
    "description": "The first parts of the key, in order, as in `GET /v1/views/{view}`; those left out may "
    "be anything. Without any: every key of the view.",
}
_SPAN = [parameter for parameter in _ASKED if parameter["name"] in _RANGE]
_PAST = [parameter for parameter in _ASKED if parameter["name"] in ("version", "as_of_cut", "as_of_offsets")]
_STANDING = {
    "manifest": {
        "version": 2, "boundary": 7, "offsets": {"0": 9731, "1": 9902}, "created_at": "...", "mode": "full"
    },
    "generation": "9f1c",
    "as_of": "2026-01-01T12:00:00.4Z",
    "complete": True,
    "reasons": [],
}  # fmt: skip
_DAY = {"from": "2015-09-12T00:00:00Z", "to": "2015-09-13T00:00:00Z", "every": None, "zone": "UTC"}


def _row(edits: int, batch: int) -> dict[str, Any]:
    of = {"measures": {"edits": edits}, "batch": {"edits": batch}, "speed": {"edits": edits - batch}}
    return {"from": _DAY["from"], "to": _DAY["to"], **of}


_ENGLISH, _GERMAN = {"channel": "#en.wikipedia"}, {"channel": "#de.wikipedia"}
_BODY = {"keys": [_ENGLISH, _GERMAN], "from": "2015-09-12", "to": "2015-09-13", "measures": ["edits"]}
_RESULTS = [{"key": _ENGLISH, "rows": [_row(12, 10)]}, {"key": _GERMAN, "rows": [_row(0, 0)]}]
_QUERIED = {
    "view": "robot_edits", **_DAY, "results": _RESULTS, **_STANDING,
    "read": {"keys": 2, "tiles": 1, "fields": 2},
}  # fmt: skip
_PAGED = {
    "view": "robot_edits", "prefix": {}, **_DAY, "results": _RESULTS[:1], "cursor": "AQAAAAA...",
    "version_changed": False, **_STANDING, "read": {"keys": 1, "tiles": 1, "fields": 2, "unnamed": 0},
}  # fmt: skip
_RANKED = {
    "view": "robot_edits", "prefix": {}, **_DAY, "by": "edits", "order": "most",
    "rows": [{"rank": 1, "key": _ENGLISH, "certain": True, **_row(12, 10)}], "exact": True,
    "others": {"keys": 50, "bound": 9}, **_STANDING,
    "read": {"keys": 51, "tiles": 49, "fields": 11, "unnamed": 0},
}  # fmt: skip


def _own(name: str, schema: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": text, **more}


def _responses(schema: str, example: dict[str, Any], **more: str) -> dict[str, Any]:
    problems = {
        "400": "A parameter is missing, unknown or wrong, or there are too many keys.",
        "404": "There is no such view, version or cut.",
        "409": "That moment of the past cannot be asked about: gone, or not archived yet.",
        "503": "The batch view cannot be read, or the speed state has more new keys than are listed.",
        **more,
    }
    content = {"application/json": {"schema": reference(schema), "examples": {"example": {"value": example}}}}
    return {
        "200": {"description": "The answer. It may be incomplete, and then says why.", "content": content},
        **{
            status: {
                "description": text,
                "content": {"application/problem+json": {"schema": reference("Problem")}},
            }
            for status, text in problems.items()
        },
    }


_MEMBERS: dict[str, Any] = {
    "keys": {
        "type": "array", "minItems": 1, "maxItems": MAX_KEYS,
        "items": {"type": "object"},
        "description": "Every part of each key by its name; null for events without one.",
    },
    "measures": {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "Or all."},
    **{each["name"]: {**each["schema"], "description": each["description"]} for each in _SPAN},
}  # fmt: skip
_QUERY_BODY = {"type": "object", "required": ["keys"], "properties": _MEMBERS, "additionalProperties": False}
QUERY = {
    "parameters": [_VIEW, *_PAST],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _QUERY_BODY, "examples": {"query": {"value": _BODY}}}},
    },
    "responses": _responses("Queried", _QUERIED, **{"413": "The body is too large."}),
}
PAGE = {
    "parameters": [
        _VIEW, _PREFIX, *_SPAN, *_PAST,
        _own("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "Keys of a page."),
        _own(
            "cursor", {"type": "string"}, "What the page before answered; nothing else may change.",
            examples={"first page": {"summary": "left out"}},
        ),
    ],
    "responses": _responses("Paged", _PAGED),
}  # fmt: skip
TOP = {
    "parameters": [
        _VIEW, _PREFIX, *(parameter for parameter in _SPAN if parameter["name"] != "every"), *_PAST,
        _own(
            "by", {"type": "string"},
            "A measure, or of quantiles a figure: `size.0.9`, `size.count`, `size.min`, `size.max`.",
            required=True, example="edits",
        ),
        _own("n", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}, "How many keys."),
        _own("order", {"type": "string", "enum": ["most", "least"], "default": "most"}, "Which come first."),
    ],
    "responses": _responses("Ranked", _RANKED),
}  # fmt: skip
