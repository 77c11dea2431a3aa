"""The check of a publish: the speed state of the segments it takes over, held against the master dataset."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from core.copies import Copy, Verdict, judge
from core.cuts import Cut, segment_of
from core.equality import Cause, Place, compare, findings
from core.handoff import Generation
from core.layout import unseal
from core.losses import lost_from
from core.manifest import Manifest, Pointer
from core.measures import Partial
from core.standing import Standing, objection
from core.views import CompiledView
from tests.model.counting import Added
from tests.model.redis import Name, Shard
from tests.model.world import Record, World


class Check:
    def __init__(self, world: World) -> None:
        self.world = world

    def before(self, manifest: Manifest, parent: Pointer | None, records: list[Record]) -> Iterator[None]:
        """Compare, and condemn the generation of readers if it differs. One look before, and one after."""
        start, boundary = parent.boundary if parent else 0, self.world.cuts.get(manifest.boundary)
        first = self.look()
        reason = self.objection(first, manifest, start, boundary)
        found: dict[Name, Partial] = {}
        for shard in self.world.redis.shards.get(first.generation.id, ()) if first else ():
            yield
            found |= self.held(shard, start, boundary)
        reason = reason or self.again(first, manifest, start, boundary)
        self.world.checks.append(reason or "compared")
        if first and not reason:
            self.judge(first.generation, found, self.expected(first.generation, start, boundary, records))

    def look(self) -> Standing | None:
        redis = self.world.redis
        name = redis.current or ""
        generation, progress = redis.generation(name), redis.progress(name)
        if generation is None or progress is None or name not in redis.shards:
            return None
        stamps, floors = zip(*[(shard.stamp, shard.floor) for shard in redis.shards[name]], strict=True)
        return Standing(generation, progress, name in redis.leases, redis.condemned.get(name), stamps, floors)

    def objection(
        self, standing: Standing | None, manifest: Manifest, start: int, boundary: Cut
    ) -> str | None:
        if standing is None:
            return "there is no speed state"
        lost = lost_from(manifest.losses, self.world.cuts.get(start).offsets)
        return lost or objection(standing, manifest.semantics, start, boundary)

    def again(self, first: Standing | None, manifest: Manifest, start: int, boundary: Cut) -> str | None:
        second = self.look()
        moved = first and second and first.generation.id != second.generation.id
        return "readers moved" if moved else self.objection(second, manifest, start, boundary)

    def held(self, shard: Shard, start: int, boundary: Cut) -> dict[Name, Partial]:
        return {
            name: self.world.views[name.view].codec.unpack(unseal(value)[1])
            for name, value in shard.fields.items()
            if start <= name.segment < boundary.number
        }

    def expected(
        self, generation: Generation, start: int, boundary: Cut, records: list[Record]
    ) -> dict[Name, Partial]:
        """A fold of the same records under the speed layer's own rules."""
        found = dict[Name, Partial]()
        for segment, (view, key, bucket), partial in self.added(generation, start, records):
            if start <= segment < boundary.number:
                name, compiled = Name(view, key, segment, bucket), self.world.views[view]
                found[name] = compiled.merge(found.get(name, compiled.zero), partial)
        return found

    def added(self, generation: Generation, start: int, records: list[Record]) -> Iterator[Added]:
        """What records add to segments from `start` on, perhaps also to others."""
        semantics = int(generation.semantics)
        for segment, record, _ in self.counted(generation, records, self.world.cuts.all()):
            yield from ((segment, *added) for added in self.world.lifted(record, semantics))

    def counted(
        self, generation: Generation, records: list[Record], cuts: Sequence[Cut]
    ) -> Iterator[tuple[int, Record, Verdict]]:
        """The copies that the speed layer counts, with their segments."""
        reads_from = generation.reads_from
        copies = defaultdict[str, list[tuple[int, Record]]](list)
        for record in records:
            if record.counts(int(generation.semantics)):
                copies[record.event_id].append((segment_of(*record.position, cuts), record))
        for each in copies.values():
            ordered = sorted(each, key=lambda copy: (copy[0], copy[1].position))
            told = [
                Copy(segment, *record.position, record.offset >= reads_from.get(record.partition, 0))
                for segment, record in ordered
            ]
            for (segment, record), verdict in zip(ordered, judge(told, self.world.window), strict=True):
                if verdict.counted:
                    yield segment, record, verdict

    def judge(
        self, generation: Generation, found: Mapping[Name, Partial], expected: Mapping[Name, Partial]
    ) -> None:
        for view in self.world.views.values():
            tally = compare(view, places(view, expected), places(view, found))
            unknown = [line for line in findings(view, tally) if line.cause == Cause.UNKNOWN]
            if unknown:
                self.world.alarms.append(f"{generation.id}: {view.name}, {unknown[0].keys[0]}")
                self.world.redis.condemn(generation.id, self.world.alarms[-1])


def places(view: CompiledView, fields: Mapping[Name, Partial]) -> dict[Place, Partial]:
    return {name[1:]: partial for name, partial in fields.items() if name.view == view.name}
