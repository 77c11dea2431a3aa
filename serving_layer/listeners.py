"""Listeners of one question. Each gets the newest answer once it can take it, never a queue of older ones."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from serving_layer.interests import Interest
from serving_layer.rendering import to_json

__all__ = ["Event", "Group", "Listener", "answer_event", "problem_event"]

_RETRY = b"retry: 1000\n\n"
_NOTHING_NEW = b": nothing new\n\n"
_PIECE = 32 << 10  # bytes handed over at once: what a slow listener makes us hold beside the event itself
_MOVES_ON = ("as_of", "read")

Given = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Event:
    """What is sent, rendered once for all. Events that say the same have the same `id`."""

    id: str
    text: bytes


def answer_event(answer: Mapping[str, Any]) -> Event:
    """An answer is another one if it says anything else, apart from as of when and of how many fields."""
    said = {name: value for name, value in answer.items() if name not in _MOVES_ON}
    raw = to_json(said)
    return _event("answer", to_json(_settled(said)) if b'"rank_error"' in raw else raw, to_json(answer))


def problem_event(document: bytes) -> Event:
    """A question that cannot be answered any more, or not now: its problem document."""
    return _event("problem", document, document)


def _event(name: str, said: bytes, data: bytes) -> Event:
    identity = blake2b(said, digest_size=12).hexdigest()
    return Event(identity, b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), identity.encode(), data))


def _settled(value: Any) -> Any:
    """Quantiles without their values: merged once more, a KLL sketch shows others within its bounds."""
    if isinstance(value, Mapping):
        left_out = ("rank_error", "quantiles") if "rank_error" in value else ()
        return {name: _settled(inner) for name, inner in value.items() if name not in left_out}
    return list(map(_settled, value)) if isinstance(value, list | tuple) else value


class Group:
    """Everybody who listens to one question: view `view` with the parameters `given`."""

    def __init__(self, source: str, view: str, given: Given, interest: Interest) -> None:
        self.source, self.view, self.given, self.interest = source, view, given, interest
        self.slides = any(name == "last" for name, _ in given)  # whether its range moves with the time
        self.listeners: set[Listener] = set()
        self.event: Event | None = None
        self.as_of: str | None = None
        self.looked_at = False
        self.asking = asyncio.Lock()  # answers are put in the order in which they were read

    @property
    def path(self) -> str:
        return f"/v1/views/{self.view}/live"

    def put(self, event: Event) -> bool:
        """Whether it says something new, and listeners were woken."""
        if self.event is not None and event.id == self.event.id:
            return False
        self.event = event
        for listener in self.listeners:
            listener.wake()
        return True

    def beat(self) -> bytes:
        """Shows that the connection lives, and up to when the answer told last still holds."""
        if self.as_of is None or self.event is None:
            return _NOTHING_NEW
        return b"event: progress\ndata: %b\n\n" % to_json({"id": self.event.id, "as_of": self.as_of})


class Listener:
    """One connection. `last` is the id of the event that it has already."""

    def __init__(self, group: Group, last: str | None) -> None:
        self.group, self._last = group, last
        self._beats = self._ended = False
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    def beat(self) -> None:
        self._beats = True
        self._woken.set()

    def end(self) -> None:
        self._ended = True
        self._woken.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The stream, until it is ended from here."""
        yield _RETRY
        while not self._ended:
            text = self._next()
            if text is None:
                self._woken.clear()
                await self._woken.wait()
                continue
            for piece in _cut(text):
                yield piece

    def _next(self) -> bytes | None:
        event = self.group.event
        if event is not None and event.id != self._last:
            self._last = event.id
            return event.text
        if self._beats:
            self._beats = False
            return self.group.beat()
        return None


def _cut(text: bytes) -> Iterator[bytes]:
    return (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
