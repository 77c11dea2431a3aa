"""JSON of answers: numbers as exact as they are, times as ISO 8601 text.

Integers of any size and decimals become JSON numbers with every digit. A client that must keep them all
reads them as such: `json.loads(text, parse_float=Decimal)`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from starlette.responses import JSONResponse

from core.instants import format_datetime, format_instant

__all__ = ["Json", "iso", "to_json"]

_LONG = 1 << 63


class Json(JSONResponse):
    """A response whose content is rendered by `to_json`."""

    def render(self, content: Any) -> bytes:
        return to_json(content)


def to_json(content: Any) -> bytes:
    """UTF-8 JSON of plain values, datetimes and decimals."""
    try:
        return orjson.dumps(content, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError:
        # orjson knows no integer beyond 64 bits; walking every answer for one would cost each of them
        return orjson.dumps(_widened(content), default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)


def iso(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return None if seconds is None else format_instant(round(seconds * 1_000_000))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}".encode())
    if isinstance(value, datetime):
        return format_datetime(value if value.tzinfo is UTC else value.astimezone(UTC))
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _widened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _widened(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_widened(inner) for inner in value]
    if isinstance(value, int) and not -_LONG <= value < _LONG:
        return orjson.Fragment(str(value).encode())
    return value
