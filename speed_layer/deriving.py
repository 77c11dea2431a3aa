"""Columns that a source declares, derived from an event and those before it, micro-batch by micro-batch.

`_STEPS` says for each class of declaration how. A step gets decoded events and gives them on with its
columns; rows that carry a note go through it as they are. Its state may be written any number of times, as
fields are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame

from core.corrections import Corrections
from core.declarations import Declaration, step_of
from core.folders import Folders
from core.handoff import Generation
from core.identity import Identity
from core.lookups import Lookup
from core.visits import Visits, declared_visits
from speed_layer.correct_step import CorrectStep
from speed_layer.decode_step import SPARK
from speed_layer.looking_up import look_up
from speed_layer.micro_batch import MicroBatch
from speed_layer.persons import persons
from speed_layer.visit_step import VisitStep, by_user, known, unknown_before

__all__ = ["MicroBatch", "derive", "unknown_at_start"]


def _corrected(events: DataFrame, declared: Corrections, batch: MicroBatch) -> DataFrame:
    step = CorrectStep(
        declared, batch.contract, batch.used, batch.redis, batch.layout, batch.generation, batch.fence,
        batch.shards, batch.window, batch.count_from, batch.history,
    )  # fmt: skip
    return events.mapInArrow(step, step.schema)


# decoded events: `SEGMENT`, `NOTE`, `POSITION`, those of the contract's columns that are read, and what was
# derived before
Step = Callable[[DataFrame, Any, MicroBatch], DataFrame]


def _visits(events: DataFrame, visits: Visits, batch: MicroBatch) -> DataFrame:
    consumed = max(batch.segments.base, batch.count_from)
    resolution = batch.persons if visits.of_persons else None
    index = known(batch.folders, batch.semantics, batch.count_from, consumed, batch.whole, resolution)
    step = VisitStep(
        visits, batch.contract.event_time, batch.redis, batch.layout, batch.generation, batch.fence,
        batch.count_from, index,
    )  # fmt: skip
    types = {name: SPARK.get(kind, kind) for name, kind in visits.columns.items()}
    return by_user(events, visits, step, batch.shards, batch.tasks, types)


def unknown_at_start(
    declarations: Sequence[Declaration], folders: Folders, generation: Generation
) -> str | None:
    """What a generation that starts at a cut does not know of what lies before; None if it knows all."""
    visits = declared_visits(declarations)
    if visits is None:
        return None
    resolution = generation.resolution if visits.of_persons else None
    return unknown_before(folders, generation.semantics, generation.start_cut, resolution)


_STEPS: Mapping[type[Declaration], Step] = {
    Corrections: _corrected,
    Lookup: lambda events, lookup, _: look_up(events, lookup),
    Visits: _visits,
    Identity: persons,
}


def derive(events: DataFrame, declarations: Sequence[Declaration], batch: MicroBatch) -> DataFrame:
    """The events with their derived columns, in the order of the declarations."""
    for declared in declarations:
        events = step_of("speed layer", _STEPS, declared)(events, declared, batch)
    return events
