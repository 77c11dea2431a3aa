"""What goes wrong with Redis inside a task, told apart so that the driver knows what to do.

A task can only fail with a text; the driver finds the error's name in it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, RedisError, TryAgainError
from redis.exceptions import TimeoutError as Unanswered

from core.errors import LambdaError, StateLost

__all__ = [
    "RedisAway",
    "RedisFull",
    "SpeedJobRuns",
    "StartOver",
    "Superseded",
    "TaskFailed",
    "naming",
    "of_text",
]

_TOLD = re.compile(r"\b(Superseded|StateLost|RedisFull|RedisAway): ([^\n]*)")
_LOST, _FENCED = "STATELOST", "FENCED"
_AWAY = (Unreachable, Unanswered, ReadOnlyError, MasterDownError, TryAgainError)


class RedisAway(LambdaError):
    """Redis cannot be reached, or cannot serve now: the same micro-batch is tried again."""


class RedisFull(LambdaError):
    """Redis has reached its maxmemory: the same micro-batch is tried again."""


class TaskFailed(LambdaError):
    """A task failed for no reason that we know, such as a worker process that was killed."""


class StartOver(LambdaError):
    """This generation cannot go on; the text says why. A new one begins."""


class Superseded(LambdaError):
    """Another speed job has taken the state over: this one must not write any more."""


class SpeedJobRuns(LambdaError):
    """Another speed job of this source lives. Keeps the source and the generation that it writes."""

    def __init__(self, source: str, generation: str) -> None:
        super().__init__(
            f"another speed job of {source} runs: it renews the lease of generation {generation} in Redis; "
            "stop it, or set LAMBDA_NAMESPACE to another name for this one"
        )
        self.source, self.generation = source, generation


_BY_NAME: dict[str, type[LambdaError]] = {
    kind.__name__: kind for kind in (Superseded, StateLost, RedisFull, RedisAway)
}


@contextmanager
def naming() -> Iterator[None]:
    """Errors of Redis become `RedisAway`, `RedisFull`, `StateLost` or `Superseded`."""
    try:
        yield
    except RedisError as error:
        kind = _kind(error)
        if kind is None:
            raise
        raise kind(" ".join(str(error).split()) or type(error).__name__) from error


def _kind(error: RedisError) -> type[LambdaError] | None:
    if _FENCED in str(error):
        return Superseded
    if _LOST in str(error):
        return StateLost
    if isinstance(error, OutOfMemoryError) or "OOM command not allowed" in str(error):
        return RedisFull
    return RedisAway if isinstance(error, _AWAY) else None


def of_text(text: str) -> LambdaError | None:
    """The fault that failed tasks told of, if it was one of ours; the gravest of several."""
    found = dict(_TOLD.findall(text))
    return next((kind(found[name]) for name, kind in _BY_NAME.items() if name in found), None)
