"""What a micro-batch counts: its changed fields, and the marks by which copies are known."""

from collections.abc import Generator, Iterator, Sequence

from core.cuts import segment_of
from core.handoff import Generation, Intent
from core.keys import shard_of
from core.layout import event_digest, mark_shard
from core.measures import Partial
from tests.model.redis import Name, Shard
from tests.model.world import SHARDS, Field, Record, World

Fields = dict[Name, Partial]
Marks = dict[tuple[int, bytes], tuple[int, int]]  # by block and digest
Added = tuple[int, Field, Partial]  # its segment first
Placed = tuple[int, Record]


class Counting:
    def __init__(self, world: World) -> None:
        self.world, self.redis = world, world.redis

    def count(
        self, generation: Generation, intent: Intent
    ) -> Generator[None, None, tuple[list[Fields], list[Marks]]]:
        """For each shard its changed fields and its new marks."""
        firsts, marks = self.copies(generation, self.records(intent))
        first = self.count_from(generation)
        counted = [(segment, record) for segment, record in firsts if segment >= first]
        added = yield from self.adds(generation, intent, counted)
        return self.fields(added), marks

    def count_from(self, generation: Generation) -> int:
        progress = self.redis.progress(generation.id)
        return max(generation.start_cut, progress.floor if progress else 0)

    def records(self, intent: Intent) -> Iterator[Placed]:
        """The valid records with their segments, each partition in order."""
        cuts = self.world.cuts.all()[: intent.cuts]
        for record in self.world.read(intent.start, intent.end):
            if record.counts(self.world.semantics):
                yield segment_of(*record.position, cuts), record

    def adds(
        self, generation: Generation, intent: Intent, counted: Sequence[Placed]
    ) -> Generator[None, None, list[Added]]:
        """What the events that count add to which fields."""
        yield from ()
        return [
            (segment, place, partial)
            for segment, record in counted
            for place, partial in self.lifted(generation, segment, record)
        ]

    def lifted(self, generation: Generation, segment: int, record: Record) -> Iterator[tuple[Field, Partial]]:
        """Under the name it came with, whatever names are joined later."""
        return self.world.lifted(record, self.world.semantics)

    def fields(self, added: Sequence[Added]) -> list[Fields]:
        fields: list[Fields] = [{} for _ in range(SHARDS)]
        for segment, (view, key, bucket), partial in added:
            place, name = fields[shard_of(view, key, SHARDS)], Name(view, key, segment, bucket)
            compiled = self.world.views[view]
            place[name] = compiled.merge(place.get(name, compiled.zero), partial)
        return fields

    def copies(self, generation: Generation, records: Iterator[Placed]) -> tuple[list[Placed], list[Marks]]:
        """The records of which no earlier copy is known, and what is marked for each shard."""
        shards, firsts = self.shards(generation), list[Placed]()
        marks: list[Marks] = [{} for _ in range(SHARDS)]
        for segment, record in records:
            digest, block = event_digest(record.event_id), segment // self.world.window
            shard = mark_shard(digest, SHARDS)
            held = [
                marked[where]
                for where in ((block - 1, digest), (block, digest))
                for marked in (shards[shard].marks, marks[shard])
                if where in marked
            ]
            owner = self.owner(record, held[0] if held else None)
            if not held:
                marks[shard][block, digest] = owner
            if owner == record.position:
                firsts.append((segment, record))
        return firsts, marks

    def owner(self, record: Record, mark: tuple[int, int] | None) -> tuple[int, int]:
        """The position of the copy that counts."""
        return mark or record.position

    def shards(self, generation: Generation) -> list[Shard]:
        return self.redis.shards[generation.id]
