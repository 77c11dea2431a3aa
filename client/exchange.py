"""Requests as values, and what their responses mean: shared by both clients, and free of any connection."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from client.decoding import decode, parse
from client.errors import NotUnderstood, ProblemError
from client.explanations import Explanation
from client.models import Answer, Catalogue, Positions
from client.questions import Part, Question
from client.several import Paged, Queried, Ranking

__all__ = [
    "Call", "asking", "asking_many", "explaining", "listing", "paging", "problem_in", "ranking", "sending",
]  # fmt: skip

_JSON = {"Content-Type": "application/json"}
Model = TypeVar("Model")


@dataclass(frozen=True)
class Call(Generic[Model]):
    """One request, and how its answer is read. All of them may be repeated."""

    method: str
    path: str
    read: Callable[[str], Model]
    parameters: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        """The arguments of `httpx.Client.request`."""
        return {
            "method": self.method,
            "url": self.path,
            "params": list(self.parameters),
            "content": self.content,
            "headers": dict(self.headers),
        }

    def result(self, response: httpx.Response) -> Model:
        """Raises `ProblemError` or `NotUnderstood`."""
        if not response.is_success:
            raise problem_in(response)
        return self.read(response.text)


def listing() -> Call[Catalogue]:
    return Call("GET", "/v1/views", lambda text: decode(Catalogue, text))


def asking(question: Question) -> Call[Answer]:
    return Call("GET", question.path, lambda text: decode(Answer, text), question.parameters)


def asking_many(
    question: Question, keys: Sequence[Mapping[str, Part]], measures: Sequence[str] | None
) -> Call[Queried]:
    body = {
        "keys": list(keys),
        **({"measures": list(measures)} if measures else {}),
        **dict(question.parameters),
    }
    return Call(
        "POST", f"{question.path}/query", lambda text: decode(Queried, text),
        content=json.dumps(body).encode(), headers=_JSON,
    )  # fmt: skip


def paging(question: Question, limit: int, cursor: str | None) -> Call[Paged]:
    more = (("limit", str(limit)), *((("cursor", cursor),) if cursor else ()))
    return Call(
        "GET", f"{question.path}/keys", lambda text: decode(Paged, text), (*question.parameters, *more)
    )


def ranking(question: Question, by: str, n: int, order: str) -> Call[Ranking]:
    more = (("by", by), ("n", str(n)), *((("order", order),) if order != "most" else ()))
    return Call(
        "GET", f"{question.path}/top", lambda text: decode(Ranking, text), (*question.parameters, *more)
    )


def explaining(
    question: Question, limit: int, cursor: str | None, admin_key: str | None
) -> Call[Explanation]:
    more = (("limit", str(limit)), *((("cursor", cursor),) if cursor else ()))
    return Call(
        "GET", f"{question.path}/explain", lambda text: decode(Explanation, text),
        (*question.parameters, *more), headers=_admitted(admin_key),
    )  # fmt: skip


def _admitted(admin_key: str | None) -> Mapping[str, str]:
    return {"X-Admin-Key": admin_key} if admin_key else {}


def sending(source: str, events: Sequence[Mapping[str, Any]], admin_key: str | None) -> Call[Positions]:
    headers = {**_JSON, **_admitted(admin_key)}
    return Call(
        "POST", f"/v1/events/{quote(source, safe='')}", lambda text: decode(Positions, text),
        content=json.dumps(list(events)).encode(), headers=headers,
    )  # fmt: skip


def problem_in(response: httpx.Response) -> ProblemError | NotUnderstood:
    """The problem that a response is about."""
    kind = response.headers.get("content-type", "nothing")
    if not kind.startswith("application/problem+json"):
        return NotUnderstood(
            f"{response.request.url} answered {response.status_code} with {kind}: is it this platform's API?"
        )
    return ProblemError.of(parse(response.content))
