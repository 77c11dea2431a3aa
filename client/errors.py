"""Every error of this client.

ClientError
├── QuestionError        a question that cannot be put into words: a time without a zone
├── Unreachable          nobody answered: connection refused, lost, or too slow
├── NotUnderstood        an answer that is none of the platform's, a proxy's page say
└── ProblemError         the API answered with a problem document
    ├── BadQuestion      a parameter is missing, unknown or wrong (400, 422)
    ├── NotFound         there is no such view, source or version (404)
    ├── NotAdmitted      the admin key is missing or wrong (401)
    ├── Refused          what was asked for cannot be done as things stand (409)
    ├── EventsRefused    events break the contract, or are too many; nothing was written (413, 422)
    └── Unavailable      the platform cannot do it now (503), or failed (500)
"""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "BadQuestion", "ClientError", "EventsRefused", "NotAdmitted", "NotFound", "NotUnderstood", "ProblemError",
    "QuestionError", "Refused", "Unavailable", "Unreachable",
]  # fmt: skip


class ClientError(Exception):
    """Base of all errors below; its text says what is wrong and, where known, the way out."""


class QuestionError(ClientError, ValueError):
    """A question that cannot be put into words."""


class Unreachable(ClientError):
    """Nobody answered at `url`."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"no answer from {url}: {why}")
        self.url = url


class NotUnderstood(ClientError):
    """An answer that is none of the platform's."""


class ProblemError(ClientError):
    """A problem document (RFC 9457). `document` is all of it; what it leaves out is None here."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = dict(document)
        self.kind = str(document.get("type", "about:blank")).rpartition("#")[2]
        self.title: str = document.get("title", "")
        self.status = int(document.get("status", 0))
        self.detail: str = document.get("detail", "")
        self.field: str | None = document.get("field")
        self.value, self.allowed = document.get("value"), document.get("allowed")
        super().__init__(f"{self.title}: {self.detail}")

    @staticmethod
    def of(document: Mapping[str, Any]) -> "ProblemError":
        """As the error that its kind and status mean."""
        status = int(document.get("status", 0))
        if status == 413 or str(document.get("type")).endswith("#events-refused"):
            return EventsRefused(document)
        if status >= 500:
            return Unavailable(document)
        return _BY_STATUS.get(status, BadQuestion)(document)


class BadQuestion(ProblemError):
    """A parameter is missing, unknown or wrong: `field`, `value` and `allowed` say which."""


class NotFound(ProblemError):
    """There is no such thing; `allowed` names what there is."""


class NotAdmitted(ProblemError):
    """The admin key is missing or wrong."""


class Refused(ProblemError):
    """What was asked for cannot be done as things stand."""


class EventsRefused(ProblemError):
    """Nothing was written; `errors` names index, field, value and what is allowed for every fault."""

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        return list(self.document.get("errors", []))


class Unavailable(ProblemError):
    """The platform cannot do it now."""


_BY_STATUS: Mapping[int, type[ProblemError]] = {401: NotAdmitted, 404: NotFound, 409: Refused}
