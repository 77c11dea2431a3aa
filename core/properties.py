"""Properties of the Open Data Contract Standard, read as columns."""

import re
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from core.columns import Column, ContractRefused, Number
from core.instants import parse_instant

__all__ = ["MAX_INTEGER", "MAX_TEXT", "column_of", "read_column"]

MAX_INTEGER = 2**53 - 1  # the largest that JavaScript, Lua and doubles carry unchanged
MAX_TEXT = 65_536
_MAX_DOUBLE = sys.float_info.max
_YEARS = ("1900-01-01T00:00:00Z", "2200-12-31T23:59:59.999999Z")

# Keys of a property in the Open Data Contract Standard 3.0 to 3.2, without those of nested values.
# fmt: off
_KEYS = frozenset((
    "id", "name", "physicalType", "description", "businessName", "authoritativeDefinitions", "tags",
    "customProperties", "primaryKey", "primaryKeyPosition", "logicalType", "logicalTypeOptions",
    "physicalName", "required", "unique", "partitioned", "enum", "quality", "partitionKeyPosition",
    "classification", "encryptedName", "transformSourceObjects", "transformLogic", "relationships",
    "transformDescription", "examples", "criticalDataElement",
))
# fmt: on
_PHYSICAL = {
    "string": {"string": "string", "varchar": "string", "text": "string"},
    "integer": {"long": "long", "bigint": "long"},
    "number": {"double": "double"},
    "boolean": {"boolean": "boolean"},
    "timestamp": {"timestamp": "timestamp"},
    "date": {"timestamp": "timestamp"},  # how version 3.0 of the standard spells a timestamp
}
_OPTIONS = {
    "string": ("minLength", "maxLength", "pattern"),
    "boolean": (),
}
_RANGE = ("minimum", "maximum")
_TYPES = ("string", "long", "double", "boolean", "timestamp")
_CLASSES = ("personal", "internal", "public")
_DECIMAL = re.compile(r"decimal\(\s*([0-9]{1,2})\s*,\s*([0-9]{1,2})\s*\)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def read_column(where: str, source: Mapping[str, Any]) -> Column:
    """The column that a property of the contract describes; raises ContractRefused."""
    name = _name(where, source)
    where = f"{where}, property {name!r}"
    _known(where, "key", source, _KEYS)
    kind = _logical(where, source)
    type_ = _type(where, kind, source)
    options = source.get("logicalTypeOptions") or {}
    _known(f"{where}, logicalTypeOptions", "option", options, _OPTIONS.get(kind, _RANGE))
    low, high = _ends(where, type_, options)
    return Column(
        name=name,
        type=type_,
        required=_flag(where, "required", source),
        low=low,
        high=high,
        pattern=_pattern(where, options),
        choices=_choices(where, type_, source.get("enum")),
        description=" ".join(str(source.get("description", "")).split()),
        personal=_class(where, source) == "personal",
    )


def column_of(name: str, type_: str) -> Column:
    """A column of that type that holds whatever the type can. Raises ValueError for a type there is not."""
    decimal = _DECIMAL.fullmatch(type_)
    if not decimal and type_ not in _TYPES:
        raise ValueError(f"column {name!r} is {type_!r}; allowed: {', '.join(_TYPES)}, decimal(p,s)")
    low, high = (None, None) if type_ == "boolean" else _widest(type_)
    return Column(name, type_, low=low, high=high)


def _name(where: str, source: Mapping[str, Any]) -> str:
    name = source.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ContractRefused(
            where, "name of a property", name, "a letter or _, then letters, digits and _, at most 64"
        )
    return name


def _known(where: str, noun: str, given: Iterable[str], known: Iterable[str]) -> None:
    allowed = set(known)
    for key in given:
        if key not in allowed:
            raise ContractRefused(where, noun, key, allowed)


def _logical(where: str, source: Mapping[str, Any]) -> str:
    kind = source.get("logicalType")
    if kind not in _PHYSICAL:
        raise ContractRefused(where, "logicalType", kind, _PHYSICAL)
    return str(kind)


def _type(where: str, kind: str, source: Mapping[str, Any]) -> str:
    names = _PHYSICAL[kind]
    physical = str(source.get("physicalType", next(iter(names)))).lower()
    decimal = _DECIMAL.fullmatch(physical)
    if kind == "number" and decimal and 1 <= int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1]):
        return f"decimal({int(decimal[1])},{int(decimal[2])})"
    if physical not in names:
        raise ContractRefused(
            where, "physicalType", physical, [*names, *(["decimal(18,4)"] * (kind == "number"))]
        )
    return names[physical]


def _flag(where: str, key: str, source: Mapping[str, Any]) -> bool:
    value = source.get(key, False)
    if not isinstance(value, bool):
        raise ContractRefused(where, key, value, ["true", "false"])
    return value


def _class(where: str, source: Mapping[str, Any]) -> str:
    value = source.get("classification", "internal")
    if value not in _CLASSES:
        raise ContractRefused(where, "classification", value, _CLASSES)
    return str(value)


def _pattern(where: str, options: Mapping[str, Any]) -> str | None:
    pattern = options.get("pattern")
    if pattern is None:
        return None
    try:
        re.compile(str(pattern))
    except re.error as error:
        raise ContractRefused(where, "pattern", pattern, f"a regular expression ({error})") from error
    return str(pattern)


def _choices(where: str, type_: str, source: Any) -> tuple[str | int, ...]:
    if source is None:
        return ()
    kind = {"string": str, "long": int}.get(type_)
    values: list[Any] = [entry.get("value") if isinstance(entry, dict) else entry for entry in source]
    if kind is None or not values or any(type(value) is not kind for value in values):
        raise ContractRefused(
            where, "enum", source, "a list of `value: …` that are text (quoted) or whole numbers, as the type"
        )
    return tuple(values)


def _ends(where: str, type_: str, options: Mapping[str, Any]) -> tuple[Number | None, Number | None]:
    if type_ == "boolean":
        return None, None
    keys = ("minLength", "maxLength") if type_ == "string" else _RANGE
    widest = _widest(type_)
    low, high = (
        default if key not in options else _end(where, key, type_, options[key])
        for key, default in zip(keys, widest, strict=True)
    )
    if low > high or (type_ != "timestamp" and not widest[0] <= low <= high <= widest[1]):
        raise ContractRefused(
            where, " to ".join(keys), f"{low} to {high}", f"from {widest[0]} to {widest[1]}"
        )
    return low, high


def _widest(type_: str) -> tuple[Number, Number]:
    """Both ends where the contract names none; only those of a timestamp can be widened."""
    if type_ == "timestamp":
        return parse_instant(_YEARS[0]), parse_instant(_YEARS[1])
    if type_ == "string":
        return 0, MAX_TEXT
    if type_ == "long":
        return -MAX_INTEGER, MAX_INTEGER
    if type_ == "double":
        return -_MAX_DOUBLE, _MAX_DOUBLE
    precision, scale = Column("", type_).precision or (38, 0)
    most = Decimal((0, (9,) * precision, -scale))
    return -most, most


def _end(where: str, key: str, type_: str, value: Any) -> Number:
    try:
        end: Number = _END[type_.partition("(")[0]](value)
        return end
    except (ValueError, ArithmeticError) as error:
        raise ContractRefused(where, key, value, f"a value of type {type_}") from error


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(value)
    return value


def _instant(value: Any) -> int:
    # YAML reads an unquoted time as a datetime, and a day alone as a date, which means its first moment.
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return parse_instant(text if "T" in text or " " in text else f"{text}T00:00:00Z")


_END: Mapping[str, Any] = {
    "string": _whole,
    "long": _whole,
    "double": float,
    "decimal": lambda value: Decimal(str(value)),
    "timestamp": _instant,
}
