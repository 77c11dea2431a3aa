"""What the OpenAPI document says beyond the routes' own words: parameters, examples, problems."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from core.application import Application
from serving_layer.examples import ANSWER, CATALOGUE
from serving_layer.past_openapi import PAST_PARAMETERS
from serving_layer.schemas import SCHEMAS, reference
from serving_layer.span_openapi import SPAN_PARAMETERS

__all__ = [
    "ASK", "EVENTS", "HANDOFF", "HANDOFFS", "LIST", "LIVE", "METRICS", "READY", "ROLLBACK", "ROLLFORWARD",
    "STATUS", "VERSIONS", "describe",
]  # fmt: skip

_PROBLEM = {
    "type": "/problems#unknown-view",
    "title": "There is no such view",
    "status": 404,
    "detail": "unknown view 'robot_edit'; did you mean 'robot_edits'? There are: ...",
    "instance": "/v1/views/robot_edit",
    "field": "view",
    "value": "robot_edit",
    "allowed": ["robot_edits"],
}
_POSITIONS = {
    "accepted": 1,
    "topic": "wikipedia.edits",
    "positions": [{"event_id": "my-1", "partition": 0, "offset": 4711}],
}
_EVENT = {"event_id": "my-1", "event_time": "2015-09-12T06:00:00Z", "channel": "#en.wikipedia"}


def _json(text: str, schema: str, example: Any) -> dict[str, Any]:
    content = {"schema": reference(schema), "examples": {"example": {"value": example}}}
    return {"description": text, "content": {"application/json": content}}


def _problem(text: str) -> dict[str, Any]:
    content = {
        "schema": reference("Problem"),
        "examples": {"example": {"value": _PROBLEM}},
    }
    return {"description": text, "content": {"application/problem+json": content}}


def _parameter(name: str, where: str, schema: Mapping[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "schema": dict(schema), "description": text, **more}


_TEXT = {"type": "string"}
LIST = {"responses": {"200": _json("Views and sources.", "Catalogue", CATALOGUE)}}
ASK = {
    "parameters": [
        _parameter("view", "path", _TEXT, "Name of a view.", required=True, example="wiki"),
        _parameter(
            "key", "query", {"type": "object", "additionalProperties": _TEXT},
            "One parameter for each part of the view's key, by its name. `part.null=true` asks for the "
            "events in which that part is NULL; an empty value is the empty text.",
            style="form", explode=True, example={},
        ),
        *SPAN_PARAMETERS,
        *PAST_PARAMETERS,
    ],
    "responses": {
        "200": _json("The answer. It may be incomplete, and then says why.", "Answer", ANSWER),
        "400": _problem("A parameter is missing, unknown or wrong."),
        "404": _problem("There is no such view, version or cut."),
        "409": _problem("That moment of the past cannot be asked about: gone, or not archived yet."),
        "503": _problem("The batch view cannot be read."),
    },
}  # fmt: skip
EVENTS = {
    "parameters": [
        _parameter("source", "path", _TEXT, "Name of a source.", required=True, example="wikipedia.edits"),
        _parameter("X-Admin-Key", "header", _TEXT, "The admin key.", required=True),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"type": "object"},
                        {"type": "array", "items": {"type": "object"}, "maxItems": 1000},
                    ]
                },
                "examples": {"event": {"value": _EVENT}, "events": {"value": [_EVENT]}},
            }
        },
    },
    "responses": {
        "202": _json("All events are in the log, at these positions.", "Positions", _POSITIONS),
        "400": _problem("The body is not JSON, or names a field twice."),
        "401": _problem("The admin key is missing or wrong."),
        "404": _problem("There is no such source."),
        "409": _problem("The topic cannot be a log."),
        "413": _problem("The body is too large."),
        "422": _problem("Events break the contract; nothing was written."),
        "503": _problem("Kafka did not confirm; send the same events again."),
    },
}
_CHECK = {
    "number": 12, "version": 12, "from": 40, "to": 50, "at": "2026-01-01T12:00:00+00:00", "possible": True,
    "verdict": "explained", "reason": None, "generation": "9f1c", "shards": [0, 1, 2, 3], "of": 4,
    "records": 300000, "seconds": 21.4, "alarms": 0,
}  # fmt: skip
_FINDINGS = [
    {"view": "robot_edits", "measure": "edits", "expected": 120000, "found": 120000, "difference": 0,
     "places": 8100, "differing": 0, "cause": None, "keys": []},
    {"view": "robot_edits", "measure": "edits", "expected": 119999, "found": 120000, "difference": 1,
     "places": 1, "differing": 1, "cause": "duplicate",
     "keys": [{"key": "3:#en", "segment": 44, "bucket": 1442016000, "expected": None, "found": None}]},
]  # fmt: skip
_OF_SOURCE = _parameter("source", "query", _TEXT, "Name of a source; may be left out where there is one.")
HANDOFFS = {
    "parameters": [
        _OF_SOURCE,
        _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 100}, "How many, at most."),
    ],
    "responses": {
        "200": _json("Checks, without their findings.", "Handoffs", {"source": "wiki", "handoffs": [_CHECK]}),
        "400": _problem("A parameter is unknown, or given twice."),
        "404": _problem("There is no such source."),
        "422": _problem("A value is not a whole number that is allowed."),
    },
}
HANDOFF = {
    "parameters": [
        _parameter("version", "path", {"type": "integer", "minimum": 1}, "A published version.",
                   required=True, example=1),
        _OF_SOURCE,
    ],
    "responses": {
        "200": _json("The check.", "Handoff", {"source": "wiki", **_CHECK, "findings": _FINDINGS}),
        "400": _problem("A parameter is unknown, or given twice."),
        "404": _problem("There is no such source, or nothing was checked under that number."),
        "422": _problem("A value is not a whole number that is allowed."),
    },
}  # fmt: skip
_LISTED = {
    "version": 3, "boundary": 12, "published_at": "2026-01-01T12:00:00Z", "current": True, "retained": True,
    "created_at": "2026-01-01T12:00:00Z", "mode": "full", "semantics": "9b1d", "losses": [],
    "offsets": {"0": 18213, "1": 17990}, "counts": {"read": 36203, "counted": 36201},
}  # fmt: skip
_MOVED = {
    "source": "wikipedia.edits", "held_back_from": 4,
    "pointer": {"number": 5, "version": 3, "boundary": 12, "previous_boundary": 15, "kind": "rollback",
                "at": "2026-01-01T12:30:00Z"},
}  # fmt: skip
_VERSION: dict[str, Any] = {
    "type": "object",
    "properties": {"version": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}


def _move(text: str, schema: Mapping[str, Any], required: bool) -> dict[str, Any]:
    content = {"schema": dict(schema), "examples": {"version": {"value": {"version": 3}}}}
    return {
        "parameters": [
            _parameter(
                "source", "path", _TEXT, "Name of a source.", required=True, example="wikipedia.edits"
            ),
            _parameter("X-Admin-Key", "header", _TEXT, "The admin key.", required=True),
        ],
        "requestBody": {"required": required, "content": {"application/json": content}},
        "responses": {
            "200": _json(text, "Moved", _MOVED),
            "400": _problem("The body names no version."),
            "401": _problem("The admin key is missing or wrong."),
            "404": _problem("There is no such source, or no such version."),
            "409": _problem("Readers cannot be moved to that version; the problem names those they can."),
            "413": _problem("The body is too large."),
        },
    }


VERSIONS = {
    "responses": {
        "200": _json(
            "Versions of each source, newest first. `held_back_from` is the newest published version while "
            "readers are rolled back from it.",
            "Versions",
            {"sources": [{"source": "wikipedia.edits", "held_back_from": None, "versions": [_LISTED]}]},
        )
    }
}
ROLLBACK = _move("Readers use that version.", _VERSION | {"required": ["version"]}, required=True)
ROLLFORWARD = _move("Readers use that version, or the newest.", _VERSION, required=False)
STATUS = {
    "responses": {
        "200": _json("Where every process stands.", "Status", {"now": "...", "views": [], "sources": []})
    }
}
READY = {
    "responses": {
        "200": _json("What is missing, if anything.", "Ready", {"ready": True, "views": [], "missing": {}})
    }
}
LIVE = {"responses": {"200": _json("Yes.", "Live", {"alive": True})}}
METRICS = {
    "responses": {"200": {"description": "Prometheus text.", "content": {"text/plain": {"schema": _TEXT}}}}
}


def describe(app: FastAPI, application: Application) -> None:
    """Let the app's OpenAPI document name the views and sources there are."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, application)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI, application: Application) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    made.setdefault("components", {}).setdefault("schemas", {}).update(SCHEMAS)
    views = {name: view for bound in application.sources.values() for name, view in bound.views.items()}
    named = {
        "view": {"type": "string", "enum": list(views)},
        "key": _key_schema(part for view in views.values() for part in view.key),
    }
    for path, operations in made["paths"].items():
        asked = [
            p for o in operations.values() for p in o.get("parameters", ()) if path.startswith("/v1/views/")
        ]
        for parameter in asked:
            parameter["schema"] = named.get(parameter["name"], parameter["schema"])
    for path in ("/v1/handoffs", "/v1/handoffs/{version}"):
        asked = made["paths"][path]["get"]["parameters"]
        named = next(parameter for parameter in asked if parameter["name"] == "source")
        named["schema"] = {"type": "string", "enum": list(application.sources)}
    send = made["paths"]["/v1/events/{source}"]["post"]["parameters"]
    send[0]["schema"] = {"type": "string", "enum": list(application.sources)}
    for move in ("rollback", "rollforward"):
        moved = made["paths"][f"/v1/versions/{{source}}/{move}"]["post"]["parameters"]
        moved[0]["schema"] = send[0]["schema"]
    return made


def _key_schema(parts: Iterable[str]) -> dict[str, Any]:
    """Every part that some view has; which of them a view takes, only the view knows."""
    null = {"type": "string", "enum": ["true", "false"]}
    names = sorted(set(parts))
    properties = {name: _TEXT for name in names} | {f"{name}.null": null for name in names}
    return {"type": "object", "properties": properties, "additionalProperties": False}
