"""What is true of the events up to a moment, kept for every moment, so that each answer is judged at once."""

from bisect import bisect_left
from datetime import datetime
from typing import NamedTuple

from demo.truth import Event, time_of

__all__ = ["NOTHING", "Facts", "Past"]


class Facts(NamedTuple):
    """Of some events: how many, sums (deltas by their sign), users, pages, first and last time."""

    edits: int = 0
    added: int = 0
    deleted: int = 0
    gained: int = 0
    lost: int = 0
    users: int = 0
    pages: int = 0
    first: datetime | None = None
    last: datetime | None = None


NOTHING = Facts()


class Past:
    """The facts after each event. Events are given once each, in the order of `at` (seconds since 1970)."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._facts: list[Facts] = [NOTHING]
        self._users: set[str] = set()
        self._pages: set[tuple[str, str]] = set()

    def add(self, at: float, event: Event) -> None:
        self._users.add(event["user"])
        self._pages.add((event["channel"], event["page"]))
        self._times.append(at)
        self._facts.append(self._after(self._facts[-1], event))

    def before(self, at: float) -> Facts:
        """Of the events before that moment."""
        return self._facts[bisect_left(self._times, at)]

    def now(self) -> Facts:
        return self._facts[-1]

    def _after(self, facts: Facts, event: Event) -> Facts:
        moment, delta = time_of(event), event["delta"] or 0
        return Facts(
            facts.edits + 1,
            facts.added + (event["added"] or 0),
            facts.deleted + (event["deleted"] or 0),
            facts.gained + max(0, delta),
            facts.lost + min(0, delta),
            len(self._users),
            len(self._pages),
            min(moment, facts.first or moment),
            max(moment, facts.last or moment),
        )
