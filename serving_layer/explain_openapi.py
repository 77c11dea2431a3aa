"""What the OpenAPI document says of explanations."""

from typing import Any

from serving_layer.openapi import ASK
from serving_layer.schemas import reference

__all__ = ["EXPLAIN"]

_ROW = {
    "from": "2015-09-12T06:00:00Z", "to": "2015-09-12T07:00:00Z",
    "measures": {"edits": 2}, "batch": {"edits": 1}, "speed": {"edits": 1},
}  # fmt: skip
_EXAMPLE = {
    "view": "robot_edits", "key": {"channel": "#en.wikipedia"},
    "from": _ROW["from"], "to": _ROW["to"], "every": None, "zone": "UTC", "rows": [_ROW],
    "manifest": {
        "version": 2, "boundary": 7, "offsets": {"0": 9731, "1": 9902}, "created_at": "...", "mode": "full"
    },
    "generation": "9f1c", "as_of": "2026-01-01T12:00:00.4Z", "complete": True, "reasons": [],
    "read": {"tiles": 1, "fields": 1},
    "definition": {
        "view": {"name": "robot_edits", "key": [["channel", "channel"]], "where": "isRobot",
                 "bucket": "1 hour", "measures": [["edits", "Count(expression=None)"]]},
        "source": "wikipedia.edits", "hash": "71b0c5...", "semantics": "02264d6125cd7375",
        "contract": {"name": "wikipedia_edits", "version": "1.0.0", "fingerprint": "7dfb6e..."},
        "dedupe_window": 20, "code": 1,
    },
    "layers": {
        "batch": {
            "version": 2, "boundary": 7, "mode": "full", "semantics": "02264d6125cd7375",
            "archive_version": 4, "created_at": "...",
            "positions": [{"partition": 0, "from": 0, "to": 9731}, {"partition": 1, "from": 0, "to": 9902}],
            "tiles": [{"width": 3600, "bucket": "2015-09-12T06:00:00Z", "measures": {"edits": 1}}],
            "count": 1,
        },
        "speed": {
            "generation": "9f1c", "start_cut": 3, "semantics": "02264d6125cd7375", "from_segment": 7,
            "batch": 812, "positions": [{"partition": 0, "from": 9731, "to": 9744}],
            "fields": [{"segment": 8, "bucket": "2015-09-12T06:00:00Z", "measures": {"edits": 1}}],
            "count": 1,
        },
    },
    "events": [
        {"partition": 0, "offset": 9730, "segment": 6, "layer": "batch", "event_id": "00029ae084e938cf",
         "event_time": "2015-09-12T06:56:53.496Z", "outcome": "counted", "why": None,
         "corrected_by": None, "took_back": [],
         "values": {"channel": "#en.wikipedia", "user": "(personal)", "isRobot": True}},
        {"partition": 0, "offset": 9740, "segment": 8, "layer": "speed", "event_id": "00029ae084e938cf",
         "event_time": "2015-09-12T06:56:53.496Z", "outcome": "duplicate",
         "why": "a copy of 0:9730, which counts", "corrected_by": None, "took_back": [],
         "values": {"channel": "#en.wikipedia"}},
    ],
    "found": {"counted": 2, "duplicate": 1, "excluded": 0, "quarantined": 0},
    "cursor": "0:9740", "unlisted": None, "not_archived": [], "archived_from": None,
}  # fmt: skip


def _parameter(name: str, where: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": where, "schema": schema, "description": text}


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/problem+json": {"schema": reference("Problem")}}}


_RESPONSES: Any = ASK["responses"]
EXPLAIN: dict[str, Any] = {
    "parameters": [
        *ASK["parameters"],
        _parameter(
            "limit", "query", {"type": "integer", "minimum": 0, "maximum": 1000},
            "How many events are listed at most: 50 unless it says more.",
        ),
        _parameter(
            "cursor", "query", {"type": "string", "pattern": "^[0-9]{1,9}:[0-9]{1,18}$"},
            "The `cursor` of the page before: events behind it are listed.",
        ),
        _parameter(
            "X-Admin-Key", "header", {"type": "string"},
            "The admin key, for the values of personal columns; without it they are masked.",
        ),
    ],
    "responses": {
        **_RESPONSES,
        "200": {
            "description": "The answer, what it is made of, and the events behind it.",
            "content": {
                "application/json": {
                    "schema": reference("Explanation"),
                    "examples": {"example": {"value": _EXAMPLE}},
                }
            },
        },
        "401": _problem("The admin key is wrong."),
    },
}  # fmt: skip
