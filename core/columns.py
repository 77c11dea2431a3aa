"""Columns of a data contract: a name, a type, what it may hold and what it means."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches

from core.errors import ContractError
from core.instants import format_instant

__all__ = ["Column", "ContractRefused", "Number"]

_DECIMAL = re.compile(r"decimal\(\s*([0-9]{1,2})\s*,\s*([0-9]{1,2})\s*\)")

Number = int | float | Decimal


class ContractRefused(ContractError):
    """A contract holds something that this platform cannot honour; `where` is the file and the property."""

    def __init__(self, where: str, key: str, value: object, allowed: Iterable[str] | str) -> None:
        self.where, self.key, self.value, self.allowed = where, key, value, allowed
        super().__init__(f"{where}: {key} is {value!r}; {_way_out(value, allowed)}")


def _way_out(value: object, allowed: Iterable[str] | str) -> str:
    if isinstance(allowed, str):
        return f"allowed: {allowed}"
    known = sorted(allowed)
    nearest = get_close_matches(str(value), known, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{hint}allowed: {', '.join(known) or 'nothing'}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is string, long, double, decimal(p,s), boolean or timestamp: Spark's names as well.

    `low` and `high` are inclusive: values of a number, microseconds since 1970 of a timestamp, characters of
    a string; both are None for a boolean. `choices`, where not empty, are all the values there may be.
    """

    name: str
    type: str
    required: bool = False
    low: Number | None = None
    high: Number | None = None
    pattern: str | None = None
    choices: tuple[str | int, ...] = ()
    description: str = ""
    personal: bool = False

    @property
    def precision(self) -> tuple[int, int] | None:
        """Digits and decimals of a decimal(p,s); None for every other type."""
        found = _DECIMAL.fullmatch(self.type)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def allowed(self) -> str:
        """What the column may hold, in words."""
        if self.choices:
            return (
                "one of "
                + ", ".join(map(repr, self.choices[:20]))
                + (", …" if len(self.choices) > 20 else "")
            )
        return self._range_in_words()

    def _range_in_words(self) -> str:
        if self.type == "boolean":
            return "true or false"
        if self.type == "string":
            return f"text of {self.low} to {self.high} characters" + self._pattern_in_words()
        if self.type == "timestamp":
            ends = f"{format_instant(int(self.low or 0))} to {format_instant(int(self.high or 0))}"
            return f"a time from {ends}, as ISO 8601 with a zone or as milliseconds since 1970"
        if self.precision:
            return f"a number from {self.low} to {self.high}, as text if it has more than 15 digits"
        return f"a {'whole ' if self.type == 'long' else ''}number from {self.low} to {self.high}"

    def _pattern_in_words(self) -> str:
        return f" that matches {self.pattern}" if self.pattern else ""
