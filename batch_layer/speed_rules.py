"""Columns that a source declares as the speed layer derives them, for the check of a publish.

`_STEPS` says for each class of declaration how. What a step cannot know to the unit, it gives as `Contested`,
with the cause that a difference there has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame

from batch_layer.looking_up import look_up
from batch_layer.segment_events import SegmentEvents
from conf.settings import Settings
from core.contracts import Contract
from core.cuts import Cut
from core.declarations import Declaration, step_of
from core.handoff import Generation
from core.lookups import Lookup

__all__ = ["Compared", "derive_as_speed"]


@dataclass(frozen=True)
class Compared:
    """What is compared: segments from cut `start` to before the last of `cuts`, as `generation` has them.

    `master` is the master dataset that covers them, and all before.
    """

    contract: Contract
    master: DataFrame
    cuts: Sequence[Cut]
    start: Cut
    generation: Generation
    settings: Settings


Step = Callable[[SegmentEvents, Any, Compared], SegmentEvents]
_STEPS: Mapping[type[Declaration], Step] = {
    Lookup: lambda events, lookup, _: replace(events, frame=look_up(events.frame, lookup)),
}


def derive_as_speed(
    events: SegmentEvents, declarations: Sequence[Declaration], compared: Compared
) -> SegmentEvents:
    """The events with their derived columns; those that are not counted may have none."""
    for declared in declarations:
        events = step_of("hand-off check", _STEPS, declared)(events, declared, compared)
    return events
