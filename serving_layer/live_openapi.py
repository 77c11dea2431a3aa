"""What the OpenAPI document says of live answers."""

from collections.abc import Mapping
from typing import Any

from serving_layer.openapi import ASK
from serving_layer.past import PARAMETERS
from serving_layer.schemas import reference

__all__ = ["LISTEN"]

_EXAMPLE = """retry: 1000

event: answer
id: 5f0c1d7a9b3e44c2a1d00f37
data: {"view": "robot_edits", "key": {"channel": "#en.wikipedia"}, "...": "..."}

event: progress
data: {"id": "5f0c1d7a9b3e44c2a1d00f37", "as_of": "2026-01-01T12:00:15.4Z"}

: nothing new
"""
_LAST: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "Id of the event that was received last: an answer that says the same is not sent again.",
}
_EVENTS: dict[str, Any] = {
    "description": "Server-sent events until the client goes or the process stops. `answer`: an answer as "
    "`GET /v1/views/{view}` gives it. `progress`: the answer with that id still holds at `as_of`. `problem`: "
    "a problem document; the next answer says that it is over.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "itemSchema": {
                "type": "object",
                "properties": {
                    "event": {"type": "string", "enum": ["answer", "progress", "problem"]},
                    "id": {"type": "string"},
                    "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": {"anyOf": [reference("Answer"), reference("Problem")]},
                    },
                },
            },
            "examples": {"example": {"value": _EXAMPLE}},
        }
    },
}
_SAME: Mapping[str, Any] = ASK
LISTEN: dict[str, Any] = {
    "parameters": [*(dict(each) for each in _SAME["parameters"] if each["name"] not in PARAMETERS), _LAST],
    "responses": {**_SAME["responses"], "200": _EVENTS},
}
