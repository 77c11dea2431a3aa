"""The speed job. After a crash it knows what Redis and its checkpoint hold, and nothing else."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from core.cuts import Cut, reaches, segment_of
from core.errors import EntryTaken, IntentMismatch, StateLost
from core.handoff import (
    Generation,
    Intent,
    Lease,
    Progress,
    as_of,
    check_intent,
    may_cut,
    respects,
    window_start,
)
from core.keys import shard_of
from core.layout import event_digest, mark_shard
from core.measures import Partial
from tests.model.redis import Name, Shard
from tests.model.world import SHARDS, SOURCE, VIEW, WINDOW, Checkpoint, Record, World

CUT_INTERVAL = 2
Fields = dict[Name, Partial]
Marks = dict[bytes, tuple[int, int]]


class Speed:
    shard = Shard

    def __init__(self, world: World) -> None:
        self.world, self.redis = world, world.redis

    def work(self, appetite: int) -> Iterator[None]:
        """One round of the job. What it cannot go on with, it begins anew from the boundary."""
        try:
            generation = self.generation()
            yield from self.tend(generation)
            yield from self.micro_batch(generation, appetite)
            yield from self.make_cut(generation)
        except (IntentMismatch, StateLost):
            yield from self.begin()

    def generation(self) -> Generation:
        found = self.redis.generation(self.redis.writing)
        if found is None or found.semantics != str(self.world.semantics):
            raise StateLost("no generation of these definitions")
        return found

    # --- a generation -------------------------------------------------------------------------------------

    def begin(self) -> Iterator[None]:
        """Start a generation at the floor; the old one goes on answering until this one has caught up."""
        pointer, cuts = self.world.publications.current(), self.world.cuts.all()
        start = pointer.floor if pointer else 0
        name = f"g{len(self.world.checkpoints)}"
        first = self.reads_from(start)
        generation = Generation(
            name,
            SOURCE.name,
            start,
            self.world.cuts.get(start).offsets,
            str(self.world.semantics),
            SHARDS,
            "cluster",
            "topic",
        )
        self.world.checkpoints[name] = Checkpoint(first)
        self.redis.meta[name] = generation.to_json()
        self.redis.shards[name] = [self.shard(stamp=-1, floor=start) for _ in range(SHARDS)]
        yield
        self.redis.progresses[name] = Progress(-1, first, len(cuts), start).to_json()
        yield
        self.redis.writing = name

    def reads_from(self, start: int) -> dict[int, int]:
        """Some segments before the start are read for their marks alone."""
        return dict(self.world.cuts.get(window_start(start, WINDOW)).offsets)

    # --- between micro-batches, also when the log is idle -------------------------------------------------

    def tend(self, generation: Generation) -> Iterator[None]:
        """Follow the cuts, drop below the floor, vouch for the state, let readers move here."""
        progress = self.progress(generation)
        cuts, pointer = self.world.cuts.all(), self.world.publications.current()
        self.check_cuts(cuts, progress)
        self.check_stamps(generation, progress)
        if pointer and progress.floor > pointer.boundary:
            raise StateLost("a roll-back needs what was dropped")
        self.store(generation, replace(progress, cuts=len(cuts)))
        yield
        yield from self.drop(generation, pointer.floor if pointer else 0)
        self.vouch(generation)
        yield
        self.move_readers(generation)

    def check_cuts(self, cuts: list[Cut], progress: Progress) -> None:
        if not respects(cuts, progress.cuts, progress.end):
            raise StateLost("a cut lies behind what was consumed")

    def check_stamps(self, generation: Generation, progress: Progress) -> None:
        if any(shard.stamp is None or shard.stamp < progress.batch for shard in self.shards(generation)):
            raise StateLost("a shard is older than the progress")

    def drop(self, generation: Generation, floor: int) -> Iterator[None]:
        if floor > self.progress(generation).floor:
            for shard in self.shards(generation):
                shard.drop(floor)
                yield
            self.store(generation, replace(self.progress(generation), floor=floor))
            yield

    def vouch(self, generation: Generation) -> None:
        progress, ends = self.progress(generation), self.world.ends()
        waiting = {p: self.world.log[p][progress.end.get(p, 0) :] for p in ends}
        oldest = {p: float(records[0].at) for p, records in waiting.items() if records}
        time = as_of(self.world.now, ends, progress.end, oldest)
        self.redis.leases[generation.id] = Lease(progress.batch, time, self.world.now)

    def move_readers(self, generation: Generation) -> None:
        """Move to this generation once it is as far as the old one, or the old one is gone."""
        old = self.redis.progress(self.redis.current)
        if self.redis.current == generation.id:
            return
        if old is None or reaches(self.progress(generation).end, old.end):
            self.redis.current = generation.id

    # --- a micro-batch ------------------------------------------------------------------------------------

    def micro_batch(self, generation: Generation, appetite: int) -> Iterator[None]:
        checkpoint = self.world.checkpoints[generation.id]
        batch = checkpoint.next
        if batch not in checkpoint.planned:
            start, end = checkpoint.end, self.world.after(checkpoint.end, appetite)
            if start == end:
                return
            checkpoint.planned[batch] = (start, end)
            yield
        intent = self.intend(generation, batch, *checkpoint.planned[batch])
        yield
        fields, marks = self.partials(generation, intent)
        for place, shard in enumerate(self.shards(generation)):
            yield from self.write(shard, batch, fields[place], marks[place])
        floor = self.progress(generation).floor
        self.store(generation, Progress(batch, intent.end, intent.cuts, floor))
        yield
        checkpoint.committed = batch
        self.vouch(generation)
        yield

    def write(self, shard: Shard, batch: int, fields: Fields, marks: Marks) -> Iterator[None]:
        shard.write(batch, fields, marks, merge)
        yield

    def intend(self, generation: Generation, batch: int, start: Any, end: Any) -> Intent:
        """Say what will be written before it is; a replay keeps to what was said, its cuts included."""
        planned = Intent(batch, start, end, self.progress(generation).cuts, str(self.world.semantics))
        stored = self.redis.intent(generation.id)
        if stored and stored.batch >= batch:
            return self.replay(stored, planned)
        self.redis.intents[generation.id] = planned.to_json()
        return planned

    def replay(self, stored: Intent, planned: Intent) -> Intent:
        check_intent(stored, planned)
        return stored

    def partials(self, generation: Generation, intent: Intent) -> tuple[list[Fields], list[Marks]]:
        """For each shard its changed fields and its new marks."""
        cuts = self.world.cuts.all()[: intent.cuts]
        fields: list[Fields] = [{} for _ in range(SHARDS)]
        marks: list[Marks] = [{} for _ in range(SHARDS)]
        records = [record for record in self.world.read(intent.start, intent.end) if record.valid]
        owners = self.owners(generation, records)
        for record in records:
            segment, digest = segment_of(*record.position, cuts), event_digest(record.event_id)
            marks[mark_shard(digest, SHARDS)][digest] = owners[digest]
            if segment >= generation.start_cut and owners[digest] == record.position:
                (key, bucket), partial = record.field, record.partial(self.world.semantics)
                place = fields[shard_of(VIEW.name, key, SHARDS)]
                name = (key, segment, bucket)
                place[name] = VIEW.merge(place.get(name, VIEW.zero), partial)
        return fields, marks

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

    def make_cut(self, generation: Generation) -> Iterator[None]:
        progress, latest = self.progress(generation), self.world.cuts.latest()
        made = self.world.cut_times.get(latest.number, 0)
        if latest.number == progress.cuts and may_cut(
            latest, progress.end, made, self.world.now, CUT_INTERVAL
        ):
            with suppress(EntryTaken):
                cut = self.world.cuts.make(progress.end, "speed")
                self.world.cut_times[cut.number] = self.world.now
            yield

    # --- what is kept -------------------------------------------------------------------------------------

    def progress(self, generation: Generation) -> Progress:
        found = self.redis.progress(generation.id)
        if found is None:
            raise StateLost("no progress")
        return found

    def store(self, generation: Generation, progress: Progress) -> None:
        self.redis.progresses[generation.id] = progress.to_json()

    def shards(self, generation: Generation) -> list[Shard]:
        return self.redis.shards[generation.id]


def merge(packed: bytes | None, change: Partial) -> bytes:
    held = VIEW.codec.unpack(packed) if packed is not None else VIEW.zero
    return VIEW.codec.pack(VIEW.merge(held, change))
