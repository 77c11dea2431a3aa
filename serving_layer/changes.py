"""What changed in the speed state since the last look, among what somebody listens to.

While no micro-batch is committed, a look costs the same however many listen. Where one was, the lists of
touched hashes tell what it may have changed. There is one list for each segment: a key that was touched
counts as touched at each later look until the segment ends.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.handoff import Generation, Progress, doubts
from core.keys import shard_of
from core.layout import Layout
from core.manifest import Manifest
from serving_layer.interests import Interest
from serving_layer.pipes import Pipe
from serving_layer.ports import SpeedSilent
from serving_layer.vouchers import current_generation, ends_asked, in_use, reading_of, stamped, vouchers_asked

__all__ = ["Changes", "Look", "RedisChanges"]

_TRIES = 3
_MOST_SEGMENTS = 64  # after a long time without a look, everything counts as touched
_AT_ONCE = 2000  # members in one command: Redis answers others in between


@dataclass(frozen=True)
class Look:
    """`standing` concerns every answer: where it differs from the last look's, all may have changed.

    Answers to what is not in `touched` are as they were, and as of `as_of`, seconds since 1970; None where
    nobody vouches for a time.
    """

    standing: Hashable
    as_of: float | None = None
    touched: frozenset[Interest] = frozenset()


class Changes(ABC):
    """The changes of one source."""

    @abstractmethod
    async def look(self, interests: Collection[Interest], manifest: Manifest | None) -> Look:
        """Since the last call; at the first one everything was touched. Raises `SpeedSilent`, soon."""


class RedisChanges(Changes):
    """Reads what vouches for the state before the lists of what was touched, as questions do."""

    def __init__(self, layout: Layout, pipe: Pipe, semantics: str) -> None:
        self._layout, self._pipe, self._semantics = layout, pipe, semantics
        self._generation: Generation | None = None
        self._seen: Progress | None = None
        self._hot: dict[int, set[Interest]] = {}

    async def look(self, interests: Collection[Interest], manifest: Manifest | None) -> Look:
        for _ in range(_TRIES):
            generation = self._generation or await self._current()
            if generation is None:
                return Look("no speed state")
            found = await self._vouched(generation, interests, manifest)
            if found is not None:
                progress, reasons, as_of = found
                touched = await self._touched(generation, progress, interests)
                self._seen = progress
                return Look((generation.id, *reasons), as_of, touched)
            self._generation = None
        raise SpeedSilent("the speed state changed each time it was looked at")

    async def _current(self) -> Generation | None:
        self._generation = await current_generation(self._pipe, self._layout)
        self._seen, self._hot = None, {}
        return self._generation

    async def _vouched(
        self, generation: Generation, interests: Collection[Interest], manifest: Manifest | None
    ) -> tuple[Progress | None, list[str], float | None] | None:
        """Progress, doubts and `as_of`; None if readers use another generation by now."""
        shards = frozenset[int]().union(*(interest.shards(generation.shards) for interest in interests))
        ends = ends_asked(self._layout, generation, sorted(shards))
        condemned, lease, progress, *stamps, current = await self._pipe.execute(
            [*vouchers_asked(self._layout, generation), *ends]
        )
        if not in_use(generation, current):
            return None
        found = stamped(reading_of(generation, condemned, lease, progress), stamps)
        reasons = doubts(
            manifest, self._semantics, generation, found.progress, found.lease, found.stamps, [found.floor],
            found.condemned,
        )  # fmt: skip
        return found.progress, reasons, found.lease.as_of if found.lease and not reasons else None

    async def _touched(
        self, generation: Generation, progress: Progress | None, interests: Collection[Interest]
    ) -> frozenset[Interest]:
        if progress is None or self._seen is None:
            return frozenset(interests)
        if progress.batch == self._seen.batch:
            return frozenset()
        segments = range(self._seen.cuts, progress.cuts + 1)
        if len(segments) > _MOST_SEGMENTS:
            self._hot = {}
            return frozenset(interests)
        self._hot = {segment: self._hot.get(segment, set()) for segment in segments}
        hot = set[Interest]().union(*self._hot.values()).intersection(interests)
        containers = await self._containers(generation, segments.start, interests)
        cold = [interest for interest in interests if interest not in hot]
        wide = {one for one in cold if _touches_any(one, containers)}
        return frozenset(hot | wide | await self._looked_up(generation, segments, cold, containers))

    async def _containers(
        self, generation: Generation, segment: int, interests: Iterable[Interest]
    ) -> Mapping[str, list[int]]:
        """For each view the containers that got something in `segment` or later."""
        views = sorted({view for one in interests for view in (one.view, one.also) if view})
        names = [self._layout.containers(generation.id, view) for view in views]
        found = await self._pipe.execute([("ZRANGEBYSCORE", name, segment, "+inf") for name in names])
        return {view: list(map(int, members)) for view, members in zip(views, found, strict=True)}

    async def _looked_up(
        self,
        generation: Generation,
        segments: Sequence[int],
        interests: Iterable[Interest],
        containers: Mapping[str, list[int]],
    ) -> set[Interest]:
        """Those of which a list of a segment names a key; remembered until the segment ends."""
        members: dict[int, list[tuple[str, Interest]]] = defaultdict(list)
        for interest in interests:
            for key, member in interest.members(containers[interest.view]):
                members[shard_of(interest.view, key, generation.shards)].append((member, interest))
        asked = [
            (segment, shard, held[at : at + _AT_ONCE])
            for segment in segments
            for shard, held in members.items()
            for at in range(0, len(held), _AT_ONCE)
        ]
        replies = await self._pipe.execute(
            [
                ("SMISMEMBER", self._layout.touched(generation.id, shard, segment), *(m for m, _ in held))
                for segment, shard, held in asked
            ]
        )
        for (segment, _, held), bits in zip(asked, replies, strict=True):
            self._hot[segment].update(one for (_, one), bit in zip(held, bits, strict=True) if bit)
        return set[Interest]().union(*self._hot.values()).intersection(interests)


def _touches_any(interest: Interest, containers: Mapping[str, list[int]]) -> bool:
    """Whether something was touched of which any key matters."""
    if interest.also and containers[interest.also]:
        return True
    return interest.keys is None and bool(interest.within(containers[interest.view]))
