"""Types of SQL expressions, and what Spark makes of two of them that meet."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

NUMERIC = ("long", "decimal", "double")
MAX_DIGITS = 38
_LONG_DIGITS = 20  # Spark's bigint, where it meets a decimal


@dataclass(frozen=True)
class Expression:
    """`sql` in Spark's dialect over back-quoted columns, and the `type` it yields.

    The type is string, long, double, boolean, timestamp, null or decimal(p,s); `decimal` alone is one whose
    digits are not known here, and which only an explicit cast makes usable.
    """

    sql: str
    type: str

    @cached_property
    def family(self) -> str:
        """The type without precision."""
        return family(self.type)


def family(name: str) -> str:
    return name.partition("(")[0]


def digits(name: str) -> tuple[int, int] | None:
    """Digits and scale of a long or a decimal(p,s); None if unknown or neither.

    >>> digits("decimal(10,2)")
    (10, 2)
    """
    if name == "long":
        return _LONG_DIGITS, 0
    precision, _, scale = name.removeprefix("decimal").strip("()").partition(",")
    return (int(precision), int(scale)) if name.startswith("decimal(") else None


def decimal(precision: int, scale: int) -> str:
    """The type's name, or plain `decimal` where Spark would have to give up digits."""
    return f"decimal({precision},{scale})" if precision <= MAX_DIGITS else "decimal"


def widest(types: Iterable[str]) -> str:
    """The type that numbers of all these types are widened to when they meet in a comparison or a choice."""
    distinct = {name for name in types if name != "null"}
    if len(distinct) < 2 or "double" in distinct:
        return "double" if "double" in distinct else next(iter(distinct), "null")
    known = [digits(name) for name in distinct]
    if any(found is None for found in known):
        return "decimal"
    whole = max(found[0] - found[1] for found in known if found)
    scale = max(found[1] for found in known if found)
    return decimal(whole + scale, scale)


def added(left: str, right: str) -> str:
    """The type of a sum or a difference."""
    found = digits(widest((left, right)))
    return _exact(left, right) or (decimal(found[0] + 1, found[1]) if found else "decimal")


def multiplied(left: str, right: str) -> str:
    first, second = digits(left), digits(right)
    known = decimal(first[0] + second[0] + 1, first[1] + second[1]) if first and second else "decimal"
    return _exact(left, right) or known


def remaining(left: str, right: str) -> str:
    """The type of a remainder, at its widest."""
    return _exact(left, right) or widest((left, right))


def _exact(left: str, right: str) -> str | None:
    """The type where no digits need be counted."""
    families = {family(left), family(right)} - {"null"}
    return "double" if "double" in families else "long" if families <= {"long"} else None
