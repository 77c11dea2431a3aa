"""When something is tried again: only what changes nothing when it happens twice.

Questions do not, and neither do events: each has an `event_id`, and a repetition counts once.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from client.errors import Unreachable
from client.exchange import problem_in

__all__ = ["PATIENCE", "Attempts", "Retries", "may_pass"]

_PASSING = (502, 503, 504)


@dataclass(frozen=True)
class Retries:
    """At most `most` more attempts, after pauses in seconds that double from `first` up to `longest`.

    Half of a pause is up to `chance`, lest all clients come back at one moment.
    """

    most: int = 3
    first: float = 0.2
    longest: float = 5.0
    chance: Callable[[], float] = random.random

    def pause(self, failures: int, asked: float = 0.0) -> float | None:
        """Seconds to wait after so many failures, at least `asked`; None to give up."""
        if failures > self.most or asked > self.longest:
            return None
        wait = min(self.longest, self.first * 2.0 ** (failures - 1))
        return max(wait * (0.5 + self.chance() / 2), asked)


PATIENCE = Retries(most=12, first=0.5, longest=15)  # about two minutes of an API that is away


class Attempts:
    """How often one thing failed in a row at `url`."""

    def __init__(self, url: str, retries: Retries) -> None:
        self._url, self._retries, self._failures = url, retries, 0

    def succeeded(self) -> None:
        self._failures = 0

    def after(self, trouble: httpx.TransportError | httpx.Response) -> float:
        """Seconds to wait before the next attempt; raises what it came to where there is none."""
        self._failures += 1
        response = trouble if isinstance(trouble, httpx.Response) else None
        wait = self._retries.pause(self._failures, _asked_to_wait(response))
        if wait is not None:
            return wait
        if response is not None and not response.is_success:
            raise problem_in(response)
        raise Unreachable(self._url, _why(trouble))


def may_pass(response: httpx.Response) -> bool:
    """Whether the same request may be answered better in a moment."""
    return response.status_code in _PASSING


def _asked_to_wait(response: httpx.Response | None) -> float:
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if value.isdigit() else 0.0


def _why(trouble: httpx.TransportError | httpx.Response) -> str:
    if isinstance(trouble, httpx.Response):
        return "it ends every stream"
    return str(trouble) or type(trouble).__name__
