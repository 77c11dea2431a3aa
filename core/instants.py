"""Instants: microseconds since 1970-01-01T00:00:00Z as an integer, and their ISO 8601 text."""

import re
from datetime import UTC, datetime, timedelta

__all__ = ["format_datetime", "format_instant", "parse_instant"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Stricter than datetime.fromisoformat, whose grammar grows with each Python version.
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"(?:Z|[+-][01][0-9]:?[0-5][0-9])"
)


def parse_instant(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time with `Z` or an offset; finer digits are cut off.

    Raises ValueError for everything else: no zone, a date alone, a leap second, a day that does not exist.
    """
    if not _ISO.fullmatch(text):
        raise ValueError(f"no ISO 8601 time with a zone: {text[:40]!r}")
    since = datetime.fromisoformat(text) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def format_instant(micros: int) -> str:
    """ISO 8601 in UTC with `Z`, as many of six fraction digits as it takes.

    >>> format_instant(1_442_018_818_771_000)
    '2015-09-12T00:46:58.771Z'
    """
    return format_datetime(_EPOCH + timedelta(microseconds=micros))


def format_datetime(moment: datetime) -> str:
    """As `format_instant` of a time in UTC."""
    text = moment.isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if moment.microsecond else text) + "Z"
