"""Times in questions: ISO 8601 with a zone, a date (where it begins in UTC), or milliseconds since 1970.

In a question that names a zone a date begins there, and a time without an offset is what clocks there show.
"""

import re
from datetime import date, datetime

from core.buckets import DAY, NAMES, ceil, floor
from core.instants import format_instant, parse_instant
from core.periods import clock_at, instants_of, start_of_day
from serving_layer.problems import Problem

__all__ = ["EARLIEST", "LATEST", "parse_moment", "text_of"]

# the years 1 to 9999: a contract can widen its times to these, and an open range must hold all there is
EARLIEST, LATEST = -62_135_596_800, 253_402_300_800
ALLOWED = "ISO 8601 with a zone (2015-09-12T06:00:00Z), a date (2015-09-12), or milliseconds since 1970"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_MILLIS = re.compile(r"-?[0-9]{1,17}")
_LOST_PLUS = re.compile(r" ([0-9]{2}:?[0-9]{2})$")  # a plus sign that a URL did not escape


def text_of(seconds: int, zone: str = "UTC") -> str:
    """A moment as answers show it, with the offset that clocks of `zone` have; in UTC where that has seconds.

    The end of year 9999 is the one that needs a fifth digit.
    """
    if zone != "UTC" and EARLIEST + DAY <= seconds < LATEST - DAY:
        text = clock_at(seconds, zone).isoformat(timespec="seconds")
        if len(text) == len("2015-09-12T06:00:00+02:00"):
            return text
    return format_instant(seconds * 1_000_000) if seconds < LATEST else "+10000-01-01T00:00:00Z"


def parse_moment(field: str, text: str, width: int, zone: str | None = None) -> int:
    """Seconds since 1970; raises `Problem` unless `text` is a time on an edge of `width` seconds."""
    micros = _micros(field, text, zone)
    if not EARLIEST * 1_000_000 <= micros <= LATEST * 1_000_000:
        raise Problem.of_field("bad-range", field, text, f"{text_of(EARLIEST)} to {text_of(LATEST)}")
    seconds, rest = divmod(micros, 1_000_000)
    if rest or seconds % width:
        raise _between_edges(field, text, seconds, width, zone or "UTC")
    return seconds


def _micros(field: str, text: str, zone: str | None) -> int:
    if _MILLIS.fullmatch(text):
        return int(text) * 1000
    try:
        if zone and _DATE.fullmatch(text):
            return start_of_day(date.fromisoformat(text), zone) * 1_000_000
        if zone and _CLOCK.fullmatch(text):
            return _instant(field, text, zone) * 1_000_000
        return parse_instant(f"{text}T00:00Z" if _DATE.fullmatch(text) else _LOST_PLUS.sub(r"+\1", text))
    except (ValueError, OverflowError):
        raise Problem.of_field("bad-time", field, text, ALLOWED) from None


def _instant(field: str, text: str, zone: str) -> int:
    found = instants_of(datetime.fromisoformat(text), zone)
    if len(found) == 1:
        return found[0]
    allowed = [text_of(one, zone) for one in found] or "a time that clocks there show, or one with an offset"
    times = "twice: give the offset as well" if found else "never, for they are put forward over it"
    detail = f"{field} is {text!r}, which clocks in {zone} show {times}"
    raise Problem.of_field("bad-time", field, text, allowed, detail)


def _between_edges(field: str, text: str, seconds: int, width: int, zone: str) -> Problem:
    nearest = [text_of(edge, zone) for edge in (floor(seconds, width), ceil(seconds + 1, width))]
    bucket = NAMES.get(width) or f"{width // 60} minutes"
    detail = (
        f"{field} is {text!r}, inside a bucket of this view (1 {bucket})"
        if width in NAMES
        else f"{field} is {text!r}, inside a bucket of this view ({bucket})"
    )
    return Problem.of_field(
        "bad-range", field, text, nearest, f"{detail}; the nearest edges are {' and '.join(nearest)}"
    )
