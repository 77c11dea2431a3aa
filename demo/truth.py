"""The truth beside the platform: plain Python over all events, no measures, no sketches, no Spark.

Slow and simple on purpose: every question reads every event it concerns.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

__all__ = ["Answer", "Truth", "quantile_rank_range", "time_of"]

Event = Mapping[str, Any]
Where = Callable[[Event], bool]


def time_of(event: Event) -> datetime:
    """When an event happened, with its zone."""
    return datetime.fromisoformat(event["event_time"])


class Answer:
    """The events that a question is about, and what is exactly true of them. Nulls count in no measure."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def values(self, column: str | Callable[[Event], Any]) -> list[Any]:
        """A column's values, or those of a function of an event, without nulls."""
        of = column if callable(column) else (lambda event: event.get(column))
        return [value for event in self.events if (value := of(event)) is not None]

    @property
    def count(self) -> int:
        """How many events."""
        return len(self.events)

    def total(self, column: str | Callable[[Event], Any]) -> Any:
        """The sum, None over nothing, as in SQL."""
        values = self.values(column)
        return sum(values) if values else None

    def least(self, column: str | Callable[[Event], Any]) -> Any:
        return min(self.values(column), default=None)

    def greatest(self, column: str | Callable[[Event], Any]) -> Any:
        return max(self.values(column), default=None)

    def distinct(self, column: str | Callable[[Event], Any]) -> set[Any]:
        return set(self.values(column))

    def sorted(self, column: str | Callable[[Event], Any]) -> list[Any]:
        return sorted(self.values(column))

    def top(self, column: str | Callable[[Event], Any], n: int) -> list[tuple[Any, int]]:
        """The n most frequent values with their counts; equally frequent ones in order of value."""
        counts = Counter(self.values(column))
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]

    def buckets(self, every: int) -> "dict[int, Answer]":
        """This answer by buckets of `every` seconds since 1970; buckets without events are absent."""
        parts: dict[int, list[Event]] = {}
        for event in self.events:
            start = int(time_of(event).timestamp() // every) * every
            parts.setdefault(start, []).append(event)
        return {start: Answer(events) for start, events in sorted(parts.items())}


class Truth:
    """All events once: of those that carry one `event_id`, the first counts."""

    def __init__(self, events: Iterable[Event]) -> None:
        first: dict[str, Event] = {}
        for event in events:
            first.setdefault(event["event_id"], event)
        self.events = tuple(first.values())

    def answer(
        self,
        key: Mapping[str, Any] | None = None,
        where: Where | None = None,
        frm: datetime | None = None,
        to: datetime | None = None,
    ) -> Answer:
        """The events with these values (None: null) where `where` holds, from `frm` on and before `to`."""
        return Answer(
            [
                event
                for event in self.events
                if all(event.get(name) == value for name, value in (key or {}).items())
                and (where is None or where(event))
                and (frm is None or time_of(event) >= frm)
                and (to is None or time_of(event) < to)
            ]
        )


def quantile_rank_range(ordered: Sequence[Any], value: Any) -> tuple[float, float]:
    """The shares of sorted values below `value`, and at or below it: its lowest and highest true rank.

    An estimate of quantile q is right within `error` if q lies in the range widened by `error` at both ends.
    """
    return bisect_left(ordered, value) / len(ordered), bisect_right(ordered, value) / len(ordered)
