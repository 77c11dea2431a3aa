"""A question answered: one publish for the whole request, and a speed state that holds what it needs."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from core.application import BoundSource
from core.buckets import Run, split
from core.identity import uses_persons
from core.measures import Partial
from core.views import CompiledView
from serving_layer.answers import Evidence, runs_of, runs_within
from serving_layer.kept import Kept, weight
from serving_layer.live_pairs import LivePairs
from serving_layer.person_stores import PersonIndex, PersonSpeed, SilentSpeed
from serving_layer.persons import Now
from serving_layer.ports import Bucketed, Index, Snapshot, SpeedReading, SpeedSilent, SpeedStore, Versions
from serving_layer.presenting import Shown, shown_before
from serving_layer.questions import Question

__all__ = ["Desk", "read_speed"]

_TRIES = 3
_LIMIT = 16 << 20
_WORTH = 4  # tiles: merging fewer anew costs less than keeping them
Merged = Kept[Hashable, tuple[int, Partial]]
Found = TypeVar("Found", bound=Evidence)


@dataclass(frozen=True)
class Desk:
    """Answers questions about the views of one source."""

    bound: BoundSource
    semantics: str
    versions: Versions
    speed: SpeedStore
    pairs: LivePairs | None = field(default=None, repr=False)
    merged: "Merged" = field(default_factory=lambda: Kept(_LIMIT, lambda kept: weight(kept[1])), repr=False)
    shown: Shown = field(default_factory=shown_before, repr=False)

    async def ask(self, question: Question) -> Evidence:
        """What both layers say. Raises `IndexBroken` where the batch part cannot be read."""
        return await self.settled(question.view, partial(self.gather, question, runs_of(question)))

    async def settled(
        self, view: CompiledView, gather: Callable[[Snapshot, SpeedStore], Awaitable[Found]]
    ) -> Found:
        """What `gather` finds, of a publish whose speed segments were all there while it was at it."""
        snapshot = self.versions.current()
        for _ in range(_TRIES):
            evidence = await gather(*await self._stores(view, snapshot))
            if evidence.speed is None or evidence.speed.floor <= snapshot.boundary:
                return evidence
            # the speed layer dropped what a newer publish covers: that publish is what we must read
            newer = await self.versions.renew()
            if newer.boundary <= snapshot.boundary:
                return evidence
            snapshot = newer
        return evidence

    async def _stores(self, view: CompiledView, snapshot: Snapshot) -> tuple[Snapshot, SpeedStore]:
        """What both layers hold; of a view that is about persons, as they are now."""
        if not uses_persons(view):
            return snapshot, self.speed
        try:
            now, speed = await self._now(snapshot)
        except SpeedSilent as error:
            now = _of_version(snapshot)
            speed = SilentSpeed(self.speed, now, str(error))
        index = snapshot.index and PersonIndex(snapshot.index, now)
        return replace(snapshot, index=index), speed

    async def _now(self, snapshot: Snapshot) -> tuple[Now, SpeedStore]:
        """Without pairs, persons are those of the version."""
        if self.pairs is None:
            return _of_version(snapshot), self.speed
        now, reading = await self.pairs.now(snapshot)
        return now, PersonSpeed(self.speed, now, reading)

    async def gather(
        self, question: Question, runs: list[Run], snapshot: Snapshot, speed: SpeedStore
    ) -> Evidence:
        """What a publish and a speed state say, for `settled`."""
        reading, silence = await read_speed(speed, question, snapshot.boundary)
        batch, tiles = self._batch(question, runs, snapshot)
        return Evidence(snapshot, self.semantics, batch, reading, silence, tiles)

    def _batch(
        self, question: Question, runs: list[Run], snapshot: Snapshot
    ) -> tuple[list[Bucketed] | None, int]:
        """The batch part and of how many tiles: a version never changes, so one row is kept merged."""
        if snapshot.index is None or snapshot.manifest is None:
            return None, 0
        view, key, version = question.view, question.key_text, snapshot.manifest.version
        parts = snapshot.index.parts(view, key)
        place = (version, view.name, parts, question.start, question.end)
        kept = self.merged.get(place) if question.every is None else None
        if kept is not None:
            return [(question.first, kept[1])], kept[0]
        found, tiles = self._read(question, runs, snapshot.index)
        if question.every is None and len(found) >= _WORTH:
            kept = (tiles, view.merge_all([one for _, one in found]))
            self.merged.put(place, kept)
            return [(question.first, kept[1])], kept[0]
        return found, tiles

    def _read(self, question: Question, runs: list[Run], index: Index) -> tuple[list[Bucketed], int]:
        """What there is of the key, and how many tiles were read to find it."""
        view, key, scouted = question.view, question.key_text, 0
        if question.open_in_zone:
            # the coarsest tiles tell which rows there are; those are made of fewer tiles than of buckets
            seen = index.read(view, key, split(question.first, question.last, view.tiles))
            runs, scouted = runs_within(question, seen), len(seen)
        found = index.read(view, key, runs)
        return found, scouted + len(found)


def _of_version(snapshot: Snapshot) -> Now:
    version, persons = snapshot.manifest.version if snapshot.manifest else 0, snapshot.persons
    return Now(version, persons, persons)


async def read_speed(
    speed: SpeedStore, question: Question, boundary: int
) -> tuple[SpeedReading | None, str | None]:
    """The speed part from `boundary` on, or why there is none."""
    span = (question.first, question.last)
    try:
        return await speed.read(question.view, question.key_text, span, boundary, question.every), None
    except SpeedSilent as error:
        return None, str(error)
