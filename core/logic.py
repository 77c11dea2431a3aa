"""Conditions and choices over functions of an event, with SQL's third truth: NULL, which is None here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.conversions import Run
from core.numbers import below, same

__all__ = ["between", "case", "choice", "connective", "is_in", "null_safe", "nullif", "total"]

Values = Mapping[str, Any]


def total(function: Callable[..., Any], *parts: Run) -> Run:
    """The function of the parts' values; NULL where any of them is."""

    def run(values: Values) -> Any:
        found = [part(values) for part in parts]
        return None if any(value is None for value in found) else function(*found)

    return run


def null_safe(left: Run, right: Run) -> Run:
    """Equality under which NULL is equal to NULL."""
    equal = total(same, left, right)

    def run(values: Values) -> bool:
        found = equal(values)
        return left(values) is right(values) is None if found is None else bool(found)

    return run


def connective(decides: bool, *sides: Run) -> Run:
    """AND is decided by a false side, OR by a true one; else NULL wins."""

    def run(values: Values) -> bool | None:
        found = [side(values) for side in sides]
        if decides in found:
            return decides
        return None if None in found else not decides

    return run


def is_in(value: Run, *choices: Run) -> Run:
    return connective(True, *(total(same, value, one) for one in choices))


def between(value: Run, low: Run, high: Run) -> Run:
    not_below = total(lambda found, end: not below(found, end), value, low)
    not_above = total(lambda found, end: not below(end, found), value, high)
    return connective(False, not_below, not_above)


def case(branches: Sequence[tuple[Run, Run]], default: Run) -> Run:
    """What belongs to the first condition that is true."""

    def run(values: Values) -> Any:
        return next((then for when, then in branches if when(values)), default)(values)

    return run


def choice(choose: Callable[[list[Any]], Any], *parts: Run) -> Run:
    """One of the values that are not NULL; NULL if there are none."""

    def run(values: Values) -> Any:
        found = [value for value in (part(values) for part in parts) if value is not None]
        return choose(found) if found else None

    return run


def nullif(kept: Run, equal: Run) -> Run:
    return lambda values: None if equal(values) else kept(values)
