"""What the serving layer reads: a version, and Redis. Between two commands others may go on."""

from collections.abc import Collection, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from core.buckets import Run
from core.handoff import Generation
from core.keys import shard_of
from core.layout import unseal
from core.measures import Partial
from core.periods import Periods
from core.resolutions import Changes, Resolution, changes
from core.views import CompiledView
from serving_layer.live_pairs import LivePairs
from serving_layer.ports import (
    Bucketed,
    Choose,
    Index,
    Listed,
    ReadKeys,
    Snapshot,
    SpeedReading,
    SpeedSilent,
    SpeedStore,
    Versions,
)
from tests.model.persons.batch import Resolving, made_of
from tests.model.persons.people import People
from tests.model.redis import Shard
from tests.model.world import SHARDS

_TRIES = 5
Found = TypeVar("Found")


class Pause:
    """A command was answered, and whoever waits for the next one may wait for long."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def stepped(work: Coroutine[None, None, Found]) -> Generator[None, None, Found]:
    """A coroutine as a process of the model: it stands still at each pause."""
    while True:
        try:
            work.send(None)
        except StopIteration as ended:
            found: Found = ended.value
            return found
        yield


@dataclass(frozen=True)
class ModelIndex(Index):
    """The rows of a version that was opened, whoever removes it."""

    made: Resolving

    @property
    def persons(self) -> Resolution:
        return self.made.persons

    def read(self, view: CompiledView, key: str, runs: Sequence[Run]) -> list[Bucketed]:
        rows = self.made.rows.items()
        return [
            (bucket, partial) for (name, text, bucket), partial in rows if (name, text) == (view.name, key)
        ]

    def read_many(
        self, view: CompiledView, keys: Collection[str], runs: Sequence[Run]
    ) -> dict[str, list[Bucketed]]:
        return {key: self.read(view, key, runs) for key in keys}

    def keys(self, view: CompiledView, prefix: str, after: bytes | None, most: int) -> list[Listed]:
        texts = {place[1].encode(): place[1] for place in self.made.rows if place[0] == view.name}
        found: list[Listed] = [(text, texts[text]) for text in sorted(texts) if after is None or text > after]
        return found[:most]


@dataclass
class ModelVersions(Versions):
    """As one look found them; a version of other definitions is as none."""

    world: People
    semantics: str
    found: Snapshot = field(default_factory=Snapshot)

    def look(self) -> None:
        pointer, manifest = self.world.publications.current(), self.world.publications.resolve()
        if manifest is None:
            self.found = Snapshot()
        elif manifest.semantics != self.semantics:
            self.found = Snapshot(pointer, notes=("made by other definitions",))
        else:
            self.found = Snapshot(pointer, manifest, ModelIndex(made_of(self.world.tables[manifest.version])))

    def current(self) -> Snapshot:
        return self.found

    @property
    def trouble(self) -> str | None:
        return None

    async def renew(self) -> Snapshot:
        self.look()
        return self.found


@dataclass
class ModelSpeedStore(SpeedStore):
    """The commands in their order: vouchers, touched lists, fields, stamps, the current generation."""

    world: People
    semantics: str

    async def state(self) -> SpeedReading:
        generation = self.world.redis.generation(self.world.redis.current)
        await Pause()
        return SpeedReading() if generation is None else self._vouched(generation)

    def _vouched(self, generation: Generation) -> SpeedReading:
        redis, name = self.world.redis, generation.id
        progress = redis.progress(name)
        return SpeedReading(
            generation, progress, redis.leases.get(name), floor=progress.floor if progress else 0,
            condemned=redis.condemned.get(name),
        )  # fmt: skip

    async def read(
        self, view: CompiledView, key: str, span: Any, boundary: int, every: Periods | None = None
    ) -> SpeedReading:
        reading, found = await self.read_many(view, [key], span, boundary, every)
        return reading if found is None else replace(reading, buckets=found[key])

    async def read_many(
        self, view: CompiledView, keys: Sequence[str], span: Any, boundary: int, every: Periods | None = None
    ) -> ReadKeys:
        shards = {shard_of(view.name, key, SHARDS) for key in keys}
        return await self._tried(view, boundary, shards, lambda touched: keys)

    async def read_listed(
        self,
        view: CompiledView,
        prefix: str,
        span: Any,
        boundary: int,
        choose: Choose,
        every: Periods | None = None,
    ) -> ReadKeys:
        return await self._tried(view, boundary, set(range(SHARDS)), choose)

    async def _tried(self, view: CompiledView, boundary: int, shards: set[int], choose: Choose) -> ReadKeys:
        for _ in range(_TRIES):
            generation = self.world.redis.generation(self.world.redis.current)
            if generation is None:
                return SpeedReading(), None
            if generation.semantics != self.semantics:
                return await self.state(), None
            await Pause()
            reading = self._vouched(generation)
            await Pause()
            found = await self._fields(generation, view, boundary, choose)
            reading = self._stamped(reading, generation, shards)
            if self.world.redis.current == generation.id:
                return reading, found
        raise SpeedSilent("the speed state changed each time it was read: ask again")

    async def _fields(
        self, generation: Generation, view: CompiledView, boundary: int, choose: Choose
    ) -> dict[str, list[Bucketed]]:
        touched = {
            name.key
            for shard in self._shards(generation)
            for segment, names in shard.touched.items()
            for name in names
            if segment >= boundary and name.view == view.name
        }
        found = {}
        for key in choose(touched):
            found[key] = list(self._of_key(generation, view, key, boundary))
            await Pause()
        return found

    def _of_key(
        self, generation: Generation, view: CompiledView, key: str, boundary: int
    ) -> Iterator[tuple[int, Partial]]:
        for shard in self._shards(generation)[shard_of(view.name, key, SHARDS) :][:1]:
            for name, value in shard.fields.items():
                if name[:2] == (view.name, key) and name.segment >= boundary:
                    yield name.bucket, view.codec.unpack(unseal(value)[1])

    def _stamped(self, reading: SpeedReading, generation: Generation, shards: set[int]) -> SpeedReading:
        held = self._shards(generation)
        some = [held[shard] if held else Shard() for shard in sorted(shards)]
        floor = max(reading.floor, *(shard.floor for shard in some))
        return replace(reading, stamps=tuple(shard.stamp for shard in some), floor=floor)

    def _shards(self, generation: Generation) -> list[Shard]:
        return self.world.redis.shards.get(generation.id, [])


@dataclass
class ModelPairs(LivePairs):
    """With the speed layer's copies of resolutions at hand, and without threads."""

    world: People | None = None

    def _counted(self, content: str) -> Resolution | None:
        assert self.world is not None
        return self.world.kept.get(content) if content else super()._counted(content)

    async def _changes(self, snapshot: Snapshot, counted: Resolution, content: str) -> Changes:
        return changes(counted, snapshot.persons)
