"""Problem documents (RFC 9457): every error of the API, in one shape.

{"type": "/problems#unknown-view", "title": ..., "status": 404, "detail": ...,
 "instance": "/v1/views/edit", "field": "view", "value": "edit", "allowed": [...]}
"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from core.errors import LambdaError
from serving_layer.rendering import to_json

__all__ = ["KINDS", "MEDIA_TYPE", "Problem", "document_of", "problem_response"]

MEDIA_TYPE = "application/problem+json"

KINDS: dict[str, tuple[int, str, str]] = {
    "unknown-view": (404, "There is no such view", "GET /v1/views lists what there is."),
    "unknown-handoff": (
        404,
        "No publish of that version was checked",
        "GET /v1/handoffs lists the newest checks.",
    ),
    "unknown-version": (404, "There is no such version", "The problem names those that are retained."),
    "version-refused": (
        409,
        "Readers cannot be moved to that version",
        "The problem says why, and names the versions that are retained.",
    ),
    "bad-version": (400, "The body names no version", "The problem says what is allowed."),
    "unknown-source": (404, "There is no such source", "The problem names the sources there are."),
    "unknown-parameter": (400, "There is no such parameter", "The problem names the parameters there are."),
    "repeated-parameter": (400, "A parameter is given twice", "Give each parameter once."),
    "missing-key-part": (400, "A part of the key is missing", "Every part of a view's key must be given."),
    "bad-key-part": (400, "A part of the key has the wrong type", "The problem says what is allowed."),
    "bad-time": (400, "A time cannot be understood", "Times are ISO 8601 with a zone, dates, or epoch ms."),
    "bad-range": (
        400,
        "The range of time cannot be answered",
        "from lies before to, on edges of buckets.",
    ),
    "bad-zone": (
        400,
        "There is no such time zone, or it does not fit",
        "zone is a name of the IANA database, such as Europe/Berlin.",
    ),
    "bad-last": (400, "A span of time cannot be understood", "Spans are 30m, 24h, 7d, 2w or ISO 8601."),
    "bad-every": (400, "The step of the series does not fit", "A step is a multiple of the view's bucket."),
    "too-many-rows": (
        400,
        "The series would have too many rows",
        "Ask for coarser steps or less time.",
    ),
    "bad-query": (400, "A query cannot be understood", "The problem names the member and what is allowed."),
    "bad-prefix": (
        400,
        "A part of the prefix is missing",
        "A prefix names the first parts of a key, in order.",
    ),
    "unknown-measure": (400, "There is no such measure", "GET /v1/views lists the measures of each view."),
    "bad-count": (400, "A number is not one that is allowed", "The problem says what is allowed."),
    "bad-cursor": (
        400,
        "A cursor does not fit",
        "Send that of the page before, and change nothing else.",
    ),
    "too-many-keys": (400, "There are too many keys", "Name fewer keys, or more parts of a prefix."),
    "keys-unlisted": (
        503,
        "There are more new keys than are listed",
        "Publish, or name the keys: after a publish the index lists them.",
    ),
    "bad-past": (400, "A moment of the past cannot be understood", "The problem says what is allowed."),
    "version-gone": (409, "That version cannot be asked any more", "The problem names those that can."),
    "unknown-cut": (404, "There is no such cut", "The problem says which there are."),
    "not-archived": (
        409,
        "The master dataset does not reach that far yet",
        "Ask again from available_from on, or for a position that it holds.",
    ),
    "too-many-records": (
        400,
        "Too many records would have to be read",
        "Ask for less time, or a position nearer behind a retained version.",
    ),
    "not-evaluable": (
        409,
        "Only Spark can compute that view",
        "Ask for a retained version with version=N: Spark made it.",
    ),
    "index-unavailable": (
        503,
        "The batch view cannot be read",
        "A file of the index is missing or damaged. Restore it, publish again, or roll back.",
    ),
    "too-many-listeners": (
        503,
        "Nobody else can listen to this process",
        "Connect again after the seconds that Retry-After says, or ask without /live.",
    ),
    "admin-key-needed": (401, "An admin key is needed", "Send the key in the header X-Admin-Key."),
    "bad-json": (400, "The body is not JSON", "Send JSON in UTF-8, each field once."),
    "too-large": (413, "The body is too large", "Send fewer events at once."),
    "events-refused": (
        422,
        "Events break the contract",
        "Nothing was written; the problem names every fault.",
    ),
    "log-unusable": (409, "The topic cannot be a log", "The problem names the reason and the way out."),
    "log-unavailable": (
        503,
        "Kafka did not confirm",
        "Send the same events again: event_id makes a repetition harmless.",
    ),
    "invalid-request": (422, "The request is not valid", "The problem names every fault."),
    "not-found": (404, "There is nothing here", "GET / lists what there is."),
    "method-not-allowed": (405, "The method is not allowed here", "The header Allow names those that are."),
    "http-error": (400, "The request cannot be answered", "The detail says why."),
    "internal-error": (500, "The server failed", "This is a bug: the log of the API has the details."),
}


class Problem(LambdaError):
    """An answer that is a problem document; `extensions` are its further members."""

    def __init__(
        self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: Any
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.extensions = kind, detail, extensions
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return KINDS[self.kind][0]

    @classmethod
    def of_field(cls, kind: str, field: str, value: object, allowed: object, detail: str = "") -> "Problem":
        """A fault of one parameter: what it is called, what it was, what it may be."""
        text = detail or f"{field} is {value!r}; allowed: {allowed}"
        return cls(kind, text, field=field, value=value, allowed=allowed)


def document_of(problem: Problem, path: str, status: int | None = None) -> bytes:
    """The document as JSON; `path` becomes its `instance`."""
    usual, title, _ = KINDS[problem.kind]
    document = {
        "type": f"/problems#{problem.kind}",
        "title": title,
        "status": status or usual,
        "detail": problem.detail,
        "instance": path,
        **problem.extensions,
    }
    return to_json(document)


def problem_response(problem: Problem, path: str, status: int | None = None) -> Response:
    """The document as a response; `path` becomes its `instance`."""
    return Response(document_of(problem, path, status), status or problem.status, problem.headers, MEDIA_TYPE)
