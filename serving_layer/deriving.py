"""Columns that a source declares, derived in plain Python from records of the master dataset.

`_STEPS` says for each class of declaration how, where an event's record does not tell it alone. The version
before stands for what lies before it: `past_events.Before`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.application import BoundSource
from core.corrections import Corrections
from core.declarations import Declaration, step_of
from core.errors import DefinitionError, NotEvaluable
from core.identity import Identity
from core.keys import columns_in
from core.per_event import Derive, PerEvent
from core.views import CompiledView
from core.visits import Visits
from serving_layer.past_corrections import corrected
from serving_layer.past_events import Before, PastEvent
from serving_layer.past_persons import person_of, with_persons
from serving_layer.past_visits import with_visits
from serving_layer.problems import Problem

__all__ = ["alone", "applied", "derive", "hides_key", "history_of", "is_told"]

History = Sequence[Declaration]
# events in any order, each id once, with what was derived before
Step = Callable[[Sequence[PastEvent], Any, Before], list[PastEvent]]
_STEPS: Mapping[type[Declaration], Step] = {
    Corrections: corrected,
    Visits: with_visits,
    Identity: with_persons,
}


def applied(bound: BoundSource, view: CompiledView, derives: Sequence[Derive] = ()) -> PerEvent:
    """The view for single events, which `derive` gave the columns that need others, or `derives` do. Raises
    `Problem` for one that only Spark can compute."""
    own = [derive for one in bound.deriving(view) if (derive := one.of_event()) is not None]
    try:
        return PerEvent.of(bound.definitions[view.name], view, bound.columns, [*derives, *own])
    except NotEvaluable as error:
        raise _refused(view, error) from error


def history_of(bound: BoundSource, view: CompiledView) -> History:
    """What a view needs of an event that its record does not tell alone, in order. Raises `Problem` for a
    class that is not in the table."""
    found = [one for one in bound.deriving(view) if one.of_event() is None]
    try:
        for one in found:
            step_of("API", _STEPS, one)
    except DefinitionError as error:
        raise _refused(view, error) from error
    return found


def derive(
    events: Sequence[PastEvent], history: History, view: CompiledView, before: Before
) -> list[PastEvent]:
    """Events with what `history_of` a view declares. Raises `Problem` as `applied`, and `IndexBroken`."""
    found = list(events)
    try:
        for one in history:
            found = step_of("API", _STEPS, one)(found, one, before)
    except NotEvaluable as error:
        raise _refused(view, error) from error
    return found


def is_told(one: Declaration) -> bool:
    """Whether a record, and the version before, tell the columns that are derived of it."""
    return isinstance(one, Corrections | Identity)


def alone(bound: BoundSource, history: History, view: CompiledView, before: Before) -> PerEvent:
    """The view for records: of what is derived they tell the person, and NULL for what other events decide.
    Raises `Problem` as `applied`."""
    try:
        derives = [_told_by(one, before) for one in history]
    except NotEvaluable as error:
        raise _refused(view, error) from error
    return applied(bound, view, derives)


def _told_by(one: Declaration, before: Before) -> Derive:
    if isinstance(one, Identity):
        return person_of(one, before.columns, before.persons)
    return lambda _: dict.fromkeys(one.columns)


def hides_key(bound: BoundSource, history: History, view: CompiledView) -> bool:
    """Whether the view's key is made of what all events of somebody are needed for."""
    hidden = set[str]()
    for one in bound.declarations:
        if (one in history and not is_told(one)) or not hidden.isdisjoint(one.reads):
            hidden.update(one.columns)
    return any(not hidden.isdisjoint(columns_in(part.sql)) for part in view.key.values())


def _refused(view: CompiledView, error: Exception) -> Problem:
    detail = f"{error}; ask for a retained version, which Spark made"
    return Problem.of_field("not-evaluable", "view", view.name, "version=N", detail)
