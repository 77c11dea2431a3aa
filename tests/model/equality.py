"""The check of a publish: the speed state of the segments it takes over, held against the master dataset."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from core.copies import Copy, judge
from core.cuts import Cut, Offsets, segment_of
from core.equality import Cause, Place, compare, findings
from core.handoff import Generation
from core.layout import unseal
from core.losses import lost_from
from core.manifest import Manifest, Pointer
from core.measures import Partial
from core.standing import Standing, objection
from tests.model.redis import Name, Shard
from tests.model.world import VIEW, WINDOW, Field, Record, World


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
            name: VIEW.codec.unpack(unseal(value)[1])
            for name, value in shard.fields.items()
            if start <= name[1] < boundary.number
        }

    def expected(
        self, generation: Generation, start: int, boundary: Cut, records: list[Record]
    ) -> dict[Place, Partial]:
        """A fold of the same records under the speed layer's own rules."""
        cuts, semantics = self.world.cuts.all(), int(generation.semantics)
        copies = defaultdict[str, list[tuple[int, Record]]](list)
        for record in records:
            if record.counts(semantics):
                copies[record.event_id].append((segment_of(*record.position, cuts), record))
        partials = [
            ((record.field, segment), record.partial(semantics))
            for each in copies.values()
            for segment, record in counted(each, generation.reads_from)
            if start <= segment < boundary.number
        ]
        return {(key, segment, bucket): p for ((key, bucket), segment), p in grouped(partials).items()}

    def judge(
        self, generation: Generation, found: Mapping[Place, Partial], expected: Mapping[Place, Partial]
    ) -> None:
        tally = compare(VIEW, expected, found)
        unknown = [line for line in findings(VIEW, tally) if line.cause == Cause.UNKNOWN]
        if unknown:
            self.world.alarms.append(f"{generation.id}: {unknown[0].keys[0]}")
            self.world.redis.condemn(generation.id, self.world.alarms[-1])


def counted(copies: list[tuple[int, Record]], reads_from: Offsets) -> Iterator[tuple[int, Record]]:
    ordered = sorted(copies, key=lambda copy: (copy[0], copy[1].position))
    told = [
        Copy(segment, *record.position, record.offset >= reads_from.get(record.partition, 0))
        for segment, record in ordered
    ]
    yield from (copy for copy, verdict in zip(ordered, judge(told, WINDOW), strict=True) if verdict.counted)


def grouped(partials: list[tuple[tuple[Field, int], Partial]]) -> dict[tuple[Field, int], Partial]:
    found: dict[tuple[Field, int], Partial] = {}
    for place, partial in partials:
        found[place] = VIEW.merge(found.get(place, VIEW.zero), partial)
    return found
