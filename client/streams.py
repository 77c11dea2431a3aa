"""Server-sent events: from bytes to messages, and from messages to what a listener is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from client.decoding import decode, parse
from client.errors import ProblemError
from client.models import Answer, Progress
from client.questions import Question

__all__ = ["Conversation", "Message", "MessageParser"]

SILENCE = 60.0  # seconds without a sign of life: then the connection is made anew


@dataclass(frozen=True)
class Message:
    """One event, or what else a stream says; `retry` is in milliseconds."""

    event: str = ""
    data: str = ""
    id: str | None = None
    retry: int | None = None


class MessageParser:
    """Feed it bytes as they come; it gives every message they complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, list[str]] = {}

    def feed(self, data: bytes) -> Iterator[Message]:
        # not str.splitlines: it also splits at characters that JSON may hold
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r").decode()
            if text:
                self._note(text)
            elif self._fields:
                yield self._message()
                self._fields = {}

    def _note(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name:  # without one it is a comment, a sign of life
            self._fields.setdefault(name, []).append(value.removeprefix(" "))

    def _message(self) -> Message:
        last = {name: values[-1] for name, values in self._fields.items()}
        retry = last.get("retry", "")
        return Message(
            last.get("event", ""), "\n".join(self._fields.get("data", [])), last.get("id"),
            int(retry) if retry.isdigit() else None,
        )  # fmt: skip


class Conversation:
    """What outlives a connection: the question, and the last answer's id."""

    def __init__(self, asked: Question) -> None:
        self._asked, self._last, self._parser = asked, "", MessageParser()
        self.again = 0.0

    def request(self) -> dict[str, Any]:
        """How to connect, the first time or once more: the arguments of `httpx.Client.stream`."""
        self._parser = MessageParser()
        return {
            "method": "GET",
            "url": f"{self._asked.path}/live",
            "params": list(self._asked.parameters),
            "headers": {"Last-Event-ID": self._last} if self._last else {},
            "timeout": SILENCE,
        }

    def take(self, data: bytes) -> Iterator[Answer | Progress]:
        """What received bytes tell. Raises `ProblemError` where they tell of a problem."""
        for message in self._parser.feed(data):
            update = self._update(message)
            if update is not None:
                yield update

    def _update(self, message: Message) -> Answer | Progress | None:
        if message.retry is not None:
            self.again = message.retry / 1000
        if message.event == "problem":
            raise ProblemError.of(parse(message.data))
        if message.event == "progress":
            return decode(Progress, message.data)
        if message.event != "answer":
            return None
        self._last = message.id or ""
        return decode(Answer, message.data)
