"""Casts between the types of expressions, in plain Python, where Python gives exactly what Spark gives."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from math import isfinite, trunc
from typing import Any

from core.numbers import rounded
from core.sqltypes import family

__all__ = ["Run", "cast", "coerced", "part_of_time"]

Run = Callable[[Mapping[str, Any]], Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?")


def coerced(run: Run, source: str, target: str) -> Run:
    """A number's run, widened to the type it meets others in; any other as it is."""
    if source == target or family(target) not in ("double", "decimal") or source == "null":
        return run
    widen: Callable[[Any], Any] = float if target == "double" else lambda value: rounded(value, target)

    def widened(values: Mapping[str, Any]) -> Any:
        value = run(values)
        return None if value is None else widen(value)

    return widened


def cast(source: str, target: str, value: Any) -> Any:
    """A value of one type as another, NULL where it does not fit. `string-literal` is text in a definition.

    Raises ValueError for casts that only Spark makes.
    """
    if source in (target, "null"):
        return value
    made = _CASTS.get((family(source), family(target)))
    if made is None:
        raise ValueError(f"only Spark casts {source.removesuffix('-literal')} to {target}")
    return None if value is None else made(value, target)


def _to_long(value: Any, _: str) -> int | None:
    if isinstance(value, Decimal):
        whole = int(value.to_integral_value(ROUND_DOWN))
        return whole if _LEAST <= whole <= _MOST else None
    # Spark holds a double against the bounds as doubles, where the upper one is 2**63, and keeps it within
    return min(trunc(value), _MOST) if isfinite(value) and _LEAST <= value <= float(_MOST) else None


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _time_text(micros: int, _: str) -> str:
    text = _moment(micros).strftime("%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{_moment(micros).date().isoformat()} {text}"


def _literal_time(text: str, _: str) -> int:
    if not _TIME.fullmatch(text):
        raise ValueError(f"only Spark reads the time {text!r}; write one such as '2024-02-29 12:00:00'")
    found = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return (found - _EPOCH) // timedelta(microseconds=1)


_CASTS: dict[tuple[str, str], Callable[[Any, str], Any]] = {
    ("string-literal", "string"): lambda text, _: text,
    ("string-literal", "long"): lambda text, _: int(text),
    ("string-literal", "double"): lambda text, _: float(text),
    ("string-literal", "decimal"): lambda text, kind: rounded(Decimal(text), kind),
    ("string-literal", "timestamp"): _literal_time,
    ("long", "string"): lambda value, _: str(value),
    ("decimal", "string"): lambda value, _: f"{value:f}",
    ("boolean", "string"): lambda value, _: str(value).lower(),
    ("timestamp", "string"): _time_text,
    ("double", "long"): _to_long,
    ("decimal", "long"): _to_long,
    ("boolean", "long"): lambda value, _: int(value),
    ("timestamp", "long"): lambda value, _: value // _SECOND,
    ("long", "double"): lambda value, _: float(value),
    ("decimal", "double"): lambda value, _: float(value),
    ("boolean", "double"): lambda value, _: float(value),
    ("timestamp", "double"): lambda value, _: value / _SECOND,
    ("long", "decimal"): rounded,
    ("decimal", "decimal"): rounded,
    ("boolean", "decimal"): lambda value, kind: rounded(int(value), kind),
    ("long", "boolean"): lambda value, _: value != 0,
    ("double", "boolean"): lambda value, _: value != 0,
    ("decimal", "boolean"): lambda value, _: value != 0,
}


_PARTS: dict[str, Callable[[datetime], int]] = {
    "Hour": lambda at: at.hour,
    "Day": lambda at: at.day,
    "DayOfWeek": lambda at: at.isoweekday() % 7 + 1,
    "Month": lambda at: at.month,
    "Year": lambda at: at.year,
}


def part_of_time(name: str) -> Callable[[int], int]:
    """The hour, day, ... in UTC of microseconds since 1970; Sunday is day 1 of the week."""
    read = _PARTS[name]
    return lambda micros: read(_moment(micros))
