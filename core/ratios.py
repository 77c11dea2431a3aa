"""The ratio of two exact sums, which no mean of ratios is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Self

from core.errors import DefinitionError
from core.exact import Sum
from core.expressions import Expression
from core.measures import Measure, Partial, Slot

__all__ = ["DENOMINATOR", "NUMERATOR", "Ratio"]

NUMERATOR, DENOMINATOR = "numerator", "denominator"


@dataclass(frozen=True)
class Ratio(Measure):
    """The exact sum of one expression over the exact sum of another, divided once, when it is shown.

    None where the second sum is 0. An event gives a structure with both values.
    """

    denominator: str | None = None
    sums: tuple[Sum, ...] = field(default=(), repr=False, compare=False, kw_only=True)

    invertible: ClassVar[bool] = True

    def bind(self, columns: Mapping[str, str]) -> Self:
        if self.denominator is None:
            raise DefinitionError(f"{self!r} needs two expressions: what is divided, and by what")
        try:
            sums = tuple(Sum(text).bind(dict(columns)) for text in (self.expression, self.denominator))
        except DefinitionError as error:
            error.add_note(f"in {self!r}, which takes what Sum takes")
            raise
        both = self.pair(sums[0].sql, sums[1].sql)
        return replace(self, sums=sums, input=Expression(both, "struct"))

    @staticmethod
    def pair(numerator: str, denominator: str) -> str:
        """SQL of the structure that an event gives."""
        return f"named_struct('{NUMERATOR}', {numerator}, '{DENOMINATOR}', {denominator})"

    @property
    def expressions(self) -> tuple[str, ...]:
        return tuple(text for text in (self.expression, self.denominator) if text is not None)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        kinds = [part.slots[0].kind for part in self.sums]
        return tuple(Slot(name, kind) for name, kind in zip((NUMERATOR, DENOMINATOR), kinds, strict=True))

    def partial_sql(self, value: str) -> tuple[str, ...]:
        parts = (f"({value}).{NUMERATOR}", f"({value}).{DENOMINATOR}")
        return tuple(sql for one, text in zip(self.sums, parts, strict=True) for sql in one.partial_sql(text))

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        return tuple(f"coalesce(sum({column}), 0)" for column in columns)

    @property
    def zero(self) -> Partial:
        return (0, 0)

    def lift(self, value: Mapping[str, Any] | None) -> Partial:
        given = (value or {}).get
        return tuple(0 if given(name) is None else given(name) for name in (NUMERATOR, DENOMINATOR))

    def merge(self, left: Partial, right: Partial) -> Partial:
        pairs = zip(left, right, strict=True)
        return tuple(Sum().merge((one,), (other,))[0] for one, other in pairs)

    def inverse(self, partial: Partial) -> Partial:
        return tuple(Sum().inverse((part,))[0] for part in partial)

    def present(self, partial: Partial) -> float | None:
        return float(Decimal(partial[0]) / Decimal(partial[1])) if partial[1] else None
