"""Redis's wire protocol (RESP 2): commands as bytes, and replies from bytes as they arrive.

redis-py's asyncio client awaits each element of a reply; a key with a day of minutes has thousands. This
parser takes what a read from the socket brought in one loop.
"""

from collections.abc import Iterable
from typing import Any

__all__ = ["Replies", "ReplyError", "encode"]

_END = b"\r\n"
_NOTHING: Any = None


class ReplyError(Exception):
    """Redis refused a command; in a reply it stands where the value would."""


def encode(parts: Iterable[str | bytes | int]) -> bytes:
    """One command.

    >>> encode(["GET", "a"])
    b'*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n'
    """
    raw = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"".join([b"*%d\r\n" % len(raw), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in raw)])


class Replies:
    """Feed it bytes; it gives every reply they complete: bytes, integers, lists of them, None, ReplyError."""

    def __init__(self) -> None:
        self._rest = b""
        self._open: list[tuple[list[Any], int]] = []

    def feed(self, data: bytes) -> list[Any]:
        buffer, at, done = self._rest + data if self._rest else data, 0, list[Any]()
        while (line := buffer.find(_END, at)) >= 0:
            kind, value, after = buffer[at], _NOTHING, line + 2
            if kind == 36:  # $
                size = int(buffer[at + 1 : line])
                if size >= 0:
                    after += size + 2
                    if len(buffer) < after:
                        break
                    value = buffer[line + 2 : after - 2]
            elif kind == 42:  # *
                size = int(buffer[at + 1 : line])
                if size > 0:
                    self._open.append(([], size))
                    at = after
                    continue
                value = [] if size == 0 else None
            else:
                value = _simple(kind, buffer[at + 1 : line])
            at = after
            self._place(value, done)
        self._rest = buffer[at:]
        return done

    def _place(self, value: Any, done: list[Any]) -> None:
        """Put a whole value where it belongs; lists that it completes are whole values as well."""
        while self._open:
            items, size = self._open[-1]
            items.append(value)
            if len(items) < size:
                return
            self._open.pop()
            value = items
        done.append(value)


def _simple(kind: int, text: bytes) -> Any:
    if kind == 58:  # :
        return int(text)
    if kind == 43:  # +
        return text
    if kind == 45:  # -
        return ReplyError(text.decode("utf-8", "replace"))
    raise ValueError(f"reply of type {chr(kind)!r} is not RESP 2")
