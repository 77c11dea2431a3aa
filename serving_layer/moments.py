"""Times in questions: ISO 8601 with a zone, a date (midnight in UTC), or milliseconds since 1970."""

import re

from core.buckets import NAMES, ceil, floor
from core.instants import format_instant, parse_instant
from serving_layer.problems import Problem

__all__ = ["EARLIEST", "LATEST", "parse_moment", "text_of"]

# the years 1 to 9999: a contract can widen its times to these, and an open range must hold all there is
EARLIEST, LATEST = -62_135_596_800, 253_402_300_800
ALLOWED = "ISO 8601 with a zone (2015-09-12T06:00:00Z), a date (2015-09-12), or milliseconds since 1970"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MILLIS = re.compile(r"-?[0-9]{1,17}")
_LOST_PLUS = re.compile(r" ([0-9]{2}:?[0-9]{2})$")  # a plus sign that a URL did not escape


def text_of(seconds: int) -> str:
    """A moment as answers show it; the end of year 9999 is the one that needs a fifth digit."""
    return format_instant(seconds * 1_000_000) if seconds < LATEST else "+10000-01-01T00:00:00Z"


def parse_moment(field: str, text: str, width: int) -> int:
    """Seconds since 1970; raises `Problem` unless `text` is a time on an edge of `width` seconds."""
    micros = _micros(field, text)
    if not EARLIEST * 1_000_000 <= micros <= LATEST * 1_000_000:
        raise Problem.of_field("bad-range", field, text, f"{text_of(EARLIEST)} to {text_of(LATEST)}")
    seconds, rest = divmod(micros, 1_000_000)
    if rest or seconds % width:
        raise _between_edges(field, text, seconds, width)
    return seconds


def _micros(field: str, text: str) -> int:
    if _MILLIS.fullmatch(text):
        return int(text) * 1000
    try:
        return parse_instant(f"{text}T00:00Z" if _DATE.fullmatch(text) else _LOST_PLUS.sub(r"+\1", text))
    except (ValueError, OverflowError):
        raise Problem.of_field("bad-time", field, text, ALLOWED) from None


def _between_edges(field: str, text: str, seconds: int, width: int) -> Problem:
    nearest = [text_of(floor(seconds, width)), text_of(ceil(seconds + 1, width))]
    bucket = NAMES.get(width) or f"{width // 60} minutes"
    detail = (
        f"{field} is {text!r}, inside a bucket of this view (1 {bucket})"
        if width in NAMES
        else f"{field} is {text!r}, inside a bucket of this view ({bucket})"
    )
    return Problem.of_field(
        "bad-range", field, text, nearest, f"{detail}; the nearest edges are {' and '.join(nearest)}"
    )
