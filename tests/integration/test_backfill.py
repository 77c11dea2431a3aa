"""A range of time is made anew, the rest stays as it was; and only where the rest is right."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer import contents
from batch_layer.backfill import Backfill
from batch_layer.recompute import tiles
from conf.settings import Settings
from core.durability import sha256_of
from core.errors import NotExact, Superseded
from core.manifest import Manifest
from core.modes import Mode
from core.views import CompiledView, View
from demo.dataset import Event, edits, shifted
from tests.batch_kit import Bench, bench, differing

DAY = 86_400
FIRST = 1_442_016_000  # 2015-09-12, the day of the edits
COUNTRIES, ROBOTS = "edits_by_country", "robot_edits"


@pytest.fixture(scope="module")
def three_days(server_settings: Settings) -> list[Event]:
    """The same sampled edits on three days, and a copy of each first one with a time of another day."""
    day = edits(server_settings)[::80]
    days = [event for n in range(3) for event in named(shifted(day, timedelta(days=n)), n)]
    return [*days, *[event | {"event_time": "2015-09-13T12:00:00Z"} for event in days[:20]]]


def named(events: Any, day: int) -> Sequence[Event]:
    return [event | {"event_id": f"{event['event_id']}-{day}"} for event in events]


@pytest.fixture
def mistaken(
    spark: SparkSession, settings: Settings, three_days: list[Event], monkeypatch: pytest.MonkeyPatch
) -> tuple[Bench, Manifest]:
    """Two views, published by code with a mistake: it counts every edit of all days twice."""
    made = bench(spark, settings, COUNTRIES, ROBOTS)
    made.archive(three_days[::2], three_days[1::2])
    with monkeypatch.context() as patch:
        patch.setattr(contents, "tiles", doubled)
        manifest = made.run.run()
    assert manifest
    return made, manifest


def doubled(events: DataFrame, view: CompiledView, partitions: int) -> DataFrame:
    return tiles(events, view, partitions).withColumn("edits", F.col("edits") * 2)


def of_day(place: tuple[str, int, int], day: int) -> bool:
    return FIRST + day * DAY <= place[2] < FIRST + (day + 1) * DAY


def test_a_backfill_makes_whole_days_of_the_named_view_anew_and_leaves_all_else(
    mistaken: tuple[Bench, Manifest],
) -> None:
    made, wrong = mistaken
    hours = FIRST + DAY + 3_600, FIRST + DAY + 7_200
    manifest = Backfill(*hours, (COUNTRIES,)).publish(made.run)
    right = made.run.run(force=True)
    assert right and (manifest.mode, manifest.version, manifest.boundary) == (
        Mode.BACKFILL,
        2,
        wrong.boundary,
    )
    assert manifest.origin == {
        "base": 1, "range": "2015-09-13T00:00:00Z to 2015-09-14T00:00:00Z", "views": [COUNTRIES],
    }  # fmt: skip
    assert manifest.counts == right.counts and not manifest.vouched
    found, before, after = (made.rows(version, COUNTRIES) for version in (manifest, wrong, right))
    wanted = {place: (after if of_day(place, 1) else before)[place] for place in after}
    assert differing(made.bound.view(COUNTRIES), found, wanted) == []
    assert {p: found[p] for p in found if not of_day(p, 1)} == {
        p: before[p] for p in before if not of_day(p, 1)
    }
    assert manifest.views[ROBOTS] == wrong.views[ROBOTS]
    assert files_of(manifest, ROBOTS) == files_of(wrong, ROBOTS)
    folder = made.run.folders.index(manifest.version)
    assert all(sha256_of(folder / name) == sha for name, sha in manifest.index.items())


def files_of(manifest: Manifest, view: str) -> dict[str, str]:
    return {name: sha for name, sha in manifest.index.items() if name.startswith(f"{view}/")}


def test_a_backfill_of_all_time_is_a_full_recompute(mistaken: tuple[Bench, Manifest]) -> None:
    made, _ = mistaken
    manifest = Backfill(FIRST - DAY, FIRST + 9 * DAY).publish(made.run)
    right = made.run.run(force=True)
    assert right
    for name, view in made.bound.views.items():
        assert differing(view, made.rows(manifest, name), made.rows(right, name)) == []


def test_new_records_wait_for_the_next_run_and_are_added_to_a_backfilled_version(
    mistaken: tuple[Bench, Manifest], three_days: list[Event]
) -> None:
    made, wrong = mistaken
    made.archive(named(three_days[:10], 7))
    filled = Backfill(FIRST - DAY, FIRST + 9 * DAY).publish(made.run)
    assert (filled.boundary, filled.counts) == (wrong.boundary, wrong.counts)
    added, right = made.run.run(incremental=True), made.run.run(force=True)
    assert added and right and added.mode == Mode.INCREMENTAL and added.counts == right.counts
    for name, view in made.bound.views.items():
        assert differing(view, made.rows(added, name), made.rows(right, name)) == []


def larger(view: View) -> View:
    """Robots' edits of one day, and only of it, were to be left out."""
    return replace(view, where="isRobot AND event_time < timestamp'2015-09-14T00:00:00Z'")


def wider(view: View) -> View:
    return replace(view, bucket="1 minute")


@pytest.mark.parametrize(
    ("change", "views", "reason", "message"),
    [
        (larger, (ROBOTS,), None, r"view 'robot_edits'.*vouch with --only-in-range"),
        (larger, (COUNTRIES,), "that day only", "which changes robot_edits too"),
        (wider, (ROBOTS,), "that day only", "has tiles"),
    ],
)
def test_a_backfill_that_would_leave_wrong_rows_is_refused(
    mistaken: tuple[Bench, Manifest], change: Callable[[View], View], views: tuple[str, ...],
    reason: str | None, message: str,
) -> None:  # fmt: skip
    made, wrong = mistaken
    definitions = made.bound.definitions
    changed = made.of([definitions[COUNTRIES], change(definitions[ROBOTS])])
    with pytest.raises(NotExact, match=message):
        Backfill(FIRST, FIRST + DAY, views, reason).publish(changed.run)
    assert made.run.folders.publications().resolve() == wrong


def test_what_an_operator_vouches_for_is_recorded_and_the_old_definition_is_not_published_again(
    mistaken: tuple[Bench, Manifest],
) -> None:
    made, wrong = mistaken
    definitions = made.bound.definitions
    changed = made.of([definitions[COUNTRIES], larger(definitions[ROBOTS])])
    manifest = Backfill(FIRST + 2 * DAY, FIRST + 3 * DAY, (ROBOTS,), "a bot ran wild").publish(changed.run)
    (statement,) = manifest.vouched
    assert (statement["reason"], statement["changed"]) == ("a bot ran wild", ["view 'robot_edits'"])
    assert statement["outside"] == "2015-09-14T00:00:00Z to 2015-09-15T00:00:00Z"
    assert manifest.semantics == changed.run.semantics != wrong.semantics
    assert not any(of_day(place, 2) for place in changed.rows(manifest, ROBOTS))
    with pytest.raises(Superseded):
        made.run.run(force=True)
    added = changed.run.run(force=True, incremental=True)
    assert added and added.vouched == manifest.vouched
    full = changed.run.run(force=True)
    assert full and full.vouched == ()
