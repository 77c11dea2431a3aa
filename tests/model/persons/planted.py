"""Simpler versions of how persons are counted and read, each of which is wrong on some schedule."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from core.groups import Pair
from core.handoff import Generation
from core.measures import Partial
from core.rebuilds import RebuildRequest
from serving_layer.asking import Desk
from serving_layer.person_stores import PersonSpeed as PersonStore
from serving_layer.persons import Now
from serving_layer.ports import PersonNote, Snapshot, SpeedReading, SpeedStore
from tests.model.persons.batch import PersonBatch, Placed, Resolving, made_of
from tests.model.persons.people import lifted
from tests.model.persons.reader import PersonReader
from tests.model.persons.speed import PersonSpeed
from tests.model.persons.stores import ModelPairs
from tests.model.world import Field, Record


class CountsByTheNewest(PersonSpeed):
    """Looks ids up in what readers use now, whatever the generation began with."""

    def lifted(self, generation: Generation, segment: int, record: Record) -> Iterator[tuple[Field, Partial]]:
        manifest = self.world.publications.resolve()
        made = made_of(self.world.tables[manifest.version]) if manifest else Resolving({})
        return lifted(record, segment, made.persons, self.world.semantics)


class FollowsByTheOld(PersonSpeed):
    """A rebuild counts as the leader does."""

    def lifted(self, generation: Generation, segment: int, record: Record) -> Iterator[tuple[Field, Partial]]:
        leader = self.redis.generation(self.redis.writing)
        return super().lifted(leader or generation, segment, record)


class NeverRebuilds(PersonSpeed):
    """Waits for somebody to ask."""

    def own_request(self) -> RebuildRequest | None:
        return None


class KeepsWhatItJoined(PersonBatch):
    """A pair that was said once stands for good."""

    def standing(self, visits: Sequence[Placed]) -> list[Pair]:
        return super().standing([(segment, replace(visit, undone=False)) for segment, visit in visits])


class OrdersByOffset(PersonBatch):
    """Of two words on different partitions the one at the greater offset is the newer."""

    def standing(self, visits: Sequence[Placed]) -> list[Pair]:
        return super().standing([(0, replace(visit, partition=0)) for _, visit in visits])


class JoinsInOnePass(PersonBatch):
    """A pair renames one id; groups that were there already are not joined by it."""

    def persons(self, pairs: Sequence[Pair]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for one, other in pairs:
            found[other] = found.setdefault(one, one)
        return found


class ForgetsLateJoins(PersonReader):
    """Knows the pairs of the version alone."""

    class pairs(ModelPairs):
        async def now(self, snapshot: Snapshot) -> tuple[Now, SpeedReading]:
            now, reading = await super().now(snapshot)
            return replace(now, words={}), reading


class CallsThemByTheVersion(PersonReader):
    """Takes the persons by which the speed layer counts for those of the version."""

    class pairs(ModelPairs):
        async def now(self, snapshot: Snapshot) -> tuple[Now, SpeedReading]:
            now, reading = await super().now(snapshot)
            return replace(now, counted=now.published), reading


class LooksAgain(PersonReader):
    """Vouches for what it reads by the newest lease, though it read the pairs before."""

    class desk(Desk):
        async def _now(self, snapshot: Snapshot) -> tuple[Now, SpeedStore]:
            now, store = await super()._now(snapshot)
            assert isinstance(store, PersonStore)
            return now, Vouching(store.inner, now, store.vouched)


class Vouching(PersonStore):
    def told(self, reading: SpeedReading, note: PersonNote) -> SpeedReading:
        return replace(reading, persons=note)


class SaysNoBounds(PersonReader):
    """Counts persons as it finds them, whatever was joined or undone since."""

    class desk(Desk):
        async def _now(self, snapshot: Snapshot) -> tuple[Now, SpeedStore]:
            now, store = await super()._now(snapshot)
            assert isinstance(store, PersonStore)
            return now, Narrow(store.inner, now, store.vouched)


class Narrow(PersonStore):
    def told(self, reading: SpeedReading, note: PersonNote) -> SpeedReading:
        return super().told(reading, replace(note, down=0, up=0))


class AsksNoOtherShard(PersonReader):
    """Takes what it finds of pairs for all there is, whatever their shards lost."""

    class pairs(ModelPairs):
        async def _read(self, boundary: int) -> tuple[SpeedReading, Mapping[Pair, str]]:
            reading, words = await super()._read(boundary)
            return replace(reading, stamps=()), words
