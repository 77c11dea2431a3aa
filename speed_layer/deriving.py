"""Columns that a source declares, derived from an event and those before it, micro-batch by micro-batch.

`_STEPS` says for each class of declaration how. A step gets decoded events and gives them on with its
columns; rows that carry a note go through it as they are. Its state may be written any number of times, as
fields are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from core.contracts import Contract
from core.corrections import Corrections
from core.declarations import Declaration, step_of
from core.folders import Folders
from core.layout import Layout
from core.lookups import Lookup
from core.visits import Visits
from speed_layer.clients import RedisAddress
from speed_layer.correct_step import CorrectStep
from speed_layer.decode_step import SPARK, Segments
from speed_layer.event_chains import History
from speed_layer.looking_up import look_up
from speed_layer.scripts import Fence
from speed_layer.visit_step import VisitStep, by_user, known, unknown_before

__all__ = ["MicroBatch", "derive", "unknown_at_start"]


@dataclass(frozen=True)
class MicroBatch:
    """What a step may ask beside the events. Segments below `count_from` are not counted here; `whole` says
    that the generation knew at its start all of what lies before.

    `used` are the columns of the contract that views read, with their types. `history` has the chains of
    what lies below `count_from`, where events are corrected and a version has them.
    """

    contract: Contract
    redis: RedisAddress
    layout: Layout
    generation: str
    fence: Fence
    shards: int
    tasks: int
    segments: Segments
    count_from: int
    whole: bool
    folders: Folders
    semantics: str
    window: int
    used: Mapping[str, str]
    history: History | None


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
    index = known(batch.folders, batch.semantics, batch.count_from, consumed, batch.whole)
    step = VisitStep(
        visits, batch.contract.event_time, batch.redis, batch.layout, batch.generation, batch.fence,
        batch.count_from, index,
    )  # fmt: skip
    types = {name: SPARK.get(kind, kind) for name, kind in visits.columns.items()}
    return by_user(events, visits, step, batch.shards, batch.tasks, types)


def unknown_at_start(
    declarations: Sequence[Declaration], folders: Folders, semantics: str, start_cut: int
) -> str | None:
    """What a generation that starts at a cut does not know of what lies before; None if it knows all."""
    if any(isinstance(declared, Visits) for declared in declarations):
        return unknown_before(folders, semantics, start_cut)
    return None


_STEPS: Mapping[type[Declaration], Step] = {
    Corrections: _corrected,
    Lookup: lambda events, lookup, _: look_up(events, lookup),
    Visits: _visits,
}


def derive(events: DataFrame, declarations: Sequence[Declaration], batch: MicroBatch) -> DataFrame:
    """The events with their derived columns, in the order of the declarations."""
    for declared in declarations:
        events = step_of("speed layer", _STEPS, declared)(events, declared, batch)
    return events
