"""Rule 9 at work: before a publish, the speed state of the segments it takes over is held against the log."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.compare_step import CompareStep, outcome
from batch_layer.compared import Compared
from batch_layer.field_folds import FIELDS, FieldFolds
from batch_layer.handoff_table import HandoffTable
from batch_layer.identity_findings import corrections
from batch_layer.segment_events import SegmentEvents, read_segments
from batch_layer.speed_rules import derive_as_speed
from batch_layer.speed_state import SpeedSilent, SpeedState
from conf.settings import Settings, variable
from core.application import BoundSource
from core.cuts import Cut
from core.equality import KEYS, Cause, Finding, Tally, attributed, findings, merged
from core.errors import HandoffUnequal
from core.folders import Folders
from core.handoffs import Handoff
from core.identity import identity_of
from core.logs import Logger
from core.losses import lost_from
from core.manifest import Manifest, Pointer
from core.resolutions import FILE
from core.standing import Standing, behind, chosen_shards, counted_lost, objection
from core.views import CompiledView

__all__ = ["HandoffCheck"]

_LOOK = 0.5


@dataclass(frozen=True)
class HandoffCheck:
    """The checks of one source. `now` dates records, `clock` measures durations, `wait` lets time pass."""

    spark: SparkSession
    settings: Settings
    bound: BoundSource
    folders: Folders
    state: SpeedState
    log: Logger
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def before(self, manifest: Manifest, parent: Pointer | None) -> Handoff:
        """Compares, and keeps the record, of a version that is about to be published.

        An unknown difference condemns the generation. Raises HandoffUnequal if the settings let that block.
        """
        cuts = self.folders.cuts()
        start, boundary = cuts.get(parent.boundary if parent else 0), cuts.get(manifest.boundary)
        found, standing = self._check(manifest, start, boundary)
        HandoffTable(self.spark, self.folders).keep(found)
        told = (
            {"reason": found.reason} if found.reason else {"records": found.records, "seconds": found.seconds}
        )
        self.log.info("handoff_checked", version=found.version, verdict=found.verdict, **told)
        wrong = self._alarm(found) if found.unknown else standing.condemned if standing else None
        if wrong is not None:
            self._condemn(str(found.generation), wrong)
            if self.settings.handoff_blocks:
                raise HandoffUnequal(found.version, wrong, variable("handoff_blocks"))
        elif standing is not None:
            self._doubt(standing, manifest)
        return found

    def _doubt(self, standing: Standing, manifest: Manifest) -> None:
        """Condemns a generation that keeps events which the version lost, where later ones follow from those.

        It blocks nothing: a rebuilt one cannot have read them.
        """
        lost = counted_lost(standing, manifest.losses)
        if lost and not all(declared.additive for declared in self.bound.declarations):
            self._condemn(standing.generation.id, lost)

    def _alarm(self, found: Handoff) -> str:
        self.log.error(
            "handoff_unequal",
            version=found.version,
            generation=found.generation,
            reason=found.alarm(),
            consequence="the batch view counts; the generation is condemned and rebuilt",
        )
        return found.alarm()

    def _condemn(self, generation: str, reason: str) -> None:
        """Also one that is condemned already: its rebuild may have been given up."""
        try:
            self.state.condemn(generation, reason)
        except SpeedSilent as error:
            self.log.error("generation_not_condemned", generation=generation, reason=str(error))

    def _check(self, manifest: Manifest, start: Cut, boundary: Cut) -> tuple[Handoff, Standing | None]:
        began, standing = self.clock(), None
        made = Handoff(manifest.version, start.number, boundary.number, self.now().isoformat())
        try:
            standing = self._look(boundary)
            made = replace(made, generation=standing.generation.id, of=standing.generation.shards)
            reason = _objection(standing, manifest, start, boundary)
            made = replace(made, reason=reason) if reason else self._compared(made, standing, manifest)
            reason = made.reason or self._since(standing, manifest, start, boundary)
            made = _impossible(made, reason) if reason else made
        except SpeedSilent as error:
            made = _impossible(made, str(error))
        return replace(made, seconds=round(self.clock() - began, 1)), standing

    def _since(self, before: Standing, manifest: Manifest, start: Cut, boundary: Cut) -> str | None:
        """What became of the state while it was read that makes what was found worthless."""
        after = self.state.standing()
        moved = after.generation.id != before.generation.id or after.progress.batch < before.progress.batch
        reason = "readers moved" if moved else _objection(after, manifest, start, boundary)
        return f"the speed state changed while it was read: {reason}" if reason else None

    def _look(self, boundary: Cut) -> Standing:
        """Where the speed state stands, once it has passed the boundary or has had time to."""
        deadline = self.clock() + self.settings.handoff_wait
        standing = self.state.standing()
        while standing.alive and behind(standing, boundary) and self.clock() < deadline:
            self.wait(_LOOK)
            standing = self.state.standing()
        return standing

    def _compared(self, made: Handoff, standing: Standing, manifest: Manifest) -> Handoff:
        cuts, generation = self.folders.cuts().all()[: made.boundary], standing.generation
        start = cuts[made.start - 1] if made.start else Cut(0, {})
        records = sum(end - start.offset(partition) for partition, end in manifest.offsets.items())
        shards = chosen_shards(generation.shards, records, self.settings.handoff_records, made.version)
        made = replace(made, records=records, shards=shards)
        master = self.spark.read.format("delta").option("versionAsOf", manifest.archive_version)
        rows = master.load(str(self.folders.master))
        events = read_segments(
            rows, self.bound.contract, cuts, start, generation.reads_from, self.settings.dedupe_window
        )
        declarations = self.bound.declarations
        compared = Compared(self.bound.contract, rows, cuts, start, generation, self.settings, declarations)
        events = derive_as_speed(events, declarations, compared)
        try:
            held = self._held(made, standing, events)
            if held.reason:
                return held
            return replace(held, findings=(*held.findings, *self._corrections(compared, events, manifest)))
        finally:
            self.spark.catalog.clearCache()

    def _held(self, made: Handoff, standing: Standing, events: SegmentEvents) -> Handoff:
        views, of = tuple(self.bound.views.values()), standing.generation.shards
        folds = [FieldFolds(view, number, of, made.shards) for number, view in enumerate(views)]
        step = CompareStep(*self.state.place(), standing.generation.id, views, made.start, made.boundary)
        tallies, fault = outcome(
            self._fields(folds, events, made.shards).mapInArrow(step, step.schema).collect()
        )
        if fault is not None:
            return replace(made, reason=f"the speed state could not be read: {fault}")
        late = events.late.persist()
        copies = 0 if late.isEmpty() else late.count()
        lines = [
            line for fold in folds for line in _lines(fold, tallies.get(fold.number, ()), events, copies)
        ]
        return replace(made, findings=tuple(lines))

    def _corrections(self, compared: Compared, events: SegmentEvents, manifest: Manifest) -> list[Finding]:
        """Where this version says of ids that they are other persons than those of the speed layer."""
        identity, content = identity_of(self.bound.declarations), manifest.resolution
        if identity is None or content == compared.generation.resolution:
            return []
        path = self.folders.index(manifest.version) / FILE if content else None
        return corrections(self.bound, identity, events, compared, path)

    def _fields(self, folds: list[FieldFolds], events: SegmentEvents, shards: Sequence[int]) -> DataFrame:
        """Rows of `FIELDS`, a shard after the other; each shard has a row, so that it is walked through."""
        marks = self.spark.createDataFrame([(shard, -1, "", 0, 0, None, None) for shard in shards], FIELDS)
        frames = [fold.folded(events.counted) for fold in folds]
        if events.taken is not None:
            frames += [fold.taken_back(events.taken) for fold in folds]
        for contested in (each for each in events.contested if not each.events.isEmpty()):
            touched = [fold for fold in folds if contested.touches(fold.view)]
            frames += [fold.contested(contested) for fold in touched]
        together = reduce(DataFrame.unionByName, frames, marks)
        place = F.create_map(*[F.lit(n) for at in enumerate(shards) for n in at[::-1]])[F.col("shard")]
        placed = together.repartitionById(len(shards), place.cast("int"))
        return placed.sortWithinPartitions("shard", "name")


def _objection(standing: Standing, manifest: Manifest, start: Cut, boundary: Cut) -> str | None:
    if boundary.number <= start.number:
        return f"the boundary stands at {boundary.number}: there are no segments to compare"
    lost = lost_from(manifest.losses, start.offsets)
    return lost or objection(standing, manifest.semantics, start.number, boundary)


def _impossible(made: Handoff, reason: str) -> Handoff:
    return replace(made, reason=reason, findings=(), shards=())


def _lines(fold: FieldFolds, tallies: Sequence[Tally], events: SegmentEvents, copies: int) -> list[Finding]:
    """The findings of one view, and what copies that came late and corrected events make of it."""
    tally = merged(fold.view, tallies)
    lines = findings(fold.view, tally)
    if copies:
        lines += _late(fold, fold.view, tally, events)
    if events.taken is not None:
        lines += _corrected(fold, tally, events, events.taken)
    return lines + _restated(fold, events)


def _late(fold: FieldFolds, view: CompiledView, tally: Tally, events: SegmentEvents) -> list[Finding]:
    count = fold.count(events.late)
    if not count:
        return []
    batch = fold.total(events.by_batch)
    if events.taken is not None:
        batch = view.merge(batch, view.retracted(fold.total(events.taken), fold.count(events.taken)))
    places = count, fold.first(events.late, KEYS)
    return attributed(view, batch, tally.expected, *places, Cause.DUPLICATE)


def _corrected(fold: FieldFolds, tally: Tally, events: SegmentEvents, taken: DataFrame) -> list[Finding]:
    """What batch makes of corrected events, of the measures that they could not be taken back from."""
    uncorrected = fold.view.uncorrected(tally.expected)
    if not uncorrected:
        return []
    places = fold.count(taken), fold.first(taken, KEYS)
    lines = attributed(fold.view, fold.total(events.remaining), tally.expected, *places, Cause.RESTATEMENT)
    return [line for line in lines if line.measure in uncorrected]


def _restated(fold: FieldFolds, events: SegmentEvents) -> list[Finding]:
    """What the order in which events came made of the columns that are derived from it."""
    doubt = next((doubt for doubt in events.doubts if doubt.touches(fold.view)), None)
    if doubt is None or events.restated is None:
        return []
    by_batch, doubtful = events.restated
    batch, speed = fold.total(by_batch), fold.total(events.by_batch)
    places = fold.count(doubtful), fold.first(doubtful, KEYS)
    return attributed(fold.view, batch, speed, *places, doubt.cause)
