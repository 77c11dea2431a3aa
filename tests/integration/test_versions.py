"""Readers moved back and forward on the real engines, and what the batch and the speed layer make of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from batch_layer.publish import vacuum
from batch_layer.run import BatchRun
from conf.settings import Settings
from core.cuts import reaches
from core.folders import Folders
from core.manifest import Manifest
from core.versions import Versions
from serving_layer.index import LmdbIndex
from serving_layer.snapshots import Watch
from tests.log_kit import delete_before, open_run, send
from tests.serving_kit import edit, silent_logger
from tests.speed_kit import World, events_of, meta_of, open_world, publish, running, until

pytestmark = pytest.mark.timeout(240)
NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def run(spark: SparkSession, settings: Settings, topic: Callable[..., str]) -> Iterator[BatchRun]:
    with open_run(spark, settings, topic(partitions=2), "robot_edits") as run:
        yield run


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[World]:
    with open_world(spark, settings, redis_client, topic) as world:
        yield world


def send_robot(run: BatchRun, number: int) -> None:
    send(run, number % 2, edit(number, isRobot=True))


def published(run: BatchRun, force: bool = False) -> Manifest:
    manifest = run.run(force)
    assert manifest is not None
    return manifest


def rows(run: BatchRun, manifest: Manifest) -> int:
    at = manifest.views["robot_edits"]["version"]
    table = run.spark.read.format("delta").option("versionAsOf", at)
    days = table.load(str(run.folders.table("robot_edits"))).where("tile = 86400")
    return sum(row.edits for row in days.collect())


def test_a_roll_back_holds_until_readers_go_forward(run: BatchRun) -> None:
    versions, watch = Versions(run.folders), Watch(run.folders, run.semantics, silent_logger())
    send_robot(run, 1)
    first = published(run)
    send_robot(run, 2)
    second = published(run)
    watch.look()
    versions.roll_back(1, NOW)
    watch.look()
    assert watch.current().manifest == first and isinstance(watch.current().index, LmdbIndex)

    send_robot(run, 3)
    assert run.run() is None
    watch.look()
    assert watch.current().manifest == first
    assert reaches(run.archive.open(run.kafka.identity()).end, run.kafka.end()), "the archive goes on"

    versions.roll_forward(None, NOW)
    watch.look()
    assert watch.current().manifest == second
    third = published(run)
    assert (third.version, third.counts["counted"]) == (3, 3)
    assert [rows(run, manifest) for manifest in (first, second, third)] == [1, 2, 3]


def test_a_run_that_is_told_to_publishes_over_a_roll_back(run: BatchRun) -> None:
    keeping_two = replace(run, settings=run.settings.model_copy(update={"versions_kept": 2}))
    versions = Versions(run.folders)
    for number in (1, 2, 3):
        send_robot(run, number)
        published(run)
    versions.roll_back(1, NOW)
    fourth = published(keeping_two, force=True)
    assert (fourth.version, fourth.counts["counted"]) == (4, 3)
    pointer = run.folders.publications().current()
    assert pointer is not None and (pointer.kind, pointer.floor) == ("publish", 1)
    assert versions.held() is None and versions.retained() == [1, 3, 4]
    assert versions.roll_back(1, NOW).version == 1


def test_no_retained_version_loses_rows_whatever_delta_would_keep(run: BatchRun) -> None:
    send_robot(run, 1)
    first = published(run)
    table = run.folders.table("robot_edits")
    forgetful = "SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 0 hours')"
    send_robot(run, 2)
    second = published(run)
    run.spark.sql(f"ALTER TABLE delta.`{table}` {forgetful}")
    vacuum(run.spark, run.folders, ["robot_edits"], 2, run.now())
    assert [rows(run, manifest) for manifest in (first, second)] == [1, 2]


def test_segments_that_were_dropped_are_counted_again_after_a_roll_back(world: World) -> None:
    versions = three_versions(world)
    with running(replace(world.job(), until_caught_up=False)):
        until(lambda: world.progress()["floor"] == 2)
        former = world.current()
        versions.roll_back(1, NOW)
        until(lambda: world.current() != former)
        until(lambda: world.progress()["end"] == {"0": 40, "1": 20})
        assert (meta_of(world)["start_cut"], world.progress()["lost"]) == (1, None)
        assert world.state() == world.truth(start_cut=1)


def test_a_roll_back_to_what_the_log_dropped_says_so_until_readers_go_forward(world: World) -> None:
    versions = three_versions(world)
    with running(replace(world.job(), until_caught_up=False)):
        until(lambda: world.progress()["floor"] == 2)
        delete_before(world.settings, world.name, 0, 30)
        versions.roll_back(1, NOW)
        until(lambda: "partition 0 from 20 to 30" in (world.progress()["lost"] or ""))
        versions.roll_forward(None, NOW)
        until(lambda: world.progress()["lost"] is None and meta_of(world)["start_cut"] == 3)
        world.send(1, *events_of(10, "d"))
        until(lambda: world.progress()["end"] == {"0": 40, "1": 30})
        assert world.state() == world.truth(start_cut=3)


def three_versions(world: World) -> Versions:
    """Three cuts of 20 events each, on partitions 0, 1 and 0, and a version up to each."""
    for at, name in enumerate("abc"):
        world.send(at % 2, *events_of(20, name))
        world.catch_up(cut_interval=0.001)
    for boundary in (1, 2, 3):
        publish(world, boundary)
        Folders(world.settings.data_dir, world.name).index(boundary).mkdir(parents=True)
    return Versions(world.folders)
