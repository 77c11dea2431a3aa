"""The speed job. After a crash it knows what Redis and its checkpoint hold, and nothing else."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from core.cuts import Cut, Offsets, reaches
from core.errors import EntryTaken, ForeignLog, IntentMismatch, StateLost
from core.handoff import (
    Generation,
    Intent,
    Lease,
    Progress,
    as_of,
    check_intent,
    may_cut,
    respects,
)
from core.rebuilds import RebuildRequest
from tests.model.counting import Fields, Marks
from tests.model.generations import Generations
from tests.model.redis import Shard
from tests.model.world import World

CUT_INTERVAL = 2


class Speed(Generations):
    """The leader, and beside it the generation that is rebuilt, if one is asked for."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.busy = False

    def work(self, appetite: int) -> Iterator[None]:
        """One round of the leader. What it cannot go on with, it begins anew from the boundary."""
        self.busy = True
        try:
            generation = self.generation(self.redis.writing)
            yield from self.tend(generation)
            yield from self.micro_batch(generation, appetite, self.world.ends())
            yield from self.make_cut(generation)
        except (IntentMismatch, StateLost):
            yield from self.begin()
        except ForeignLog:
            return
        finally:
            self.busy = False

    def follow(self, appetite: int) -> Iterator[None]:
        """One round of a rebuild: it goes no further than the leader stands, until it takes its place."""
        request, leader = self.requested(), self.redis.progress(self.redis.writing)
        if request is None or leader is None or not self.asked(request):
            return
        try:
            follower = self.generation(self.redis.following)
            yield from self.tend(follower)
            yield from self.micro_batch(follower, appetite, self.pace(leader))
            self.succeed(follower)
        except (IntentMismatch, StateLost):
            yield from self.begin(beside=True)
        except ForeignLog:
            return

    def requested(self) -> RebuildRequest | None:
        return self.redis.rebuild

    def asked(self, request: RebuildRequest) -> bool:
        """A request is void once readers use another generation."""
        if request.replace not in (self.redis.writing, self.redis.current):
            self.redis.rebuild = None
        return request.replace == self.redis.writing

    def pace(self, leader: Progress) -> Offsets:
        return leader.end

    def succeed(self, follower: Generation) -> None:
        """In one step, and while the leader writes nothing, the follower leads and readers use it."""
        leader, reached = self.redis.progress(self.redis.writing), self.progress(follower).end
        if not self.busy and leader and reaches(reached, leader.end):
            self.redis.leases.pop(self.redis.writing or "", None)
            self.redis.writing = self.redis.current = follower.id
            self.redis.following = self.redis.rebuild = None

    # --- between micro-batches, also when the log is idle -------------------------------------------------

    def tend(self, generation: Generation) -> Iterator[None]:
        """Follow the cuts, drop below the floor, vouch for the state, let readers move here."""
        progress = self.progress(generation)
        cuts, pointer = self.world.cuts.all(), self.world.publications.current()
        self.check_cuts(cuts, progress)
        self.check_stamps(generation, progress)
        if pointer and progress.floor > pointer.boundary:
            raise StateLost("a roll-back needs what was dropped")
        if pointer and progress.lost and pointer.boundary > generation.start_cut:
            raise StateLost("what it lost may lie before the boundary now")
        self.store(generation, replace(progress, cuts=len(cuts)))
        yield
        yield from self.drop(generation, self.floor())
        self.vouch(generation)
        yield
        self.move_readers(generation)

    def floor(self) -> int:
        pointer = self.world.publications.current()
        return pointer.floor if pointer else 0

    def check_cuts(self, cuts: list[Cut], progress: Progress) -> None:
        if not respects(cuts, progress.cuts, progress.end):
            raise StateLost("a cut lies behind what was consumed")

    def check_stamps(self, generation: Generation, progress: Progress) -> None:
        if any(shard.stamp is None or shard.stamp < progress.batch for shard in self.shards(generation)):
            raise StateLost("a shard is older than the progress")

    def drop(self, generation: Generation, floor: int) -> Iterator[None]:
        """All say what is dropped before anything is."""
        if floor > self.progress(generation).floor:
            for shard in self.shards(generation):
                shard.floor = max(shard.floor, floor)
                yield
            self.store(generation, replace(self.progress(generation), floor=floor))
            yield
        for shard in self.shards(generation):
            if shard.stale:
                shard.drop()
                yield

    def vouch(self, generation: Generation) -> None:
        progress, ends = self.progress(generation), self.world.ends()
        waiting = {p: self.world.log[p][progress.end.get(p, 0) :] for p in ends}
        oldest = {p: float(records[0].at) for p, records in waiting.items() if records}
        time = self.as_of(ends, progress.end, oldest)
        self.redis.leases[generation.id] = Lease(progress.batch, time, self.world.now)

    def as_of(self, ends: Offsets, consumed: Offsets, oldest: Mapping[int, float]) -> float:
        return as_of(self.world.now, ends, consumed, oldest)

    def move_readers(self, generation: Generation) -> None:
        """Move to the leader once it is as far as the old one, or the old one is gone."""
        old = self.redis.progress(self.redis.current)
        if generation.id in (self.redis.current, self.redis.following):
            return
        if old is None or reaches(self.progress(generation).end, old.end):
            self.redis.current = generation.id

    # --- a micro-batch ------------------------------------------------------------------------------------

    def micro_batch(self, generation: Generation, appetite: int, limit: Offsets) -> Iterator[None]:
        checkpoint = self.world.checkpoints[generation.id]
        batch = checkpoint.next
        if batch not in checkpoint.planned:
            start, end = checkpoint.end, self.world.after(checkpoint.end, appetite, limit)
            self.check_kept(start)
            if start == end:
                return
            checkpoint.planned[batch] = (start, end)
            yield
        intent = self.intend(generation, batch, *checkpoint.planned[batch])
        self.world.intended[generation.id, batch] = intent
        yield
        self.check_kept(intent.start)
        fields, marks = yield from self.count(generation, intent)
        for place, shard in enumerate(self.shards(generation)):
            yield from self.write(shard, batch, fields[place], marks[place])
        floor = self.progress(generation).floor
        lost = self.progress(generation).lost
        self.store(generation, Progress(batch, intent.end, intent.cuts, floor, lost))
        yield
        checkpoint.committed = batch
        self.vouch(generation)
        yield

    def check_kept(self, start: Offsets) -> None:
        if any(self.world.begin(partition) > offset for partition, offset in start.items()):
            raise StateLost("the log dropped what was not read")

    def write(self, shard: Shard, batch: int, fields: Fields, marks: Marks) -> Iterator[None]:
        shard.write(batch, fields, marks, self.world.merge)
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
