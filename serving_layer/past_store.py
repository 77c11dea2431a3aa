"""What the master dataset adds to a version: the events from its boundary up to a position of the log.

It stands in the speed layer's place, so that the past is asked the same questions as the present.
"""

import asyncio
from asyncio import Semaphore
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.application import BoundSource
from core.corrections import corrections_of
from core.cuts import Cut, Offsets
from core.errors import NotEvaluable
from core.per_event import PerEvent
from core.periods import Periods
from core.views import CompiledView
from serving_layer.master_events import MasterEvents, Search
from serving_layer.master_log import MasterFile, Stand
from serving_layer.moments import EARLIEST, LATEST
from serving_layer.ports import Bucketed, Choose, ReadKeys, SpeedReading, SpeedStore
from serving_layer.problems import Problem

__all__ = ["Between", "PastStore", "applied"]

Buckets = Mapping[str, Sequence[Bucketed]]
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

    def __init__(self, bound: BoundSource, events: MasterEvents, between: Between, turn: Semaphore) -> None:
        self._bound, self._events, self._between, self._turn = bound, events, between, turn

    async def read(
        self, view: CompiledView, key: str, span: Span, boundary: int, every: Periods | None = None
    ) -> SpeedReading:
        reading, found = await self._read(view, span, lambda text: text == key, key)
        return replace(reading, buckets=None if found is None else found.get(key, ()))

    async def read_many(
        self,
        view: CompiledView,
        keys: Sequence[str],
        span: Span,
        boundary: int,
        every: Periods | None = None,
    ) -> ReadKeys:
        reading, found = await self._read(view, span, frozenset(keys).__contains__)
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
        return SpeedReading()

    async def _read(
        self, view: CompiledView, span: Span, accepts: Callable[[str], bool], key: str | None = None
    ) -> tuple[SpeedReading, Buckets | None]:
        """No buckets where the version itself reaches the position."""
        if not self._between.records:
            return SpeedReading(), None
        search = Search(accepts, *span, self._between.since, self._between.until, key)
        async with self._turn:
            return await asyncio.to_thread(self._fold, view, search)

    def _fold(self, view: CompiledView, search: Search) -> tuple[SpeedReading, Buckets]:
        of, events, stand = applied(self._bound, view), self._events, self._between.stand
        rows = events.find(stand, of, search)
        first = events.first(stand, {events.event_id(row) for row in rows}, search.until, self._between.cuts)
        counted = [row for row in rows if first[events.event_id(row)] == row.place]
        found: dict[str, list[Bucketed]] = {}
        for (text, bucket), partial in sorted(of.fold(row.values for row in counted).items()):
            found.setdefault(text, []).append((bucket, partial))
        return SpeedReading(fields=len(counted)), found


def _within(span: Span, found: Sequence[Bucketed]) -> list[Bucketed]:
    return [each for each in found if span[0] <= each[0] < span[1]]


def applied(bound: BoundSource, view: CompiledView) -> PerEvent:
    """The view for single events. Raises `Problem` for one that only Spark can compute, or that needs more
    of an event than the record of it."""
    if corrections_of(bound.source):
        detail = (
            f"events of source {bound.source.name!r} may be corrected by later ones, which single records do "
            "not tell; ask for a retained version, which Spark made"
        )
        raise Problem.of_field("not-evaluable", "view", view.name, "version=N", detail)
    derived = [(one, one.of_event()) for one in bound.deriving(view)]
    history = [
        name for one, derive in derived if derive is None for name in one.columns if name in view.reads
    ]
    if history:
        detail = (
            f"view {view.name!r} uses {', '.join(history)}, which are derived from the events before: they "
            "cannot be told of single records; ask for a retained version, which Spark made"
        )
        raise Problem.of_field("not-evaluable", "view", view.name, "version=N", detail)
    derives = [derive for _, derive in derived if derive is not None]
    try:
        return PerEvent.of(bound.definitions[view.name], view, bound.columns, derives)
    except NotEvaluable as error:
        detail = f"{error}; ask for a retained version, which Spark made"
        raise Problem.of_field("not-evaluable", "view", view.name, "version=N", detail) from error
