"""A query: it resolves one manifest, reads the speed state, merges, and says whether it is complete."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.handoff import doubts
from core.layout import unseal
from core.manifest import Manifest
from core.measures import Partial
from tests.model.redis import Shard
from tests.model.world import VIEW, Counts, Field, World, fold


@dataclass
class Answer:
    semantics: int
    reasons: list[str]
    as_of: float = 0
    counts: Counts = field(default_factory=Counter)


class Reader:
    def __init__(self, world: World) -> None:
        self.world = world
        self.answer: Answer | None = None

    def ask(self) -> Iterator[None]:
        """Progress and lease are read before the fields, so that the fields are at least as new."""
        redis, semantics = self.world.redis, self.world.semantics
        manifest = self.world.publications.resolve()
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
        self.answer = Answer(int(manifest.semantics) if manifest else semantics, reasons)
        self.answer.as_of = lease.as_of if lease else 0
        self.answer.counts = self.merged(manifest, speed)

    def stamps(self, seen: list[Shard]) -> list[int | None]:
        return [shard.stamp for shard in seen]

    def floors(self, seen: list[Shard]) -> list[int]:
        return [shard.floor for shard in seen]

    def fields(self, shard: Shard, boundary: int) -> Iterator[tuple[Field, Partial]]:
        for (key, segment, bucket), value in list(shard.fields.items()):
            if segment >= boundary:
                yield (key, bucket), VIEW.codec.unpack(unseal(value)[1])

    def merged(self, manifest: Manifest | None, speed: list[tuple[Field, Partial]]) -> Counts:
        batch = self.world.tables[manifest.version] if manifest else {}
        counts: Counts = Counter()
        for (key, bucket), partial in fold(iter([*batch.items(), *speed])).items():
            for measure, number in VIEW.present(partial).items():
                counts[(key, bucket, measure)] = number
        return counts
