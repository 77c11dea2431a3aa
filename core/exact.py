"""Exact measures: the same number under any split of the input."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from functools import cached_property
from math import isfinite
from typing import Any, ClassVar, Self

from core.errors import DefinitionError
from core.expressions import Expression
from core.measures import Measure, Partial, Slot

ORDERED = ("string", "long", "decimal", "double", "timestamp")
_WIDEST_DECIMAL = 28  # Spark adds ten digits to a sum; beyond 28 + 10 a sum could overflow and fail
_EXACT = Context(prec=60)  # the default of 28 digits would round a sum, which Spark keeps to 38
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MICRO, _LAST_MICRO = -62_135_596_800_000_000, 253_402_300_799_999_999  # years 1 to 9999


@dataclass(frozen=True)
class Count(Measure):
    """How many events, or how many with a value where an expression is given."""

    accepts: ClassVar[tuple[str, ...]] = ("string", "long", "decimal", "double", "boolean", "timestamp")
    invertible: ClassVar[bool] = True

    def bind(self, columns: dict[str, str]) -> Self:
        if self.expression is None:
            return replace(self, input=Expression("1", "long"))
        return super().bind(columns)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("", "long"),)

    def partial_sql(self, value: str) -> tuple[str, ...]:
        return (f"count({value})",)

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        return (f"coalesce(sum({columns[0]}), 0)",)

    @property
    def zero(self) -> Partial:
        return (0,)

    def lift(self, value: Any) -> Partial:
        return (0 if value is None else 1,)

    def merge(self, left: Partial, right: Partial) -> Partial:
        return (left[0] + right[0],)

    def inverse(self, partial: Partial) -> Partial:
        return (-partial[0],)

    def present(self, partial: Partial) -> int:
        return int(partial[0])


@dataclass(frozen=True)
class Sum(Measure):
    """The exact sum of integers or decimals; floats are refused, for their sum depends on the order."""

    accepts: ClassVar[tuple[str, ...]] = ("long", "decimal")
    invertible: ClassVar[bool] = True

    def bind(self, columns: dict[str, str]) -> Self:
        bound = super().bind(columns)
        _scale(bound)
        return bound

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("", f"decimal(38,{_scale(self)})"),)

    def partial_sql(self, value: str) -> tuple[str, ...]:
        return (_sum_sql(value, self),)

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        return (f"coalesce(sum({columns[0]}), 0)",)

    @property
    def zero(self) -> Partial:
        return (0,)

    def lift(self, value: Any) -> Partial:
        return (0 if value is None else value,)

    def merge(self, left: Partial, right: Partial) -> Partial:
        return (_added(left[0], right[0]),)

    def inverse(self, partial: Partial) -> Partial:
        return (_negative(partial[0]),)

    def present(self, partial: Partial) -> int | Decimal:
        number: int | Decimal = partial[0]
        return number


@dataclass(frozen=True)
class Mean(Measure):
    """The exact sum over the exact count, divided once, when it is shown; None without values."""

    accepts: ClassVar[tuple[str, ...]] = ("long", "decimal")
    invertible: ClassVar[bool] = True

    def bind(self, columns: dict[str, str]) -> Self:
        bound = super().bind(columns)
        _scale(bound)
        return bound

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("sum", f"decimal(38,{_scale(self)})"), Slot("count", "long"))

    def partial_sql(self, value: str) -> tuple[str, ...]:
        return (_sum_sql(value, self), f"count({value})")

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        return (f"coalesce(sum({columns[0]}), 0)", f"coalesce(sum({columns[1]}), 0)")

    @property
    def zero(self) -> Partial:
        return (0, 0)

    def lift(self, value: Any) -> Partial:
        return (0, 0) if value is None else (value, 1)

    def merge(self, left: Partial, right: Partial) -> Partial:
        return (_added(left[0], right[0]), left[1] + right[1])

    def inverse(self, partial: Partial) -> Partial:
        return (_negative(partial[0]), -partial[1])

    def present(self, partial: Partial) -> float | None:
        return float(Decimal(partial[0]) / partial[1]) if partial[1] else None


@dataclass(frozen=True)
class _Extreme(Measure):
    accepts: ClassVar[tuple[str, ...]] = ORDERED
    function: ClassVar[str]

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("", _ordered_kind(self)),)

    def row_sql(self, value: str) -> str:
        return _ordered_sql(value, self)

    def partial_sql(self, value: str) -> tuple[str, ...]:
        return (f"{self.function}({self.row_sql(value)})",)

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        return (f"{self.function}({columns[0]})",)

    @property
    def zero(self) -> Partial:
        return (None,)

    def lift(self, value: Any) -> Partial:
        if isinstance(value, datetime):
            return ((value - _EPOCH) // timedelta(microseconds=1),)
        return (None if isinstance(value, float) and not isfinite(value) else value,)

    def merge(self, left: Partial, right: Partial) -> Partial:
        if left[0] is None or right[0] is None:
            return right if left[0] is None else left
        return (self._better(left[0], right[0]),)

    def _better(self, left: Any, right: Any) -> Any:
        raise NotImplementedError

    def present(self, partial: Partial) -> Any:
        if partial[0] is None or _family(self) != "timestamp":
            return partial[0]
        return _EPOCH + timedelta(microseconds=partial[0])


@dataclass(frozen=True)
class Min(_Extreme):
    """The smallest value; None without values."""

    function: ClassVar[str] = "min"

    def _better(self, left: Any, right: Any) -> Any:
        return min(left, right)


@dataclass(frozen=True)
class Max(_Extreme):
    """The largest value; None without values."""

    function: ClassVar[str] = "max"

    def _better(self, left: Any, right: Any) -> Any:
        return max(left, right)


def _family(measure: Measure) -> str:
    return measure.input.family if measure.input else "null"


def _added(left: int | Decimal, right: int | Decimal) -> int | Decimal:
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    return _EXACT.add(left, right)


def _negative(number: int | Decimal) -> int | Decimal:
    return -number if isinstance(number, int) else _EXACT.minus(number)


def _ordered_sql(value: str, measure: Measure) -> str:
    """The input as its slot holds it; numbers and times that no answer could show count as NULL."""
    kind = _family(measure)
    if kind == "double":
        return f"if(abs({value}) < double('Infinity'), {value}, NULL)"
    if kind == "timestamp":
        micros = f"unix_micros({value})"
        return f"if({micros} BETWEEN {_FIRST_MICRO}L AND {_LAST_MICRO}L, {micros}, NULL)"
    return f"cast({value} as {_ordered_kind(measure)})" if kind == "decimal" else value


def _ordered_kind(measure: Measure) -> str:
    kinds = {"string": "text", "timestamp": "long", "decimal": f"decimal(38,{_scale(measure)})"}
    return kinds.get(_family(measure), _family(measure))


def _scale(measure: Measure) -> int:
    """Digits behind the point of an exact number; raises where SQL would have to guess them."""
    kind = measure.input.type if measure.input else "null"
    if not kind.startswith("decimal"):
        return 0
    precision, _, scale = kind.removeprefix("decimal").strip("()").partition(",")
    if not scale or int(precision) > _WIDEST_DECIMAL:
        raise DefinitionError(
            f"{measure!r} is over {kind}; say how wide: cast(... as decimal(p,s)), "
            f"p at most {_WIDEST_DECIMAL}"
        )
    return int(scale)


def _sum_sql(value: str, measure: Measure) -> str:
    """A sum that cannot overflow: longs are summed in two halves, which stays in machine integers."""
    if _family(measure) != "long":
        return f"coalesce(cast(sum({value}) as decimal(38,{_scale(measure)})), 0)"
    high = f"cast(sum(shiftright(cast({value} as bigint), 32)) as decimal(38,0))"
    low = f"sum(cast({value} as bigint) & 4294967295L)"
    return f"coalesce(cast({high} * 4294967296 + {low} as decimal(38,0)), cast(0 as decimal(38,0)))"
