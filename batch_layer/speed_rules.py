"""Columns that a source declares as the speed layer derives them, for the check of a publish.

`_STEPS` says for each class of declaration how. What a step cannot know to the unit, it gives as `Contested`,
with the cause that a difference there has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from batch_layer.compared import Compared
from batch_layer.looking_up import look_up
from batch_layer.segment_events import SegmentEvents
from batch_layer.visit_rules import as_counted
from core.declarations import Declaration, step_of
from core.lookups import Lookup
from core.visits import Visits

__all__ = ["derive_as_speed"]


def looked_up(events: SegmentEvents, declared: Lookup, _: Compared) -> SegmentEvents:
    """Into whatever frame an event came, its row of the table is the same."""
    doubts = tuple(replace(doubt, events=look_up(doubt.events, declared)) for doubt in events.doubts)
    restated = events.restated
    if restated is not None:
        restated = look_up(restated[0], declared), look_up(restated[1], declared)
    return replace(events, frame=look_up(events.frame, declared), doubts=doubts, restated=restated)


Step = Callable[[SegmentEvents, Any, Compared], SegmentEvents]
_STEPS: Mapping[type[Declaration], Step] = {Lookup: looked_up, Visits: as_counted}


def derive_as_speed(
    events: SegmentEvents, declarations: Sequence[Declaration], compared: Compared
) -> SegmentEvents:
    """The events with their derived columns; those that are not counted may have none."""
    for declared in declarations:
        events = step_of("hand-off check", _STEPS, declared)(events, declared, compared)
    return events
