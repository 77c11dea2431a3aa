"""A year in real index files: rows are right, and as few tiles are read as make them up."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from bench.state import manifest_of, publish
from core.folders import Folders
from core.periods import Periods
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.ports import SpeedReading
from serving_layer.questions import parse_question
from serving_layer.snapshots import Watch
from tests.serving_kit import BOUND, SEMANTICS, FakeSpeed, generation, lease, progress, silent_logger

VIEW = BOUND.view("edits_by_user")
BEGIN, HOURS = 1_420_070_400, 365 * 24  # 2015
YEAR = {"from": "2015-01-01", "to": "2016-01-01"}


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """One key with an edit in the first hour, two in the second, and so on to eleven; then from one again."""
    partial = VIEW.lift({"edits": 1, "delta": 1, "first_edit": 5, "last_edit": 5})
    buckets = {
        (VIEW.key_of({"user": "mary"}), BEGIN + hour * 3600): VIEW.merge_all([partial] * (hour % 11 + 1))
        for hour in range(HOURS)
    }
    with TemporaryDirectory() as folder:
        folders = Folders(Path(folder), BOUND.source.name)
        publish(folders, manifest_of(BOUND.source.name, SEMANTICS, 1), [(VIEW, buckets)])
        watch = Watch(folders, SEMANTICS, silent_logger())
        watch.look()
        speed = FakeSpeed(SpeedReading(generation(), progress(1), lease(), (7,)))
        yield Desk(BOUND, SEMANTICS, watch, speed)


def ask(desk: Desk, **parameters: str) -> dict[str, Any]:
    question = parse_question(VIEW, {"user": "mary", **parameters}.items())
    return compose(question, asyncio.run(desk.ask(question)))


def edits_in(start: int, end: int) -> int:
    hours = range(max(0, (start - BEGIN) // 3600), min(HOURS, (end - BEGIN) // 3600))
    return sum(hour % 11 + 1 for hour in hours)


@pytest.mark.parametrize(
    ("every", "zone", "rows", "tiles"),
    [
        ("day", "UTC", 365, 365),
        ("week", "UTC", 53, 365),
        ("month", "UTC", 12, 365),
        ("day", "Europe/Berlin", 366, 8760),  # no tile of a day in UTC is a day there
        ("week", "Europe/Berlin", 53, 52 * 24 + 313),
        ("month", "America/New_York", 13, 12 * 24 + 353),
    ],
)
def test_a_year_is_read_from_few_tiles(desk: Desk, every: str, zone: str, rows: int, tiles: int) -> None:
    told = ask(desk, every=every, zone=zone, **{"from": "2015-01-01T00:00Z", "to": "2016-01-01T00:00Z"})
    assert (len(told["rows"]), told["read"]["tiles"]) == (rows, tiles)
    edges = list(Periods(every, zone).edges(BEGIN, BEGIN + HOURS * 3600))
    assert [row["measures"]["edits"] for row in told["rows"]] == [edits_in(*span) for span in pairwise(edges)]


@pytest.mark.parametrize("ends", [{}, {"from": YEAR["from"]}, {"to": YEAR["to"]}])
def test_an_open_year_in_a_zone_costs_its_coarsest_tiles_more(desk: Desk, ends: dict[str, str]) -> None:
    told = ask(desk, every="week", zone="Europe/Berlin", **ends)
    assert len(told["rows"]) == 53
    assert sum(row["measures"]["edits"] for row in told["rows"]) == edits_in(
        BEGIN - (3600 if "from" in ends else 0), BEGIN + (HOURS - ("to" in ends)) * 3600
    )
    assert told["read"]["tiles"] < 2 * 365 + 53 * 24


def test_a_year_in_one_row_reads_its_days(desk: Desk) -> None:
    told = ask(desk, **YEAR)
    assert told["read"]["tiles"] == 365
    assert told["rows"][0]["measures"]["edits"] == edits_in(BEGIN, BEGIN + HOURS * 3600)
    part = ask(desk, **{"from": "2015-03-01T05:00Z", "to": "2015-11-05T07:00Z"})
    assert part["read"]["tiles"] == 19 + 248 + 7
