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
from core.declarations import Declaration, step_of
from core.layout import Layout
from core.lookups import Lookup
from speed_layer.clients import RedisAddress
from speed_layer.decode_step import Segments
from speed_layer.looking_up import look_up
from speed_layer.scripts import Fence

__all__ = ["MicroBatch", "derive"]


@dataclass(frozen=True)
class MicroBatch:
    """What a step may ask beside the events. Segments below `count_from` are not counted here."""

    contract: Contract
    redis: RedisAddress
    layout: Layout
    generation: str
    fence: Fence
    shards: int
    tasks: int
    segments: Segments
    count_from: int


# decoded events: `SEGMENT`, `NOTE`, `POSITION`, those of the contract's columns that are read, and what was
# derived before
Step = Callable[[DataFrame, Any, MicroBatch], DataFrame]
_STEPS: Mapping[type[Declaration], Step] = {Lookup: lambda events, lookup, _: look_up(events, lookup)}


def derive(events: DataFrame, declarations: Sequence[Declaration], batch: MicroBatch) -> DataFrame:
    """The events with their derived columns, in the order of the declarations."""
    for declared in declarations:
        events = step_of("speed layer", _STEPS, declared)(events, declared, batch)
    return events
