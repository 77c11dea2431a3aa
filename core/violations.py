"""What is wrong with a record: the field, the value it has and what is allowed."""

from typing import NamedTuple

__all__ = ["Refused", "Violation", "shown"]

_SHOWN = 60  # characters of a refused value that a reason quotes


class Violation(NamedTuple):
    """One fault. `field` is `$` for the record as a whole; `value` is short and never personal."""

    field: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.field} is {self.value}; allowed: {self.allowed}"


class Refused(Exception):
    """Carries a violation out of a reader; decoders turn it into a reason, nobody else sees it."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation)
        self.violation = violation


def shown(value: object) -> str:
    """A short text for any value that JSON can hold; what is nested is named, not quoted."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number beyond 64 bits"
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]!r}…"
    return repr(value)[:200]
