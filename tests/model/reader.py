"""A query: it resolves one manifest, reads the speed state, merges, and says whether it is complete."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.cuts import Offsets
from core.handoff import Generation, doubts
from core.layout import unseal
from core.manifest import Manifest
from core.measures import Partial
from tests.model.redis import Shard
from tests.model.world import Counts, Field, World, resolved


@dataclass
class Answer:
    semantics: int
    reasons: list[str]
    manifest: Manifest | None = None
    as_of: float = 0
    generation: Generation | None = None
    stamps: Sequence[int | None] = ()  # of each shard, when its fields were read
    partials: Mapping[Field, Partial] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counter)

    @property
    def offsets(self) -> Offsets:
        """Of its boundary."""
        return self.manifest.offsets if self.manifest else {}

    @property
    def lost(self) -> set[tuple[int, int]]:
        """The positions that its manifest declares as lost."""
        declared = self.manifest.losses if self.manifest else ()
        return {(gap["partition"], n) for gap in declared for n in range(gap["start"], gap["end"])}


class Reader:
    def __init__(self, world: World) -> None:
        self.world = world
        self.answer: Answer | None = None

    def ask(self) -> Iterator[None]:
        """Progress and lease are read before the fields, so that the fields are at least as new."""
        redis, semantics = self.world.redis, self.world.semantics
        manifest = self.world.publications.resolve()
        # files that a reader has opened stay, whoever removes them
        table = self.world.tables[manifest.version].rows if manifest else {}
        yield
        name = redis.current or ""
        generation, progress, lease = redis.generation(name), redis.progress(name), redis.leases.get(name)
        yield
        seen, speed = list[Shard](), list[tuple[Field, Partial]]()
        for shard in redis.shards.get(name, ()):
            seen.append(Shard(shard.stamp, shard.floor))
            speed += self.fields(shard, manifest.boundary if manifest else 0)
            yield
        reasons = doubts(
            manifest,
            str(semantics),
            generation,
            progress,
            lease,
            self.stamps(seen),
            self.floors(seen),
        )
        if generation and len(seen) < generation.shards:
            reasons.append("the speed state is gone")
        if name in redis.condemned:
            reasons.append(f"the generation is condemned: {redis.condemned[name]}")
        self.answer = Answer(int(manifest.semantics) if manifest else semantics, reasons, manifest)
        self.answer.as_of = lease.as_of if lease else 0
        self.answer.generation, self.answer.stamps = generation, [shard.stamp for shard in seen]
        self.answer.partials = self.merged(table, speed, aliases_of(manifest))
        self.answer.counts = self.shown(self.answer.partials)

    def stamps(self, seen: list[Shard]) -> list[int | None]:
        return [shard.stamp for shard in seen]

    def floors(self, seen: list[Shard]) -> list[int]:
        return [shard.floor for shard in seen]

    def fields(self, shard: Shard, boundary: int) -> Iterator[tuple[Field, Partial]]:
        for (view, key, segment, bucket), value in list(shard.fields.items()):
            if segment >= boundary:
                yield (view, key, bucket), self.world.views[view].codec.unpack(unseal(value)[1])

    def merged(
        self, table: Mapping[Field, Partial], speed: list[tuple[Field, Partial]], aliases: Mapping[str, str]
    ) -> dict[Field, Partial]:
        """Both parts, speed fields under the name that the batch view's keys have been joined to."""
        placed = [(self.place(field, aliases), partial) for field, partial in speed]
        return self.world.fold([*table.items(), *placed])

    def shown(self, partials: Mapping[Field, Partial]) -> Counts:
        counts: Counts = Counter()
        for (view, key, bucket), partial in partials.items():
            for measure, number in self.world.views[view].present(partial).items():
                counts[view, key, bucket, measure] = number
        return counts

    def place(self, field: Field, aliases: Mapping[str, str]) -> Field:
        return resolved(field, aliases)


def aliases_of(manifest: Manifest | None) -> Mapping[str, str]:
    aliases: Mapping[str, str] = manifest.origin["aliases"] if manifest else {}
    return aliases
