"""Numbers as Spark's total functions treat them: 64-bit integers, doubles with NaN above all, decimals."""

import math
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import reduce
from typing import Any

from core.sqltypes import digits

__all__ = ["ARITHMETIC", "below", "divide", "larger", "negative", "rounded", "same", "smaller"]

_WIDE = Context(prec=90, rounding=ROUND_HALF_UP)
Number = int | float | Decimal


def rounded(value: Number, kind: str) -> Decimal | None:
    """An exact number as a `decimal(p,s)`, half up; None where it has too many digits."""
    precision, scale = digits(kind) or (38, 0)
    number = _WIDE.quantize(Decimal(value), Decimal((0, (1,), -scale)))
    return number if abs(number) < Decimal(10) ** (precision - scale) else None


def _added(left: Any, right: Any) -> Any:
    return _WIDE.add(left, right) if isinstance(left, Decimal) else left + right


def _subtracted(left: Any, right: Any) -> Any:
    return _WIDE.subtract(left, right) if isinstance(left, Decimal) else left - right


def _multiplied(left: Any, right: Any) -> Any:
    return _WIDE.multiply(left, right) if isinstance(left, Decimal) else left * right


def _remainder(left: Any, right: Any) -> Any:
    """With the sign of the dividend; NULL for a divisor of 0."""
    if right == 0:
        return None
    if isinstance(left, float):
        return math.nan if math.isinf(left) or math.isnan(left + right) else math.fmod(left, right)
    if isinstance(left, Decimal):
        return _WIDE.remainder(left, right)
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _in_kind(function: Callable[[Any, Any], Any]) -> Callable[[str], Callable[[Any, Any], Any]]:
    """The function for results of a type: NULL where they do not fit it."""

    def of(kind: str) -> Callable[[Any, Any], Any]:
        if kind == "double":
            return function
        if kind == "long":
            return lambda left, right: _fitting(function(left, right))
        return lambda left, right: _decimal(function(Decimal(left), Decimal(right)), kind)

    return of


def _decimal(value: Decimal | None, kind: str) -> Decimal | None:
    return None if value is None else rounded(value, kind)


def _fitting(value: int | None) -> int | None:
    return value if value is not None and -(1 << 63) <= value < 1 << 63 else None


ARITHMETIC: dict[str, Callable[[str], Callable[[Any, Any], Any]]] = {
    "Add": _in_kind(_added),
    "Sub": _in_kind(_subtracted),
    "Mul": _in_kind(_multiplied),
    "Mod": _in_kind(_remainder),
}


def negative(value: Any) -> Any:
    """0 less the value, as expressions are compiled; NULL for the smallest long."""
    return _fitting(-value) if isinstance(value, int) else 0 - value if isinstance(value, float) else -value


def divide(left: float, right: float) -> float | None:
    return None if right == 0 else left / right


def below(left: Any, right: Any) -> bool:
    """Spark's order: NaN is above every other double."""
    if isinstance(left, float) and left != left:
        return False
    return bool(left < right) or (isinstance(right, float) and right != right)


def same(left: Any, right: Any) -> bool:
    """Spark's equality: NaN is equal to NaN."""
    return bool(left == right) or (left != left and right != right)


def larger(found: Sequence[Any]) -> Any:
    return reduce(lambda one, other: other if below(one, other) else one, found)


def smaller(found: Sequence[Any]) -> Any:
    return reduce(lambda one, other: other if below(other, one) else one, found)
