"""What the master dataset adds to a version: the events from its boundary up to a position of the log.

It stands in the speed layer's place, so that the past is asked the same questions as the present.
"""

import asyncio
from asyncio import Semaphore
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.application import BoundSource
from core.cuts import Cut, Offsets
from core.declarations import Declaration
from core.measures import Partial
from core.per_event import PerEvent
from core.periods import Periods
from core.uncorrected import Uncorrected
from core.views import CompiledView
from serving_layer.deriving import applied, derive, history_of
from serving_layer.master_events import MasterEvents, Search
from serving_layer.master_log import MasterFile, Stand
from serving_layer.master_rows import Row
from serving_layer.moments import EARLIEST, LATEST
from serving_layer.past_events import Before, PastEvent, read_records, records_of
from serving_layer.ports import Bucketed, Choose, ReadKeys, Snapshot, SpeedReading, SpeedStore
from serving_layer.problems import Problem

__all__ = ["Between", "PastStore"]

Buckets = Mapping[str, Sequence[Bucketed]]
Placed = Mapping[tuple[str, int], Partial]
Span = tuple[int, int]


@dataclass(frozen=True)
class Between:
    """The master dataset from a version's boundary to before a position, and the cuts that make segments."""

    stand: Stand
    since: Offsets
    until: Offsets
    cuts: Sequence[Cut] = field(repr=False, default=())

    @property
    def records(self) -> int:
        """How many records lie between, at most."""
        files = self.stand.within(self.since, self.until)
        return sum(min(file.rows, self._overlap(file)) for file in files)

    def _overlap(self, file: MasterFile) -> int:
        end = min(file.end, self.until.get(file.partition, 0))
        return end - max(file.first, self.since.get(file.partition, 0))


class PastStore(SpeedStore):
    """Folds events of the master dataset, each id once, as a recompute up to the position would.

    Reading many takes a while, in which every other request is slower: `turn` lets one do so at a time.
    """

    def __init__(
        self, bound: BoundSource, events: MasterEvents, base: Snapshot, between: Between, turn: Semaphore
    ) -> None:
        self._bound, self._events, self._base, self._between = bound, events, base, between
        self._turn = turn
        self._derived: dict[Sequence[Declaration], tuple[list[PastEvent], tuple[str, ...]]] = {}

    async def read(
        self, view: CompiledView, key: str, span: Span, boundary: int, every: Periods | None = None
    ) -> SpeedReading:
        reading, found = await self._read(view, span, frozenset([key]).__contains__, [key])
        return replace(reading, buckets=None if found is None else found.get(key, ()))

    async def read_many(
        self,
        view: CompiledView,
        keys: Sequence[str],
        span: Span,
        boundary: int,
        every: Periods | None = None,
    ) -> ReadKeys:
        reading, found = await self._read(view, span, frozenset(keys).__contains__, keys)
        return reading, None if found is None else {key: found.get(key, ()) for key in keys}

    async def read_listed(
        self,
        view: CompiledView,
        prefix: str,
        span: Span,
        boundary: int,
        choose: Choose,
        every: Periods | None = None,
    ) -> ReadKeys:
        # a key is listed whenever its events were
        reading, held = await self._read(view, (EARLIEST, LATEST), lambda text: text.startswith(prefix))
        chosen = choose(held or ())
        if held is None:
            return reading, None
        return reading, {key: _within(span, held[key]) for key in chosen if key in held}

    async def state(self) -> SpeedReading:
        return SpeedReading(archive=())

    async def _read(
        self, view: CompiledView, span: Span, accepts: Callable[[str], bool], keys: Sequence[str] = ()
    ) -> tuple[SpeedReading, Buckets | None]:
        """No buckets where the version itself reaches the position."""
        if not self._between.records:
            return SpeedReading(archive=()), None
        search = Search(accepts, *span, self._between.since, self._between.until, keys)
        async with self._turn:
            return await asyncio.to_thread(self._fold, view, search)

    def _fold(self, view: CompiledView, search: Search) -> tuple[SpeedReading, Buckets]:
        of, history = applied(self._bound, view), history_of(self._bound, view)
        if not history:
            counted = [row.values for row in self._found(of, search)]
            return SpeedReading(fields=len(counted), archive=()), _by_key(of.fold(counted))
        events, reasons = self._derived_by(history, view)
        mine = [event for event in events if search.takes(of, event.values)]
        counted = [event.values for event in mine if event.counts]
        taken = [event.values for event in mine if event.sign < 0 and of.is_counted(event.values)]
        stuck = _stuck(view, len(taken)) if taken else []
        reading = SpeedReading(fields=len(counted) + len(taken), archive=[*reasons, *stuck])
        return reading, _by_key(_merged(view, of.fold(counted), of.taken(taken)))

    def _found(self, of: PerEvent, search: Search) -> list[Row]:
        """The events of a search, each id once."""
        events, stand = self._events, self._between.stand
        rows = events.find(stand, of, search)
        first = events.first(stand, {events.event_id(row) for row in rows}, search.until, self._between.cuts)
        return [row for row in rows if first[events.event_id(row)] == row.place]

    def _derived_by(
        self, history: Sequence[Declaration], view: CompiledView
    ) -> tuple[list[PastEvent], tuple[str, ...]]:
        """All events between: a question of persons asks for the pairs of ids before it asks its own."""
        place = tuple(history)
        if place not in self._derived:
            between = self._between
            records = read_records(self._events, between.stand, between.since, between.until, between.cuts)
            before = Before.of(self._bound, self._base, self._base.index, self._older)
            self._derived[place] = derive(records.events, history, view, before), before.reasons
        return self._derived[place]

    def _older(self, column: str, values: Collection[Any]) -> Sequence[PastEvent] | None:
        """Events below the version's boundary; None for a column that no record has, and for too many."""
        events, between = self._events, self._between
        if column not in self._bound.contract.types:
            return None
        try:
            rows = events.having(between.stand, between.since, column, values)
            return records_of(rows, events, between.stand, between.since, between.cuts).events
        except Problem as problem:
            if problem.kind != "too-many-records":
                raise
            return None


def _stuck(view: CompiledView, taken: int) -> list[str]:
    """Why measures that nothing can be subtracted from are not right, where none is told by itself."""
    names = [
        name for name, one in view.measures.items() if not (one.invertible or isinstance(one, Uncorrected))
    ]
    return [f"{name} still holds what {taken} events were before others came before them" for name in names]


def _merged(view: CompiledView, counted: Placed, taken: Placed) -> Placed:
    both = {at: view.merge(counted[at], taken[at]) for at in counted.keys() & taken.keys()}
    return {**counted, **taken, **both}


def _by_key(found: Placed) -> dict[str, list[Bucketed]]:
    by_key: dict[str, list[Bucketed]] = {}
    for (text, bucket), partial in sorted(found.items()):
        by_key.setdefault(text, []).append((bucket, partial))
    return by_key


def _within(span: Span, found: Sequence[Bucketed]) -> list[Bucketed]:
    return [each for each in found if span[0] <= each[0] < span[1]]
