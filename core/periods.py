"""Calendar periods: the rows of a series, in a time zone.

A day begins at the first instant whose local date is that day or a later one: clocks that go forward over
midnight shorten it, a day that a zone skips has no row, and what clocks that go back repeat stays with the
day that has begun. A week begins on Monday (ISO 8601). Hours and minutes are those of the local clock, and
one that is repeated is two: the day on which clocks go back has 25 hours.

Times are whole seconds since 1970 in UTC; zones are names of the IANA database.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from core.buckets import DAY, HOUR, MINUTE, Run, split
from core.errors import DefinitionError, UnknownName

__all__ = ["UNITS", "Periods", "clock_at", "instants_of", "start_of_day", "zone_named"]

# the tile that every period of a unit is made of where the zone is UTC
UNITS = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": DAY, "month": DAY}
_CLOCK = ("minute", "hour")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = _EPOCH.replace(tzinfo=None)
_FIRST_DAY = date(1970, 1, 1).toordinal()
_MONDAY = 4 * DAY  # 1970-01-05
# the Gregorian calendar and the rules of zones repeat, weekdays included: years that `datetime` cannot
# reach are worked out in years that it can
_CYCLE = 146_097 * DAY
_SAFE = (-62_104_060_800, 253_370_764_800)  # the years 2 to 9998
_OF_MACHINE = ("localtime", "Factory")  # what they mean is a matter of the machine


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones().difference(_OF_MACHINE))


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone_named(name: str) -> ZoneInfo:
    """The zone of an IANA name; raises `UnknownName`."""
    if name not in _names():
        raise UnknownName("time zone", name, _names())
    return _zone(name)


def clock_at(moment: int, zone: str) -> datetime:
    """What clocks of a zone show, with the offset from UTC; years 1 to 9999 only."""
    return (_EPOCH + timedelta(seconds=moment)).astimezone(_zone(zone))


def instants_of(clock: datetime, zone: str) -> list[int]:
    """When clocks of a zone show that time: once, twice where they go back, never where they go forward."""
    found = {_instant(clock, zone, fold) for fold in (0, 1)}
    return sorted(moment for moment in found if _local(moment, zone) == clock)


def start_of_day(day: date, zone: str) -> int:
    """The first instant whose local date is `day` or later."""
    midnight = datetime.combine(day, time.min)
    moment = _instant(midnight, zone, 0)
    skipped = _local(moment, zone) - midnight
    return _change(moment - _seconds(skipped), moment, zone) if skipped else moment


@dataclass(frozen=True)
class Periods:
    """The periods of one unit in one zone, which cover all of time without gap or overlap.

    Raises `DefinitionError` for a unit or a zone that does not exist.
    """

    unit: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise UnknownName("unit", self.unit, UNITS)
        zone_named(self.zone)

    def start(self, moment: int) -> int:
        """Where the period that holds `moment` begins."""
        cycles = _cycles(moment)
        return self._start(moment - cycles) + cycles

    def end(self, moment: int) -> int:
        """Where the period that holds `moment` ends."""
        cycles = _cycles(moment)
        return self._end(moment - cycles) + cycles

    def one_holds(self, start: int, end: int) -> bool:
        """Whether all of [start, end) lies in one period."""
        return end <= self.end(start)

    def edges(self, start: int, end: int) -> Iterator[int]:
        """`start`, every edge between, and `end`; `start` is before `end`."""
        yield start
        if self.zone == "UTC" and self.unit != "month":
            yield from range(self.end(start), end, _length(self.unit))
        else:
            while (start := self.end(start)) < end:
                yield start
        yield end

    def runs(self, edges: tuple[int, ...], widths: tuple[int, ...]) -> list[Run]:
        """The fewest tiles that make up every row between two neighbouring `edges`, in order of time.

        Every edge is a multiple of the finest of `widths`; raises `DefinitionError` if one is not.
        """
        if self.zone == "UTC":
            return split(edges[0], edges[-1], tuple(width for width in widths if width <= UNITS[self.unit]))
        astray = next((edge for edge in edges if edge % widths[0]), None)
        if astray is not None:
            raise DefinitionError(f"a {self.unit} of {self.zone} begins inside a bucket, at {astray}")
        return _joined(run for start, end in pairwise(edges) for run in split(start, end, widths))

    def _start(self, moment: int) -> int:
        if self.zone == "UTC":
            return _utc_start(moment, self.unit)
        if self.unit not in _CLOCK:
            return self._day_of_period(moment)[0]
        offset = _offset(moment, self.zone)
        start = moment - (moment + offset) % UNITS[self.unit]
        return start if _offset(start, self.zone) == offset else _change(start, moment, self.zone)

    def _end(self, moment: int) -> int:
        if self.zone == "UTC":
            return _utc_end(moment, self.unit)
        if self.unit not in _CLOCK:
            return self._day_of_period(moment)[1]
        offset = _offset(moment, self.zone)
        end = moment - (moment + offset) % UNITS[self.unit] + UNITS[self.unit]
        return end if _offset(end - 1, self.zone) == offset else _change(moment, end - 1, self.zone)

    def _day_of_period(self, moment: int) -> tuple[int, int]:
        """The period of days that holds `moment`."""
        day = _first_day(_local(moment, self.zone).date(), self.unit)
        start, end = start_of_day(day, self.zone), self._next(day)
        while end[0] <= moment:  # clocks were put back over midnight: the new day has begun already
            start, end = end[0], self._next(end[1])
        return start, end[0]

    def _next(self, day: date) -> tuple[int, date]:
        after = _next_day(day, self.unit)
        return start_of_day(after, self.zone), after


def _utc_start(moment: int, unit: str) -> int:
    if unit == "month":
        return _utc_day(_first_day(_utc_date(moment), unit))
    if unit == "week":
        return moment - (moment - _MONDAY) % (7 * DAY)
    return moment - moment % UNITS[unit]


def _utc_end(moment: int, unit: str) -> int:
    if unit == "month":
        return _utc_day(_next_day(_first_day(_utc_date(moment), unit), unit))
    return _utc_start(moment, unit) + _length(unit)


def _length(unit: str) -> int:
    """Seconds of a unit that is always as long where the zone is UTC."""
    return 7 * DAY if unit == "week" else UNITS[unit]


def _utc_date(moment: int) -> date:
    return date.fromordinal(_FIRST_DAY + moment // DAY)


def _utc_day(day: date) -> int:
    return (day.toordinal() - _FIRST_DAY) * DAY


def _first_day(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _next_day(first: date, unit: str) -> date:
    if unit == "month":
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=7 if unit == "week" else 1)


def _cycles(moment: int) -> int:
    """By how many seconds a moment lies outside of what `datetime` can reach, in whole cycles."""
    if _SAFE[0] <= moment < _SAFE[1]:
        return 0
    return -_CYCLE if moment < _SAFE[0] else _CYCLE


def _local(moment: int, zone: str) -> datetime:
    """What clocks show, without the offset."""
    return clock_at(moment, zone).replace(tzinfo=None, fold=0)


def _instant(clock: datetime, zone: str, fold: int) -> int:
    offset = clock.replace(tzinfo=_zone(zone), fold=fold).utcoffset() or timedelta()
    return _seconds(clock - _LOCAL_EPOCH - offset)


def _offset(moment: int, zone: str) -> int:
    return _seconds(clock_at(moment, zone).utcoffset() or timedelta())


def _change(before: int, after: int, zone: str) -> int:
    """The first instant after `before` that has the offset of `after`: clocks change once in between."""
    offset = _offset(after, zone)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (before, middle) if _offset(middle, zone) == offset else (middle, after)
    return after


def _seconds(span: timedelta) -> int:
    return span.days * DAY + span.seconds


def _joined(runs: Iterator[Run]) -> list[Run]:
    """Neighbouring runs of one width made one."""
    found: list[Run] = []
    for run in runs:
        if found and found[-1].width == run.width and found[-1].end == run.start:
            run = Run(run.width, found.pop().start, run.end)
        found.append(run)
    return found
