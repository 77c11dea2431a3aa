"""The time that is asked for: `from` and `to`, or `last`, and the periods of `every`, in a `zone`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import floor as whole

from core.buckets import DAY, HOUR, MINUTE, NAMES, floor
from core.errors import UnknownName
from core.periods import UNITS, Periods, zone_named
from core.views import CompiledView
from serving_layer.moments import EARLIEST, parse_moment, text_of
from serving_layer.problems import Problem

__all__ = ["MAX_ROWS", "PARAMETERS", "Span", "check_now", "edges_within", "parse_span"]

MAX_ROWS = 10_000
PARAMETERS = ("from", "to", "last", "every", "zone")
_LAST = "30m, 24h, 7d or 2w, or as ISO 8601: PT30M, P7D, P1DT12H, P2W (a day is 24 hours)"
_SHORT = re.compile(r"([0-9]{1,9})([mhdw])")
_ISO = re.compile(
    r"P(?:([0-9]{1,9})W|(?=.)(?:([0-9]{1,9})D)?(?:T(?=.)(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?)?)"
)
_SECONDS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


@dataclass(frozen=True)
class Span:
    """[start, end) in seconds since 1970, None where it is open; one row of it, or one for each period."""

    start: int | None = None
    end: int | None = None
    every: Periods | None = None
    zone: str = "UTC"


def parse_span(view: CompiledView, parameters: Mapping[str, str], clock: Callable[[], float]) -> Span:
    """`clock` is what `last` is counted back from. Raises `Problem`, which names the parameter at fault."""
    zone = _zone(parameters)
    start, end = _last(view, parameters, clock) if "last" in parameters else _range(view, parameters, zone)
    if start is not None and end is not None and start >= end:
        detail = "from must lie before to: the range is half open, [from, to)"
        raise Problem.of_field("bad-range", "from", start, "a time before to", detail)
    every = _every(view, parameters, zone or "UTC")
    return Span(start, end, every, zone or "UTC")


def edges_within(
    every: Periods, view: CompiledView, start: int, end: int, most: int = MAX_ROWS
) -> tuple[int, ...]:
    """`start`, the edges of periods between, and `end`.

    Raises `Problem` for more than `most` rows, and where a period begins inside a bucket of the view.
    """
    edges = tuple(islice(every.edges(start, end), most + 2))
    if len(edges) > most + 1:
        detail = f"the series would have more than {most} rows: shorten the range, or take wider steps"
        raise Problem.of_field("too-many-rows", "every", every.unit, f"at most {most} rows", detail)
    if every.zone != "UTC":
        astray = next((edge for edge in edges if edge % view.width), None)
        if astray is not None:
            raise _inside_a_bucket(every, view, astray)
    return edges


def check_now(every: Periods, view: CompiledView, clock: Callable[[], float]) -> None:
    """Refuse a series that could not be answered if there were events now. Raises `Problem`."""
    now = whole(clock())
    edges_within(every, view, every.start(now), every.end(now))


def _inside_a_bucket(every: Periods, view: CompiledView, edge: int) -> Problem:
    allowed = f"a zone whose {every.unit}s begin at whole buckets of {_bucket(view)}; UTC is one"
    detail = (
        f"in {every.zone} a {every.unit} begins at {text_of(edge)}, inside a bucket of view {view.name!r} "
        f"({_bucket(view)}): leave zone out, or ask a view with finer buckets"
    )
    return Problem.of_field("bad-zone", "zone", every.zone, allowed, detail)


def _bucket(view: CompiledView) -> str:
    return f"1 {NAMES[view.width]}" if view.width in NAMES else f"{view.width // MINUTE} minutes"


def _zone(parameters: Mapping[str, str]) -> str | None:
    name = parameters.get("zone")
    if name is None:
        return None
    try:
        zone_named(name)
    except UnknownName as error:
        near = f"; did you mean {error.nearest!r}?" if error.nearest else ""
        detail = f"zone is {name!r}, which the IANA time zone database does not hold{near}"
        allowed = "a name of the IANA database, such as Europe/Berlin or UTC"
        raise Problem.of_field("bad-zone", "zone", name, allowed, detail) from None
    return name


def _range(
    view: CompiledView, parameters: Mapping[str, str], zone: str | None
) -> tuple[int | None, int | None]:
    start, end = (
        parse_moment(name, parameters[name], view.width, zone) if name in parameters else None
        for name in ("from", "to")
    )
    return start, end


def _last(view: CompiledView, parameters: Mapping[str, str], clock: Callable[[], float]) -> tuple[int, int]:
    """Up to the end of the bucket that is filled now."""
    other = next((name for name in ("from", "to") if name in parameters), None)
    if other:
        detail = f"last ends now, and {other} is given as well: leave one of them out"
        raise Problem.of_field("bad-last", "last", parameters["last"], f"nothing beside {other}", detail)
    length = _length(parameters["last"], view)
    end = floor(whole(clock()), view.width) + view.width
    if end - length < EARLIEST:
        raise Problem.of_field("bad-last", "last", parameters["last"], f"back to {text_of(EARLIEST)}")
    return end - length, end


def _length(text: str, view: CompiledView) -> int:
    seconds = _duration(text)
    if not seconds:
        raise Problem.of_field("bad-last", "last", text, _LAST)
    if seconds % view.width:
        allowed = f"a multiple of {_bucket(view)}"
        detail = f"last is {text!r}; view {view.name!r} has buckets of {_bucket(view)}: ask for whole ones"
        raise Problem.of_field("bad-last", "last", text, allowed, detail)
    return seconds


def _duration(text: str) -> int:
    """Seconds; 0 for what is no duration."""
    if short := _SHORT.fullmatch(text):
        return int(short[1]) * _SECONDS[short[2]]
    if iso := _ISO.fullmatch(text):
        return sum(int(n or 0) * _SECONDS[unit] for n, unit in zip(iso.groups(), "wdhm", strict=True))
    return 0


def _every(view: CompiledView, parameters: Mapping[str, str], zone: str) -> Periods | None:
    name = parameters.get("every")
    if name is None:
        return None
    fitting = [unit for unit, width in UNITS.items() if width % view.width == 0]
    if name not in fitting:
        detail = f"every is {name!r}; view {view.name!r} has series by {', '.join(fitting)}"
        raise Problem.of_field("bad-every", "every", name, fitting, detail)
    return Periods(name, zone)
