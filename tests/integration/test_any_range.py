"""Any range over the real day, moved to where clocks go back in Berlin: a cut an hour, through every publish.

The oracle counts the events themselves, by what `zoneinfo` says that clocks showed.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bench.state import manifest_of, publish, speed_commands
from conf.settings import Settings
from core.folders import Folders
from core.layout import Layout
from demo.dataset import Event, edits
from demo.truth import time_of
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.questions import parse_question
from serving_layer.rendering import to_json
from serving_layer.series import Series
from serving_layer.snapshots import Watch
from serving_layer.speed_state import RedisSpeedStore
from tests.serving_kit import (
    BOUND,
    SEMANTICS,
    FakePipe,
    buckets_of,
    fields_of,
    generation,
    lease,
    progress,
    silent_logger,
)  # fmt: skip

VIEW = BOUND.view("edits_by_channel")
CHANNEL, HOURS = "#de.wikipedia", 24
LATER = timedelta(days=43)  # 2015-10-25
UTC = ZoneInfo("UTC")
LAYOUT = Layout("t", BOUND.source.name)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    found = edits(Settings(data_dir=tmp_path_factory.mktemp("data")))
    return [
        event | {"event_time": (time_of(event) + LATER).isoformat()}
        for event in found
        if event["channel"] == CHANNEL
    ]


class Day:
    """The day in the speed state whole, a segment an hour, and published up to each of them."""

    def __init__(self, folder: Path, events: list[Event]) -> None:
        self.events, self.folders = events, Folders(folder, BOUND.source.name)
        placed = [(time_of(event).hour, event) for event in events]
        fields = [(VIEW, fields_of(VIEW, placed))]
        commands = speed_commands(LAYOUT, generation(), progress(HOURS), lease(), fields)
        watch = Watch(self.folders, SEMANTICS, silent_logger())
        self.watch = watch
        self.desk = Desk(BOUND, SEMANTICS, watch, RedisSpeedStore(LAYOUT, FakePipe(commands), SEMANTICS))
        self.series = Series(self.desk)

    def published(self) -> Iterator[int]:
        """Publishes every boundary, one after the other."""
        for boundary in range(HOURS + 1):
            batch = [event for event in self.events if time_of(event).hour < boundary]
            manifest = manifest_of(BOUND.source.name, SEMANTICS, boundary, boundary + 1)
            publish(self.folders, manifest, [(VIEW, buckets_of(VIEW, batch))])
            self.watch.look()
            yield boundary

    def ask(self, now: datetime, **parameters: str) -> Any:
        question = parse_question(VIEW, {"channel": CHANNEL, **parameters}.items(), now.timestamp)
        told = json.loads(to_json(compose(question, asyncio.run(self.desk.ask(question)), self.desk.shown)))
        if question.edges:
            assert exact(json.loads(to_json(asyncio.run(self.series.answer(question))))) == exact(told)
        assert told["complete"], told["reasons"]
        return told


def exact(told: Any) -> Any:
    """An answer without quantiles, which draw lots where they are merged, and without what was read."""
    rows = [
        row | {part: row[part] | {"size": None} for part in ("measures", "batch", "speed")}
        for row in told["rows"]
    ]
    return {**told, "rows": rows, "read": told["read"]["tiles"]}


def counted(told: Any) -> dict[str, int]:
    """Edits of each row that holds any, by the row's beginning."""
    return {row["from"]: row["measures"]["edits"] for row in told["rows"] if row["measures"]["edits"]}


def by_clock(events: list[Event], zone: str, pattern: str) -> dict[str, int]:
    """What counts in each period, by what clocks showed: `pattern` is of strftime."""
    local = (time_of(event).astimezone(ZoneInfo(zone)) for event in events)
    return dict(Counter(clock.strftime(pattern) + clock.isoformat()[-6:] for clock in local))


def test_series_in_zones_are_the_events_themselves_at_every_cut(tmp_path: Path, events: list[Event]) -> None:
    day, now = Day(tmp_path, events), datetime(2015, 10, 25, 12, 0, 10, tzinfo=UTC)
    ends = {"from": "2015-10-20", "to": "2015-11-01"}
    mornings = [event for event in events if 6 <= time_of(event).hour < 12]
    berlin_days = Counter(f"{time_of(one).astimezone(ZoneInfo('Europe/Berlin')):%F}" for one in events)
    months = Counter(f"{time_of(one).astimezone(ZoneInfo('Asia/Kathmandu')):%Y-%m}" for one in events)
    for _ in day.published():
        for given in ({}, ends):
            told = day.ask(now, every="hour", zone="Europe/Berlin", **given)
            assert counted(told) == by_clock(events, "Europe/Berlin", "%FT%H:00:00")
            told = day.ask(now, every="hour", zone="Australia/Lord_Howe", **given)
            assert counted(told) == by_clock(events, "Australia/Lord_Howe", "%FT%H:00:00")
            told = day.ask(now, every="day", zone="Europe/Berlin", **given)
            assert {start[:10]: count for start, count in counted(told).items()} == berlin_days
        told = day.ask(now, every="month", zone="Asia/Kathmandu")
        assert {start[:7]: count for start, count in counted(told).items()} == months
        assert list(counted(day.ask(now, every="week"))) == ["2015-10-19T00:00:00Z"]
        told = day.ask(now.replace(hour=11, minute=59), last="6h")
        assert (told["from"], sum(counted(told).values())) == ("2015-10-25T06:00:00Z", len(mornings))
        assert sum(counted(day.ask(now, **{"from": "2016-01-01", "every": "day"})).values()) == 0


def test_uniques_of_a_local_day_are_within_their_bounds(tmp_path: Path, events: list[Event]) -> None:
    day, now = Day(tmp_path, events), datetime(2015, 10, 25, tzinfo=UTC)
    first, *_ = (
        {one["user"] for one in events if time_of(one).astimezone(ZoneInfo("Asia/Tokyo")).day == number}
        for number in (25, 26)
    )
    for _ in day.published():
        told = day.ask(now, every="day", zone="Asia/Tokyo", **{"from": "2015-10-25", "to": "2015-10-27"})
        editors = told["rows"][0]["measures"]["editors"]
        assert editors["lower"] <= len(first) <= editors["upper"]
