"""What measures show: exact numbers as exact as they are, approximate ones with their bounds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

__all__ = ["Estimate", "Quantile", "Quantiles", "Ranked", "Value", "moment", "value_of"]

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many different values; `lower` and `upper` hold with about 99 % confidence."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Quantile:
    """The value at a rank; `lower` and `upper` are the values at the ends of the rank error."""

    rank: float
    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Quantiles:
    """`count`, `min` and `max` are exact; `min` and `max` are None without values."""

    count: int
    min: float | None
    max: float | None
    rank_error: float
    quantiles: tuple[Quantile, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """One of the most frequent values, and how often it came; the bounds always hold."""

    value: str
    estimate: int
    lower: int
    upper: int


Value = (
    int
    | Decimal
    | str
    | bool
    | datetime
    | Estimate
    | Quantiles
    | tuple[Ranked, ...]
    | Mapping[str, Any]
    | None
)


def value_of(wire: Any) -> Value:
    """By its shape. A text that is a time to the second, with its zone, is a time.

    A shape that a later release may add stays as it came.
    """
    if isinstance(wire, list):
        return tuple(_ranked(each) for each in wire)
    if isinstance(wire, Mapping):
        return _bounded(wire)
    if isinstance(wire, str) and _MOMENT.fullmatch(wire):
        return moment(wire)
    return wire  # type: ignore[no-any-return]


def moment(text: str) -> datetime:
    """An aware time; the end of the year 9999, which Python cannot hold, is the last moment before it."""
    return datetime.max.replace(tzinfo=UTC) if text.startswith("+10000") else datetime.fromisoformat(text)


def _bounded(wire: Mapping[str, Any]) -> Estimate | Quantiles | Mapping[str, Any]:
    if wire.keys() == {"estimate", "lower", "upper"}:
        return Estimate(*(float(wire[name]) for name in ("estimate", "lower", "upper")))
    if "rank_error" in wire:
        return _quantiles(wire)
    return {name: value_of(inner) for name, inner in wire.items()}


def _quantiles(wire: Mapping[str, Any]) -> Quantiles:
    names = ("rank", "value", "lower", "upper")
    rows = tuple(Quantile(*(float(row[name]) for name in names)) for row in wire["quantiles"])
    low, high = (None if wire[name] is None else float(wire[name]) for name in ("min", "max"))
    return Quantiles(int(wire["count"]), low, high, float(wire["rank_error"]), rows)


def _ranked(wire: Mapping[str, Any]) -> Ranked:
    return Ranked(str(wire["value"]), *(int(wire[name]) for name in ("estimate", "lower", "upper")))
