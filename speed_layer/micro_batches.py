"""One micro-batch after the other: intent, fields, stamps, progress, and at its end perhaps a cut."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event, Lock

from pyspark.sql import DataFrame

from core.cuts import ZERO, Cut, CutRegistry, Offsets, cuts_within, reaches, segment_of
from core.errors import EntryTaken, IntentMismatch, StateLost
from core.faults import reach
from core.handoff import Generation, Intent, Progress, check_intent, may_cut, respects
from core.logs import Logger
from core.manifest import Publications
from speed_layer.checkpoint import Checkpoint
from speed_layer.decode_step import Segments
from speed_layer.event_chains import History
from speed_layer.faults import RedisAway, RedisFull, StartOver
from speed_layer.histories import Histories
from speed_layer.notes import Notes
from speed_layer.pipeline import Pipeline
from speed_layer.state import SpeedState

__all__ = ["MicroBatches", "Stopped", "segments_of"]

_LONGEST_WAIT = 5.0
_LOOK = 0.05
_OF_CORRECTIONS = ("corrected", "retractions", "unmatched")


class Stopped(Exception):
    """Told to stop while a micro-batch could not be written; the next start replays it."""


def segments_of(cuts: Sequence[Cut], start: Offsets, end: Offsets) -> Segments:
    """How the records of [start, end) fall into segments."""
    base, dividing = cuts_within(cuts, start, end)
    return Segments(base, {p: [cut.offset(p) for cut in dividing] for p in end})


@dataclass
class MicroBatches:
    """What `foreachBatch` calls. Keeps the newest committed progress; `failure` is what ended the query.

    Once `ended` is set nothing is tried again and no cut is made: another generation may be written already.
    A job that follows does not lead: it makes no cut, and goes no further than `pace` allows, which is where
    the leader stands: then no cut that the leader makes can lie behind what the follower has written.
    `trouble` says why nothing advances, while that is so. `histories` are there where events are corrected.
    """

    generation: Generation
    progress: Progress
    state: SpeedState
    pipeline: Pipeline
    checkpoint: Checkpoint
    cuts: CutRegistry
    publications: Publications
    cut_interval: float
    log: Logger
    stop: Event
    clock: Callable[[], float] = time.monotonic
    lock: Lock = field(default_factory=Lock)
    failure: Exception | None = None
    ended: Event = field(default_factory=Event)
    leads: bool = True
    pace: Callable[[], Offsets] | None = None
    trouble: RedisAway | RedisFull | None = None
    histories: Histories | None = None
    _cut_at: float = float("-inf")

    def __call__(self, frame: DataFrame, batch: int) -> None:
        try:
            with self.lock:
                self._patiently(frame, batch)
        except Exception as error:
            self.failure = error  # Spark hands on its text alone
            raise

    def _patiently(self, frame: DataFrame, batch: int) -> None:
        """The micro-batch, tried until Redis takes it: it may be written any number of times."""
        wait, spoke = 0.25, float("-inf")
        self._keep_pace(batch)
        while not self.ended.is_set():
            try:
                self._write(frame, batch)
                self.trouble = None
                return
            except (RedisAway, RedisFull) as error:
                self.trouble = error
                if self.clock() - spoke >= _LONGEST_WAIT:
                    event = "redis_full" if isinstance(error, RedisFull) else "redis_away"
                    self.log.warning(event, batch=batch, reason=str(error), consequence="nothing advances")
                    spoke = self.clock()
            if self.stop.wait(wait):
                raise Stopped(f"micro-batch {batch}")
            wait = min(wait * 2, _LONGEST_WAIT)
        raise Stopped(f"micro-batch {batch} of a generation that ended")

    def _keep_pace(self, batch: int) -> None:
        end = self.checkpoint.end(batch)
        while (pace := self.pace) is not None and not reaches(pace(), end):
            if self.ended.is_set() or self.stop.wait(_LOOK):
                raise Stopped(f"micro-batch {batch}, behind a leader that ended")

    def _write(self, frame: DataFrame, batch: int) -> None:
        began = self.clock()
        end, cuts = self.checkpoint.end(batch), self.cuts.all()
        if batch == self.progress.batch:
            return self._check_repeated(batch, end)
        reach("speed.intent.before")
        self._intend(batch, end, cuts)
        reach("speed.intent.after")
        segments = segments_of(cuts, self.progress.end, end)
        count_from = max(self.generation.start_cut, self.progress.floor)
        history = self._history(count_from)
        whole = self.progress.lost is None
        notes = self.pipeline.run(frame, batch, segments, count_from, whole, history)
        written = self.clock()
        reach("speed.stamps.before")
        self.state.stamp(self.generation, batch)
        reach("speed.progress.before")
        self._advance(replace(self.progress, batch=batch, end=end, cuts=len(cuts)))
        reach("speed.progress.after")
        self.maintain()
        self._report(batch, notes, written - began, self.clock() - written)

    def _history(self, below: int) -> History | None:
        """The chains of events below cut `below`, where a correction may name one of those.

        Where no version has them, what corrections take back is missing: that is declared as a loss is.
        """
        if self.histories is None or not below:
            return None
        found = self.histories.covering(below)
        if found is None and self.progress.lost is None:
            lost = f"no version of these definitions tells corrections what the events below cut {below} were"
            self._advance(replace(self.progress, lost=lost))
        return found

    def _check_repeated(self, batch: int, end: Offsets) -> None:
        """Spark replays a micro-batch that was committed here and not yet there."""
        if dict(end) != dict(self.progress.end):
            raise StartOver(f"micro-batch {batch} ended at {self.progress.end}, and is replayed up to {end}")

    def _intend(self, batch: int, end: Offsets, cuts: Sequence[Cut]) -> None:
        if batch != self.progress.batch + 1:
            raise StartOver(f"micro-batch {batch} does not follow {self.progress.batch}")
        planned = Intent(batch, self.progress.end, end, len(cuts), self.generation.semantics)
        stored = self.state.intent(self.generation.id)
        if stored is not None and stored.batch == batch:
            try:
                check_intent(stored, planned)
            except IntentMismatch as error:
                raise StartOver(str(error)) from error
            self._require_respect(cuts, stored.cuts, stored.end)
        elif batch > 0 and (stored is None or stored.batch != batch - 1):
            raise StateLost(f"the intent before micro-batch {batch} is gone: {stored}")
        if self.progress.batch >= 0:
            self._require_respect(cuts, self.progress.cuts, self.progress.end)
        self.state.intend(self.generation.id, planned)

    def _require_respect(self, cuts: Sequence[Cut], known: int, consumed: Offsets) -> None:
        if not respects(cuts, known, consumed):
            raise StartOver(f"a cut was made behind {dict(consumed)}, which is written: {cuts[known:]}")

    def maintain(self) -> None:
        """Between micro-batches, under the lock: follow others' cuts and publishes, perhaps make a cut."""
        if self.ended.is_set():
            return
        cuts = self.cuts.all()
        if self.progress.batch >= 0:
            self._require_respect(cuts, self.progress.cuts, self.progress.end)
        followed = replace(self.progress, cuts=len(self._perhaps_cut(cuts)))
        floor = self._floor()
        if floor > followed.floor:
            self.state.raise_floor(self.generation, floor)
            reach("speed.floor.after")
            followed = replace(followed, floor=floor)
        if followed != self.progress:
            self._advance(followed)

    def _floor(self) -> int:
        pointer = self.publications.current()
        kept = max(self.generation.start_cut, self.progress.floor)
        if pointer is not None and pointer.boundary < kept:
            raise StartOver(
                f"readers went back to boundary {pointer.boundary}, and segments from {kept} on are held"
            )
        if pointer is not None and self.progress.lost and pointer.boundary > self.generation.start_cut:
            # what was lost may lie before the new boundary: beginning there, none of it is needed
            raise StartOver(f"readers went on to boundary {pointer.boundary}: {self.progress.lost}")
        return max(kept, pointer.floor) if pointer is not None else kept

    def lead(self, former: "MicroBatches") -> None:
        """This generation's end is where cuts stand from now on."""
        self._cut_at = former._cut_at
        self.leads = True

    def _begun(self) -> bool:
        """Whether a job that died had begun the next micro-batch: a cut now would lie behind its fields."""
        intent = self.state.intent(self.generation.id)
        return intent is not None and intent.batch > self.progress.batch

    def _perhaps_cut(self, cuts: Sequence[Cut]) -> Sequence[Cut]:
        latest, consumed = cuts[-1] if cuts else ZERO, self.progress.end
        if (
            not self.leads
            or self.progress.batch < 0
            or not may_cut(latest, consumed, self._cut_at, self.clock(), self.cut_interval)
            or self._begun()
        ):
            return cuts
        reach("speed.cut.before")
        try:
            made = self.cuts.make(consumed, f"speed {self.generation.id}")
        except EntryTaken:
            return cuts  # the batch job made one; the next look follows it
        reach("speed.cut.after")
        self._cut_at = self.clock()
        self.log.info("cut_made", cut=made.number, offsets=dict(made.offsets))
        return [*cuts, made]

    def _advance(self, progress: Progress) -> None:
        self.state.advance(self.generation.id, progress)
        self.progress = progress

    def segment(self) -> int:
        """No record that is still to come has a smaller segment."""
        cuts, end = self.cuts.all(), self.progress.end
        return min((segment_of(partition, offset, cuts) for partition, offset in end.items()), default=0)

    def _report(self, batch: int, notes: Notes, seconds: float, after: float) -> None:
        counts = {
            name: notes.count(name)
            for name in ("records", "counted", "refused", "duplicates", "fields", "merged")
        }
        times = {name: round(s, 3) for name, s in notes.numbers.items() if name.endswith("_seconds")}
        self.log.info(
            "micro_batch",
            batch=batch,
            **counts,
            **{name: notes.count(name) for name in _OF_CORRECTIONS if name in notes.numbers},
            seconds=round(seconds + after, 3),
            job_seconds=round(seconds, 3),
            **times,
        )
