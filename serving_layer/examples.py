"""Answers as the API document shows them."""

from typing import Any

__all__ = ["ANSWER", "CATALOGUE"]

ANSWER: dict[str, Any] = {
    "view": "robot_edits",
    "key": {"channel": "#en.wikipedia"},
    "from": "2015-09-12T00:00:00Z",
    "to": "2015-09-13T00:00:00Z",
    "every": None,
    "zone": "UTC",
    "rows": [
        {
            "from": "2015-09-12T00:00:00Z",
            "to": "2015-09-13T00:00:00Z",
            "measures": {"edits": 12, "robots": {"estimate": 3.0, "lower": 3.0, "upper": 3.0}, "delta": 245},
            "batch": {"edits": 10, "robots": {"estimate": 3.0, "lower": 3.0, "upper": 3.0}, "delta": 200},
            "speed": {"edits": 2, "robots": {"estimate": 1.0, "lower": 1.0, "upper": 1.0}, "delta": 45},
        }
    ],
    "manifest": {"version": 2, "boundary": 7, "offsets": {"0": 9731, "1": 9902}, "created_at": "..."},
    "generation": "9f1c",
    "as_of": "2026-01-01T12:00:00.4Z",
    "complete": True,
    "reasons": [],
    "read": {"tiles": 1, "fields": 2},
}

CATALOGUE: dict[str, Any] = {
    "views": [
        {
            "name": "robot_edits",
            "source": "wikipedia.edits",
            "description": "Edits by robots, by language.",
            "url": "/v1/views/robot_edits",
            "where": "isRobot",
            "bucket": "1 hour",
            "tiles": ["1 hour", "1 day"],
            "every": ["hour", "day", "week", "month"],
            "key": [
                {
                    "name": "channel", "type": "string", "expression": "channel",
                    "meaning": {"channel": "Which Wikipedia"},
                }
            ],
            "measures": [
                {
                    "name": "edits", "measure": "Count()", "approximate": False,
                    "meaning": "How many events", "columns": {}, "answer": "an integer, exact",
                }
            ],
        }
    ],
    "sources": [
        {
            "name": "wikipedia.edits",
            "topic": "wikipedia.edits",
            "contract": {"name": "wikipedia_edits", "version": 1, "description": "Edits of Wikipedia"},
            "columns": [
                {
                    "name": "channel", "type": "string", "required": True, "personal": False,
                    "allowed": None, "meaning": "Which Wikipedia",
                }
            ],
        }
    ],
}  # fmt: skip
