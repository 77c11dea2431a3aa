"""What goes wrong with Redis inside a task, told apart so that the driver knows what to do.

A task can only fail with a text; the driver reads the kind back from it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, RedisError, TryAgainError
from redis.exceptions import TimeoutError as Unanswered

from core.errors import LambdaError, StateLost

__all__ = ["RedisAway", "RedisFull", "StartOver", "naming", "of_text"]

_MARK = re.compile(r"\[speed-fault:(\w+)\] ([^\n]*)")
_LOST = "STATELOST"
_AWAY = (Unreachable, Unanswered, ReadOnlyError, MasterDownError, TryAgainError)


class RedisAway(LambdaError):
    """Redis cannot be reached, or cannot serve now: the same micro-batch is tried again."""


class RedisFull(LambdaError):
    """Redis has reached its maxmemory: the same micro-batch is tried again."""


class StartOver(LambdaError):
    """This generation cannot go on; the text says why. A new one begins."""


_KINDS: dict[str, type[LambdaError]] = {"away": RedisAway, "full": RedisFull, "lost": StateLost}


@contextmanager
def naming() -> Iterator[None]:
    """Names errors of Redis `RedisAway`, `RedisFull` or `StateLost`, with a text that outlives a task."""
    try:
        yield
    except RedisError as error:
        kind = _kind(error)
        if kind is None:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        raise _KINDS[kind](f"[speed-fault:{kind}] {text}") from error


def _kind(error: RedisError) -> str | None:
    if _LOST in str(error):
        return "lost"
    if isinstance(error, OutOfMemoryError) or "OOM command not allowed" in str(error):
        return "full"
    return "away" if isinstance(error, _AWAY) else None


def of_text(text: str) -> LambdaError | None:
    """The fault that a failed task told of, if it was one of ours; the gravest of several."""
    found = {kind: what for kind, what in _MARK.findall(text)}
    for kind in ("lost", "full", "away"):
        if kind in found:
            return _KINDS[kind](found[kind])
    return None
