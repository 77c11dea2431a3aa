"""What a micro-batch counts: its changed fields, and the marks by which copies are known."""

from core.cuts import segment_of
from core.handoff import Generation, Intent
from core.keys import shard_of
from core.layout import event_digest, mark_shard
from core.measures import Partial
from tests.model.redis import Name, Shard
from tests.model.world import SHARDS, VIEW, Field, Record, World

Fields = dict[Name, Partial]
Marks = dict[bytes, tuple[int, int]]


class Counting:
    def __init__(self, world: World) -> None:
        self.world, self.redis = world, world.redis

    def partials(self, generation: Generation, intent: Intent) -> tuple[list[Fields], list[Marks]]:
        """For each shard its changed fields and its new marks."""
        cuts = self.world.cuts.all()[: intent.cuts]
        fields: list[Fields] = [{} for _ in range(SHARDS)]
        marks: list[Marks] = [{} for _ in range(SHARDS)]
        semantics = self.world.semantics
        records = [record for record in self.world.read(intent.start, intent.end) if record.counts(semantics)]
        owners = self.owners(generation, records)
        for record in records:
            segment, digest = segment_of(*record.position, cuts), event_digest(record.event_id)
            marks[mark_shard(digest, SHARDS)][digest] = owners[digest]
            if segment >= generation.start_cut and owners[digest] == record.position:
                (key, bucket), partial = self.field(record), record.partial(semantics)
                place = fields[shard_of(VIEW.name, key, SHARDS)]
                name = (key, segment, bucket)
                place[name] = VIEW.merge(place.get(name, VIEW.zero), partial)
        return fields, marks

    def field(self, record: Record) -> Field:
        """Under the name it came with, whatever names are joined later."""
        return record.field

    def owners(self, generation: Generation, records: list[Record]) -> Marks:
        """The position of the copy that counts: a mark, else the first one here."""
        shards, found = self.shards(generation), Marks()
        for record in records:
            digest = event_digest(record.event_id)
            mark = shards[mark_shard(digest, SHARDS)].marks.get(digest)
            found.setdefault(digest, self.owner(record, mark))
        return found

    def owner(self, record: Record, mark: tuple[int, int] | None) -> tuple[int, int]:
        return mark or record.position

    def shards(self, generation: Generation) -> list[Shard]:
        return self.redis.shards[generation.id]


def merge(packed: bytes | None, change: Partial) -> bytes:
    held = VIEW.codec.unpack(packed) if packed is not None else VIEW.zero
    return VIEW.codec.pack(VIEW.merge(held, change))
