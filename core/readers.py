"""Readers: one compiled function a column, from a JSON value to a typed value or a refusal."""

import re
from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from core.columns import Column
from core.instants import parse_instant
from core.violations import Refused, Violation, shown

__all__ = ["Reader", "Value", "reader"]

_EXACT_FLOAT = 2.0**53  # from here on neighbouring doubles are more than 1 apart
_DECIMAL_TEXT = re.compile(r"-?[0-9]{1,38}(?:\.[0-9]{1,38})?")

Value = str | int | float | Decimal | bool | None
Reader = Callable[[Any], Value]
Refuse = Callable[[object], Refused]


def reader(column: Column) -> Reader:
    """Turns a value that is not null into the column's typed value; raises Refused for any other."""

    def refuse(value: object) -> Refused:
        text = "a value not shown, it is personal" if column.personal else shown(value)
        return Refused(Violation(column.name, text, column.allowed))

    return _READERS[column.type.partition("(")[0]](column, refuse)


def _string(column: Column, refuse: Refuse) -> Reader:
    low, high = int(column.low or 0), int(column.high or 0)

    def read(value: Any) -> Value:
        if type(value) is str and low <= len(value) <= high and (value.isascii() or _is_unicode(value)):
            return value
        raise refuse(value)

    return _narrowed(column, refuse, read)


def _narrowed(column: Column, refuse: Refuse, read: Reader) -> Reader:
    """Adds the rules that few columns have, so that the others do not pay for them."""
    if column.pattern is None and not column.choices:
        return read
    matches = re.compile(_ecma(column.pattern or ""), re.ASCII).search
    choices = frozenset(column.choices)

    def read_narrowly(value: Any) -> Value:
        typed = read(value)
        if (choices and typed not in choices) or not matches(str(typed)):
            raise refuse(value)
        return typed

    return read_narrowly


def _ecma(pattern: str) -> str:
    """Python's `$` also matches before a last newline; in the standard's expressions it does not."""
    return re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]|\$", lambda m: r"\Z" if m[0] == "$" else m[0], pattern)


def _is_unicode(text: str) -> bool:
    """False for lone surrogates, which JSON can write and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _long(column: Column, refuse: Refuse) -> Reader:
    low, high = int(column.low or 0), int(column.high or 0)

    def read(value: Any) -> Value:
        # type() and not isinstance(): true is no integer, and neither is 1.0
        if type(value) is int and low <= value <= high:
            return value
        raise refuse(value)

    return _narrowed(column, refuse, read)


def _double(column: Column, refuse: Refuse) -> Reader:
    low, high = column.low or 0.0, column.high or 0.0

    def read(value: Any) -> Value:
        # NaN fails every comparison, infinities the default bounds; adding 0.0 turns -0.0 into 0.0
        if (type(value) is not float and type(value) is not int) or not low <= value <= high:
            raise refuse(value)
        return float(value) + 0.0

    return read


def _decimal(column: Column, refuse: Refuse) -> Reader:
    precision, scale = column.precision or (38, 0)
    low, high = column.low or 0, column.high or 0
    exact = Context(prec=precision, traps=[Inexact, InvalidOperation])
    step, zero = Decimal((0, (1,), -scale)), Decimal((0, (0,), -scale))

    def read(value: Any) -> Value:
        text = _decimal_text(value)
        if text is None:
            raise refuse(value)
        try:
            number = Decimal(text).quantize(step, context=exact) or zero
        except (Inexact, InvalidOperation):
            raise refuse(value) from None
        if not low <= number <= high:
            raise refuse(value)
        return number

    return read


def _decimal_text(value: object) -> str | None:
    """The digits meant; a double means the decimal of at most 15 digits nearest to it, if there is one."""
    if type(value) is str:
        return value if _DECIMAL_TEXT.fullmatch(value) else None
    if type(value) is int:
        return str(value) if -_EXACT_FLOAT < value < _EXACT_FLOAT else None
    if type(value) is float and -_EXACT_FLOAT < value < _EXACT_FLOAT:
        text = f"{value:.15g}"
        return text if float(text) == value else None
    return None


def _boolean(column: Column, refuse: Refuse) -> Reader:
    def read(value: Any) -> Value:
        if value is True or value is False:
            return value
        raise refuse(value)

    return read


def _timestamp(column: Column, refuse: Refuse) -> Reader:
    low, high = int(column.low or 0), int(column.high or 0)

    def read(value: Any) -> Value:
        try:
            micros = (
                parse_instant(value) if type(value) is str else value * 1000 if type(value) is int else None
            )
        except ValueError:
            micros = None
        if micros is None or not low <= micros <= high:
            raise refuse(value)
        return micros

    return read


_READERS: dict[str, Callable[[Column, Refuse], Reader]] = {
    "string": _string,
    "long": _long,
    "double": _double,
    "decimal": _decimal,
    "boolean": _boolean,
    "timestamp": _timestamp,
}
