"""Series rendered once for a version: what is away, what is new, and how little is read."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bench.state import manifest_of
from core.measures import Partial
from core.views import CompiledView
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.ports import Snapshot, SpeedReading
from serving_layer.questions import parse_question
from serving_layer.rendering import to_json
from serving_layer.series import Series
from tests.serving_kit import (
    BOUND,
    DAY,
    SEMANTICS,
    FakeIndex,
    FakeSpeed,
    FakeVersions,
    buckets_of,
    edit,
    fields_of,
    generation,
    lease,
    progress,
    snapshot,
)  # fmt: skip

VIEW = BOUND.view("edits_by_channel")
BATCH = [edit(1), edit(2, event_time="2015-09-13T06:00:00Z")]
SPEED = [edit(3), edit(4, event_time="2015-09-14T06:00:00Z", user="bob")]
WEEK = [("channel", "#en.wikipedia"), ("from", "2015-09-09"), ("to", "2015-09-16"), ("every", "day")]


@dataclass
class CountingIndex(FakeIndex):
    """Says how often it was read."""

    buckets: dict[str, Any]
    reads: list[int] = field(default_factory=list)

    def read(self, view: CompiledView, key: str, runs: Any) -> list[tuple[int, Partial]]:
        self.reads.append(sum(run.count for run in runs))
        return super().read(view, key, runs)


@dataclass
class Stand:
    """A desk over fakes, and the series of it."""

    batch: list[Any]
    speed: list[Any]

    def __post_init__(self) -> None:
        self.index = CountingIndex({VIEW.name: buckets_of(VIEW, self.batch)})
        self.versions = FakeVersions([self.published(1)])
        fields = {VIEW.name: fields_of(VIEW, [(2, event) for event in self.speed])}
        self.store = FakeSpeed(SpeedReading(generation(1), progress(3, floor=2), lease(), (7,)), fields)
        self.desk = Desk(BOUND, SEMANTICS, self.versions, self.store)
        self.series = Series(self.desk)

    def published(self, version: int) -> Snapshot:
        manifest = manifest_of(BOUND.source.name, SEMANTICS, boundary=2, version=version)
        return replace(snapshot(manifest, {}), index=self.index)

    def told(self) -> Any:
        """The rendered answer, which is also what rows without any memory say."""
        question = parse_question(VIEW, WEEK)
        rendered = json.loads(to_json(asyncio.run(self.series.answer(question))))
        plain = json.loads(to_json(compose(question, asyncio.run(self.desk.ask(question)))))
        assert rendered == plain
        return rendered


def test_a_row_that_only_batch_has_only_speed_has_both_have_or_none() -> None:
    told = Stand(BATCH, SPEED).told()
    parts = [(row["batch"]["edits"], row["speed"]["edits"], row["measures"]["edits"]) for row in told["rows"]]
    assert parts == [(0, 0, 0)] * 3 + [(1, 1, 2), (1, 0, 1), (0, 1, 1)] + [(0, 0, 0)]
    assert told["complete"]


def test_a_series_that_was_asked_before_is_not_read_again() -> None:
    stand = Stand(BATCH, SPEED)
    question = parse_question(VIEW, WEEK)
    for _ in range(2):
        asyncio.run(stand.series.answer(question))
    assert stand.index.reads == [7, 1, 1]


def test_a_row_is_made_anew_when_the_speed_state_holds_something_else() -> None:
    stand = Stand(BATCH, SPEED)
    before = stand.told()
    stand.store.fields = {VIEW.name: fields_of(VIEW, [(2, event) for event in (*SPEED, edit(5), edit(6))])}
    after = stand.told()
    assert [row["speed"]["edits"] for row in before["rows"]] == [0, 0, 0, 1, 0, 1, 0]
    assert [row["speed"]["edits"] for row in after["rows"]] == [0, 0, 0, 3, 0, 1, 0]


def test_another_version_is_read_anew() -> None:
    stand = Stand(BATCH, SPEED)
    stand.told()
    stand.index.buckets = {VIEW.name: buckets_of(VIEW, [*BATCH, edit(9)])}
    stand.versions.snapshots = [stand.published(2)]
    assert [row["batch"]["edits"] for row in stand.told()["rows"]] == [0, 0, 0, 2, 1, 0, 0]


def test_without_redis_speed_is_null_and_with_it_again_it_is_not() -> None:
    stand = Stand(BATCH, SPEED)
    for silence in ("Redis is away", None, "Redis is away"):
        stand.store.silence = silence
        told = stand.told()
        assert {row["speed"] is None for row in told["rows"]} == {silence is not None}
        assert told["complete"] == (silence is None)


def test_without_a_batch_view_the_batch_part_is_null() -> None:
    stand = Stand([], SPEED)
    stand.versions.snapshots = [Snapshot()]
    stand.store.reading = SpeedReading(generation(0), progress(3), lease(), (7,))
    told = stand.told()
    assert {row["batch"] for row in told["rows"]} == {None} and told["manifest"] is None


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "Pacific/Apia"])
def test_rows_begin_where_days_of_the_zone_begin(zone: str) -> None:
    stand = Stand(BATCH, SPEED)
    question = parse_question(VIEW, [*WEEK, ("zone", zone)])
    rows = json.loads(to_json(asyncio.run(stand.series.answer(question))))["rows"]
    assert len(rows) == 7 and all(row["from"][10:19] == "T00:00:00" for row in rows)
    assert sum(row["measures"]["edits"] for row in rows) == 4
    assert rows[0]["from"][:10] == "2015-09-09" and question.start != DAY - 3 * 86_400
