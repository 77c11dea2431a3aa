"""Columns that a source declares as the speed layer derives them, for the check of a publish.

`_STEPS` says for each class of declaration how. What a step cannot know to the unit, it gives as `Contested`,
with the cause that a difference there has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import functions as F

from batch_layer.compared import Compared
from batch_layer.correcting import BY, correct
from batch_layer.events import read_counted
from batch_layer.looking_up import look_up
from batch_layer.positions import POSITION
from batch_layer.segment_events import SEGMENT, SegmentEvents
from batch_layer.segments import segment_of_position
from batch_layer.speed_persons import persons_of_generation
from batch_layer.visit_rules import as_counted
from core.corrections import Corrections
from core.declarations import Declaration, step_of
from core.identity import Identity
from core.lookups import Lookup
from core.visits import Visits

__all__ = ["derive_as_speed"]


def looked_up(events: SegmentEvents, declared: Lookup, _: Compared) -> SegmentEvents:
    """Into whatever frame an event came, its row of the table is the same."""
    doubts = tuple(replace(doubt, events=look_up(doubt.events, declared)) for doubt in events.doubts)
    restated = events.restated
    if restated is not None:
        restated = look_up(restated[0], declared), look_up(restated[1], declared)
    taken = None if events.taken is None else look_up(events.taken, declared)
    frame = look_up(events.frame, declared)
    return replace(events, frame=frame, doubts=doubts, restated=restated, taken=taken)


def corrected(events: SegmentEvents, declared: Corrections, compared: Compared) -> SegmentEvents:
    """What corrections of these segments take back, from wherever it lies, as all of history says."""
    counted = read_counted(compared.master, compared.contract, compared.cuts)
    stopped = correct(counted, declared, compared.contract).stopped
    since = stopped.where("NOT retracts").select(
        POSITION, segment_of_position(compared.cuts, BY).alias(SEGMENT)
    )
    taken = counted.join(since.where(F.col(SEGMENT) >= compared.start.number), POSITION).persist()
    frame = events.frame.where(f"NOT {declared.retracting_sql}")
    return replace(events, frame=frame, taken=taken, stopped=stopped.select(POSITION))


Step = Callable[[SegmentEvents, Any, Compared], SegmentEvents]
_STEPS: Mapping[type[Declaration], Step] = {
    Corrections: corrected,
    Lookup: looked_up,
    Visits: as_counted,
    Identity: persons_of_generation,
}


def derive_as_speed(
    events: SegmentEvents, declarations: Sequence[Declaration], compared: Compared
) -> SegmentEvents:
    """The events with their derived columns; those that are not counted may have none."""
    for declared in declarations:
        events = step_of("hand-off check", _STEPS, declared)(events, declared, compared)
    return events
