"""Every measure with values for it, for the laws that all of them keep."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from core import Count, Max, Mean, Min, Quantiles, Ratio, Sum, Top, Uniques
from core.measures import Measure, Partial
from core.ratios import DENOMINATOR, NUMERATOR
from tests.expressions import COLUMNS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
longs = st.integers(-(2**63), 2**63 - 1)
words = st.sampled_from(["", "a", "b", "c", "é😀", "x\ny", "日本"]) | st.text(max_size=5)
amounts = st.integers(-(10**18) + 1, 10**18 - 1).map(lambda number: Decimal(number).scaleb(-4))
wides = st.integers(-(10**28) + 1, 10**28 - 1).map(lambda number: Decimal(f"{number}e-6"))
ratios = st.floats(allow_nan=True, allow_infinity=True)
moments = st.integers(-(10**15), 10**15).map(lambda micros: EPOCH + timedelta(microseconds=micros))


def pairs(over: st.SearchStrategy[Any], under: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What an event gives to a ratio."""
    return st.fixed_dictionaries({NUMERATOR: st.none() | over, DENOMINATOR: st.none() | under})


MEASURES: list[tuple[Measure, st.SearchStrategy[Any]]] = [
    (Count(), st.just(1)),
    (Count("text"), words),
    (Sum("number"), longs),
    (Sum("amount"), amounts),
    (Sum("wide"), wides),
    (Mean("number"), longs),
    (Mean("amount"), amounts),
    (Ratio("number", "amount"), pairs(longs, amounts)),
    (Ratio("wide", "number * 2"), pairs(wides, longs)),
    (Min("number"), longs),
    (Max("text"), words),
    (Min("ratio"), ratios),
    (Max("ratio"), ratios),
    (Max("moment"), moments),
    (Min("wide"), wides),
    (Uniques("text"), words),
    (Uniques("number", lg_k=5), longs),
    (Uniques("flag"), st.booleans()),
    (Quantiles("number", k=8), longs),
    (Quantiles("ratio"), ratios),
    (Top("text"), words),
    (Top("text", capacity=8, k=3), words),
]
BOUND = [(measure.bind(COLUMNS), values) for measure, values in MEASURES]


def folded(measure: Measure, values: Sequence[Any]) -> Partial:
    """The partial of some values, one by one."""
    partial = measure.zero
    for value in values:
        partial = measure.merge(partial, measure.lift(value))
    return partial


def seen(measure: Measure, partial: Partial) -> Any:
    """What must be equal under any split: all of an exact measure, and the fixed part of a sketch."""
    shown = measure.present(partial)
    if isinstance(measure, Quantiles):
        return shown["count"], shown["min"], shown["max"]
    if isinstance(measure, Top):
        exact = measure.capacity > 500
        return sorted((row["value"], row["lower"], row["upper"]) for row in shown) if exact else None
    return shown if measure.approximate else (partial, shown)
