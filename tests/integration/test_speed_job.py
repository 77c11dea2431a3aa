"""The speed job on a real Kafka, Spark and Redis, held against plain Python over the same records."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from conf.settings import Settings
from core.layout import unseal
from speed_layer.log import KafkaLog
from tests.speed_kit import (
    HOUR,
    World,
    events_of,
    hash_of,
    keys_of,
    lease_of,
    meta_of,
    open_world,
    publish,
    running,
    until,
)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[World]:
    with open_world(spark, settings, redis_client, topic) as opened:
        yield opened


def _undo(world: World, batch: int) -> None:
    """As after a crash in micro-batch `batch`: no stamp, no progress, no commit; fields and marks stay."""
    generation = world.current()
    checkpoint = world.folders.checkpoint(generation)
    (checkpoint / "commits" / str(batch)).unlink(missing_ok=True)
    (checkpoint / "commits" / f".{batch}.crc").unlink(missing_ok=True)
    progress = world.progress()
    before = checkpoint / "offsets" / str(batch - 1)
    end = json.loads(before.read_text().splitlines()[2])[world.name] if batch else {"0": 0, "1": 0}
    progress |= {"batch": batch - 1, "end": end}
    world.redis.set(world.layout.of(generation, "progress"), json.dumps(progress))
    for shard in range(world.settings.shards):
        world.redis.hset(world.layout.stamp(generation, shard), "batch", str(batch - 1))


def _forget_cut(world: World) -> None:
    """As if the job had not made its cut yet."""
    path = world.settings.registry_dir / world.name / "cuts" / f"{1:020d}.json"
    path.unlink()
    changed = json.dumps(world.progress() | {"cuts": 0})
    world.redis.set(world.layout.of(world.current(), "progress"), changed)


def test_state_equals_a_loop_over_the_records(world: World) -> None:
    events = events_of(120)
    world.send(0, *events[:60], None, *events[50:60], events[3])
    world.send(1, *events[60:], events[70], None)
    world.catch_up(max_offsets_per_trigger=40, cut_interval=0.001)
    assert world.state() == world.truth()
    assert len(world.folders.cuts().all()) >= 3
    assert world.progress()["cuts"] == len(world.folders.cuts().all())


def test_a_job_that_starts_again_goes_on_where_it_stopped(world: World) -> None:
    events = events_of(90)
    world.send(0, *events[:30])
    world.catch_up(cut_interval=0.001)
    first = world.current()
    world.send(0, events[0], *events[30:50])
    world.send(1, *events[50:])
    world.catch_up()
    assert world.current() == first
    assert world.state() == world.truth()
    assert {segment for _, _, segment, _ in world.state()} == {0, 1}


def test_a_micro_batch_that_was_half_written_is_completed_and_counted_once(world: World) -> None:
    world.send(0, *events_of(30))
    world.catch_up()
    world.send(1, *events_of(30, "more", 100 * HOUR))
    world.catch_up()
    first, newest = world.current(), world.progress()["batch"]
    _undo(world, newest)
    world.redis.hdel(*_written_by(world, newest, "robots"))
    world.catch_up()
    assert world.current() == first
    assert world.state() == world.truth()


def _written_by(world: World, batch: int, view: str) -> tuple[str, bytes]:
    """A field of a view that micro-batch `batch` wrote, and no older one."""
    for key in keys_of(world, "f"):
        for name, value in hash_of(world.redis, key).items():
            if unseal(value)[0] == batch and f":f:{view}:".encode() in key:
                return key.decode(), name
    raise AssertionError(f"micro-batch {batch} wrote nothing of {view}")


def test_a_crash_between_marks_and_partials_loses_nothing(world: World) -> None:
    world.send(0, *events_of(40), *events_of(10))
    world.catch_up()
    first = world.current()
    _undo(world, 0)
    world.redis.delete(*keys_of(world, "f"), *keys_of(world, "t"))
    world.catch_up()
    assert world.current() == first
    assert world.state() == world.truth()


def test_records_are_split_at_cuts_that_others_made(world: World) -> None:
    world.send(0, *events_of(40))
    world.send(1, *events_of(40, "other"))
    cuts = world.folders.cuts()
    cuts.make({0: 10, 1: 5}, "test")
    cuts.make({0: 10, 1: 25}, "test")
    cuts.make({0: 39, 1: 40}, "test")
    world.catch_up()
    assert {segment for _, _, segment, _ in world.state()} == {0, 1, 2, 3}
    assert world.state() == world.truth()


def test_a_cut_behind_what_is_written_makes_a_new_generation(world: World) -> None:
    world.send(0, *events_of(40))
    world.catch_up()
    first = world.current()
    _forget_cut(world)
    world.folders.cuts().make({0: 10, 1: 0}, "test")
    world.send(0, *events_of(20, "more"))
    world.catch_up()
    assert world.current() != first
    assert world.state() == world.truth()


def test_a_replay_that_holds_other_records_makes_a_new_generation(world: World) -> None:
    world.send(0, *events_of(20))
    world.catch_up()
    first = world.current()
    _undo(world, 0)
    for folder in ("offsets", "commits"):
        shutil.rmtree(world.folders.checkpoint(first) / folder)
    world.send(0, *events_of(20, "more"))
    world.catch_up()
    assert world.current() != first
    assert world.state() == world.truth()


@pytest.mark.parametrize("lost", ["everything", "one shard", "checkpoint"])
def test_a_generation_whose_state_is_lost_is_followed_by_a_new_one(world: World, lost: str) -> None:
    world.send(0, *events_of(30))
    world.catch_up()
    first = world.current()
    if lost == "everything":
        world.redis.flushall()
    elif lost == "one shard":
        world.redis.delete(world.layout.stamp(first, 1))
    else:
        shutil.rmtree(world.folders.checkpoint(first))
    world.catch_up()
    assert world.current() != first
    assert world.state() == world.truth()


def test_state_that_redis_loses_while_the_log_is_idle_is_rebuilt(world: World) -> None:
    world.send(0, *events_of(30))
    job = replace(world.job(), until_caught_up=False)
    with running(job):
        until(lambda: world.redis.exists(world.layout.current()) and world.progress()["batch"] == 0)
        first = world.current()
        world.redis.flushall()
        until(lambda: world.redis.exists(world.layout.current()) and world.current() != first)
        until(lambda: world.progress()["batch"] == 0)
    assert world.state() == world.truth()


def test_a_new_generation_starts_at_the_boundary_and_knows_copies_from_before(world: World) -> None:
    events = events_of(60)
    world.send(0, *events[:20])
    world.catch_up(cut_interval=0.001)
    publish(world, 1)
    world.send(0, *events[10:40])
    world.redis.flushall()
    world.catch_up()
    assert world.progress()["floor"] == 1
    assert world.state() == world.truth(start_cut=1)
    assert meta_of(world)["start_cut"] == 1


def test_segments_below_the_floor_are_dropped_after_a_publish(world: World) -> None:
    for at, name in enumerate("abc"):
        world.send(at % 2, *events_of(20, name))
        world.catch_up(cut_interval=0.001)
    job = replace(world.job(), until_caught_up=False)
    with running(job):
        publish(world, 1)
        until(lambda: world.redis.exists(world.layout.of(world.current(), "lease")))
        assert world.progress()["floor"] == 0
        publish(world, 2)
        until(lambda: world.progress()["floor"] == 1)
        until(lambda: not any(key.endswith(b":t:0") for key in keys_of(world, "t")))
        assert {segment for _, _, segment, _ in world.state()} == {1, 2}
        world.send(0, *events_of(20, "d"))
        until(lambda: world.progress()["end"] == {"0": 60, "1": 20})
    assert world.state() == world.truth(start_cut=1)


def test_the_lease_says_up_to_when_nothing_is_missing(world: World) -> None:
    world.send(0, *events_of(20))
    job = replace(world.job(), until_caught_up=False)
    with running(job):
        until(lambda: world.redis.exists(world.layout.current()) and world.progress()["batch"] == 0)
        sent = time.time()
        until(lambda: (lease_of(world) or {"as_of": 0})["as_of"] > sent)
        assert lease_of(world)["batch"] == 0  # type: ignore[index]
    assert lease_of(world) is None


def test_the_log_tells_the_time_of_a_record_as_often_as_it_is_asked(world: World) -> None:
    before = time.time() - 1
    world.send(0, *events_of(20))
    world.send(1, *events_of(5))
    log = KafkaLog(world.settings, world.name)
    assert (log.begins(), log.ends()) == ({0: 0, 1: 0}, {0: 20, 1: 5})
    for offsets in ({0: 3, 1: 4}, {0: 3, 1: 4}, {0: 19}, {0: 0, 1: 0}):
        found = log.times(offsets)
        assert found.keys() == offsets.keys() and all(before < at < time.time() + 1 for at in found.values())
    assert log.times({}) == {}
    log.close()


def test_redis_that_is_full_stops_the_job_from_advancing_until_there_is_room(world: World) -> None:
    world.send(0, *events_of(20))
    world.catch_up()
    used = int(world.redis.info("memory")["used_memory"])
    job = replace(world.job(), until_caught_up=False)
    try:
        world.redis.config_set("maxmemory", str(max(1, used // 2)))
        world.send(0, *events_of(50, "more"))
        with running(job):
            time.sleep(3)
            assert world.progress()["batch"] == 0
            world.redis.config_set("maxmemory", "0")
            until(lambda: world.progress()["batch"] >= 1)
    finally:
        world.redis.config_set("maxmemory", "0")
    assert world.state() == world.truth()
