"""Columns that a source declares, derived from all of history: what the batch layer makes of them.

`_STEPS` says for each class of declaration how. What the speed layer makes of the same, in the segments that
a publish takes over from it, is in `speed_rules.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame

from batch_layer.correcting import chains_of, correct
from batch_layer.history import History, Told
from batch_layer.looking_up import look_up
from batch_layer.persons import persons
from batch_layer.positions import POSITION
from batch_layer.visits import roles
from core.corrections import Corrections
from core.declarations import Declaration, step_of
from core.errors import NotExact
from core.identity import Identity
from core.lookups import Lookup
from core.visits import Visits

__all__ = ["History", "Told", "check_additive", "derive"]


def corrected(events: DataFrame, declared: Corrections, history: History) -> DataFrame:
    found = correct(events, declared, history.contract)
    history.told.counts |= found.counts
    history.told.chains = chains_of(events, declared, history.contract, history.used)
    return found.frame


# events that count, each id once: `POSITION` and the contract's columns, and what was derived before
Step = Callable[[DataFrame, Any, History], DataFrame]
_STEPS: Mapping[type[Declaration], Step] = {
    Lookup: lambda events, lookup, _: look_up(events, lookup),
    Corrections: corrected,
    Visits: lambda events, visits, history: roles(events, visits, history.contract.event_time, POSITION),
    Identity: persons,
}


def derive(events: DataFrame, declarations: Sequence[Declaration], history: History) -> DataFrame:
    """All events below a boundary with their derived columns, in the order of the declarations."""
    for declared in declarations:
        events = step_of("batch layer", _STEPS, declared)(events, declared, history)
    return events


def check_additive(declarations: Sequence[Declaration]) -> None:
    """Raise NotExact where new events cannot be derived without those before, or change them."""
    for declared in declarations:
        if not declared.additive:
            raise NotExact(
                "adding to a version",
                f"{declared!r} derives columns from all of an event's history",
                "recompute all",
            )
