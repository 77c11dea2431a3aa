"""Measures that cannot take events back, kept with the number of events that they should have taken back.

A sketch or an extreme holds no trace of single events. Where a source declares corrections, the speed layer
cannot subtract from it; it counts what it could not subtract, so that no answer hides it. In a batch view
that count is 0, for batch leaves corrected events out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from core.measures import Measure, Partial, Slot

__all__ = ["Uncorrected", "correctable"]

_COUNT = "count(cast(NULL as bigint))"


@dataclass(frozen=True, repr=False)
class Uncorrected(Measure):
    """`inner`, and behind its slots how many events it holds that it should not."""

    inner: Measure | None = None

    @property
    def plain(self) -> Measure:
        assert self.inner is not None
        return self.inner

    def __repr__(self) -> str:
        return repr(self.inner)

    @property
    def approximate(self) -> bool:  # type: ignore[override]
        return self.plain.approximate

    def bind(self, columns: dict[str, str]) -> Self:
        return correctable(self.plain.bind(columns))  # type: ignore[return-value]

    @property
    def expressions(self) -> tuple[str, ...]:
        return self.plain.expressions

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        return (*self.plain.slots, Slot("uncorrected", "long"))

    def row_sql(self, value: str) -> str:
        return self.plain.row_sql(value)

    def partial_sql(self, value: str) -> tuple[str, ...]:
        return (*self.plain.partial_sql(value), _COUNT)

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        return (*self.plain.merge_sql(*columns[:-1]), f"coalesce(sum({columns[-1]}), 0)")

    @property
    def zero(self) -> Partial:
        return (*self.plain.zero, 0)

    def lift(self, value: Any) -> Partial:
        return (*self.plain.lift(value), 0)

    def lift_all(self, values: Sequence[Any]) -> Partial:
        return (*self.plain.lift_all(values), 0)

    def merge(self, left: Partial, right: Partial) -> Partial:
        return self.merge_all((left, right))

    def merge_all(self, partials: Sequence[Partial]) -> Partial:
        merged = self.plain.merge_all([partial[:-1] for partial in partials])
        return (*merged, sum(partial[-1] for partial in partials))

    def retracted(self, partial: Partial, events: int) -> Partial:
        return (*self.plain.zero, events)

    def uncorrected(self, partial: Partial) -> int:
        return int(partial[-1])

    def present(self, partial: Partial) -> Any:
        return self.plain.present(partial[:-1])

    def same(self, expected: Partial, found: Partial) -> bool:
        return bool(expected[-1] == found[-1]) and self.plain.same(expected[:-1], found[:-1])

    def figure(self, partial: Partial) -> Any:
        return self.plain.figure(partial[:-1])


def correctable(measure: Measure) -> Measure:
    """The measure as views of a source that declares corrections keep it."""
    if measure.invertible or isinstance(measure, Uncorrected):
        return measure
    return Uncorrected(measure.expression, input=measure.input, inner=measure)
