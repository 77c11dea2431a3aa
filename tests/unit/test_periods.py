"""Calendar periods against a walk over every minute, in zones whose clocks do odd things."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.buckets import DAY, HOUR, MINUTE
from core.errors import DefinitionError, UnknownName
from core.periods import UNITS, Periods, instants_of, start_of_day, zone_named
from tests.unit.test_buckets import fewest

SOME = settings(max_examples=150, deadline=None)
EARLIEST, LATEST = -62_135_596_800, 253_402_300_800
# a zone, and a day on which, or a few days before which, something happens
ODD = [
    ("UTC", "2016-02-29"), ("Europe/Berlin", "2015-03-29"), ("Europe/Berlin", "2015-10-25"),
    ("America/New_York", "2015-03-08"), ("America/New_York", "2015-11-01"), ("Asia/Kolkata", "2015-09-12"),
    ("Asia/Kathmandu", "2015-09-12"),
    ("Australia/Lord_Howe", "2015-04-05"), ("Australia/Lord_Howe", "2015-10-04"),  # half an hour
    ("Antarctica/Troll", "2015-03-29"), ("Antarctica/Troll", "2015-10-25"),  # two hours
    ("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21"),  # a day that never was
    ("America/St_Johns", "2006-04-02"), ("America/St_Johns", "2006-10-29"),  # a minute past midnight
    ("America/Sao_Paulo", "2015-10-18"), ("America/Sao_Paulo", "2016-02-21"),  # at midnight
    ("America/Havana", "2015-03-08"), ("America/Havana", "2015-11-01"), ("Asia/Beirut", "2015-10-25"),
    ("America/Toronto", "1919-03-30"),  # forward over midnight, from 23:30
    ("Asia/Pyongyang", "2015-08-15"), ("America/Caracas", "2016-05-01"), ("Africa/Casablanca", "2015-06-14"),
]  # fmt: skip

moments = st.integers(-2_208_988_800, 4_102_444_800)  # 1900 to 2100
zones = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def walked(unit: str, zone: str, start: int, end: int, step: int = MINUTE) -> list[int]:
    """Edges by looking at the clock at every step. It began to look three days before."""
    found, before = list[int](), tuple[object, ...]()
    for moment in range(start - 3 * DAY, end, step):
        clock = datetime.fromtimestamp(moment, ZoneInfo(zone))
        now = label(unit, clock) if unit in ("minute", "hour") else max(label(unit, clock), before)
        if moment > start and now != before:
            found.append(moment)
        before = now
    return [start, *found, end]


def label(unit: str, clock: datetime) -> tuple[object, ...]:
    if unit in ("minute", "hour"):
        return (clock.date(), clock.hour, clock.minute * (unit == "minute"), clock.utcoffset())
    if unit == "month":
        return (clock.year, clock.month)
    return (clock.date() - timedelta(days=clock.weekday() if unit == "week" else 0),)


@pytest.mark.parametrize(("zone", "day"), ODD)
@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
def test_periods_are_what_a_walk_along_the_clock_finds(unit: str, zone: str, day: str) -> None:
    start, end = seconds(day) - 5 * DAY - 1020, seconds(day) + 5 * DAY
    assert list(Periods(unit, zone).edges(start, end)) == walked(unit, zone, start, end)


@SOME
@given(zones, moments, st.sampled_from(list(UNITS)))
@example("America/Juneau", seconds("1867-10-18"), "day")  # a day twice, by half a minute
@example("UTC", EARLIEST, "week")
@example("Etc/GMT+12", EARLIEST, "month")
@example("Etc/GMT-14", LATEST - 1, "month")
@example("Europe/Berlin", LATEST - 1, "week")
def test_periods_cover_all_of_time_without_gap_or_overlap(zone: str, moment: int, unit: str) -> None:
    periods = Periods(unit, zone)
    start, end = periods.start(moment), periods.end(moment)
    assert start <= moment < end
    assert (periods.start(start), periods.end(start)) == (start, end) == (
        periods.start(end - 1), periods.end(end - 1),
    )  # fmt: skip
    assert periods.start(end) == end and periods.end(start - 1) == start
    assert periods.one_holds(start, end) and not periods.one_holds(start, end + 1)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2015-03-29", 23), ("Europe/Berlin", "2015-10-25", 25),
        ("Australia/Lord_Howe", "2015-04-05", 24.5), ("Australia/Lord_Howe", "2015-10-04", 23.5),
        ("America/Sao_Paulo", "2015-10-18", 23), ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-30", 0), ("America/St_Johns", "2006-10-29", 25),
    ],
)  # fmt: skip
def test_days_on_which_clocks_change_have_the_hours_they_have(zone: str, day: str, hours: float) -> None:
    local = date.fromisoformat(day)
    length = start_of_day(local + timedelta(days=1), zone) - start_of_day(local, zone)
    assert length == hours * HOUR


def test_a_week_begins_on_monday_and_a_year_has_twelve_months() -> None:
    assert Periods("week").start(seconds("2015-09-12")) == seconds("2015-09-07")
    edges = list(Periods("month").edges(seconds("2015-01-01"), seconds("2016-01-01")))
    assert len(edges) == 13 and seconds("2015-03-01") in edges


@SOME
@given(
    st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "UTC"]),
    st.integers(seconds("2011-12-20") // 900, seconds("2012-04-10") // 900),
    st.integers(1, 40 * 96),
    st.sampled_from(["hour", "day", "week", "month"]),
)
def test_tiles_of_a_series_are_the_fewest_of_each_row(zone: str, first: int, count: int, unit: str) -> None:
    start, end, widths = first * 900, (first + count) * 900, (900, HOUR, DAY)
    edges = tuple(Periods(unit, zone).edges(start, end))
    runs = Periods(unit, zone).runs(edges, widths)
    tiles = [(at, at + run.width) for run in runs for at in range(run.start, run.end, run.width)]
    assert [tile[0] for tile in tiles] == [start, *(tile[1] for tile in tiles[:-1])]
    assert {edge for tile in tiles for edge in tile} >= set(edges)
    assert len(tiles) == sum(quickly_fewest(a, b) for a, b in pairwise(edges))


def quickly_fewest(start: int, end: int) -> int:
    """In steps of a quarter of an hour, for the naive search is slow."""
    return fewest(start // 900, end // 900, (1, 4, 96))


def test_a_year_of_local_days_is_made_of_hours_and_one_of_weeks_of_days_as_well() -> None:
    start, end = seconds("2014-12-31T23:00"), seconds("2015-12-31T23:00")
    days, weeks = (Periods(unit, "Europe/Berlin") for unit in ("day", "week"))
    runs = days.runs(tuple(days.edges(start, end)), (MINUTE, HOUR, DAY))
    assert [(run.width, run.count) for run in runs] == [(HOUR, 8760)]
    assert sum(run.count for run in weeks.runs(tuple(weeks.edges(start, end)), (MINUTE, HOUR, DAY))) == 1584


def test_an_edge_inside_a_bucket_is_refused() -> None:
    edges = tuple(Periods("day", "Asia/Kolkata").edges(*map(seconds, ("2015-09-12", "2015-09-14"))))
    with pytest.raises(DefinitionError, match="a day of Asia/Kolkata begins inside a bucket"):
        Periods("day", "Asia/Kolkata").runs(edges, (HOUR, DAY))


@pytest.mark.parametrize(("clock", "times"), [("09-12T06:00", 1), ("10-25T02:30", 2), ("03-29T02:30", 0)])
def test_a_local_time_is_one_instant_or_two_or_none(clock: str, times: int) -> None:
    found = instants_of(datetime.fromisoformat(f"2015-{clock}"), "Europe/Berlin")
    assert len(found) == times
    assert all(
        f"{datetime.fromtimestamp(one, ZoneInfo('Europe/Berlin')):%m-%dT%H:%M}" == clock for one in found
    )


@pytest.mark.parametrize("name", ["europe/berlin", "Europe/Berlim", "localtime", "", "../passwd", "+02:00"])
def test_only_names_of_the_iana_database_are_zones(name: str) -> None:
    with pytest.raises(UnknownName, match="unknown time zone"):
        zone_named(name)


def test_there_is_no_other_unit() -> None:
    with pytest.raises(UnknownName, match="did you mean 'week'"):
        Periods("weeks")
