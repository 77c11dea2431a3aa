"""A generation is rebuilt beside the one that answers; and two speed jobs of one source."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from conf.settings import Settings
from core.handoff import Lease
from core.rebuilds import RebuildRequest
from speed_layer.faults import SpeedJobRuns
from speed_layer.rebuild import NoSpeedJob, Rebuild
from speed_layer.speed_job import SpeedJob
from speed_layer.state import SpeedState
from tests.speed_kit import World, events_of, lease_of, open_world, publish, running, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[World]:
    with open_world(spark, settings, redis_client, topic) as opened:
        yield opened


def _state(world: World) -> SpeedState:
    return SpeedState(world.redis, world.layout)


def _rebuild(world: World) -> Rebuild:
    return Rebuild(_state(world), world.name, say=lambda line: None)


def _request(world: World) -> None:
    _state(world).request(RebuildRequest(world.current(), "a test"))


def _lasting(world: World, **changed: object) -> SpeedJob:
    return replace(world.job(**changed), until_caught_up=False)


def _ends(world: World) -> dict[str, int]:
    return {str(partition): len(events) for partition, events in world.sent.items()}


def _traces(world: World, generation: str) -> list[str]:
    folder = world.folders.checkpoint(generation)
    keys = [key.decode() for key in world.redis.scan_iter(f"*{generation}*")]
    return [*keys, *([str(folder)] if folder.exists() else [])]


@contextmanager
def _feeding(world: World) -> Iterator[None]:
    """Events in both partitions, again and again, while what answers must be vouched for and go forward."""
    ended, faults = threading.Event(), list[str]()

    def feed() -> None:
        number = 0
        while not ended.wait(0.1):
            number += 1
            world.send(number % 2, *events_of(5, f"live{number}."), *events_of(1, f"live{number - 2}."))

    def watch() -> None:
        state, before = _state(world), dict[int, int]()
        while not ended.wait(0.2):
            name = world.current()
            progress, lease = state.progress(name), state.lease(name)
            if world.current() != name:
                continue  # as a reader does
            if progress is None or lease is None:
                faults.append(f"nobody vouched for {name}, which is at {progress}")
            elif any(offset < before.get(partition, 0) for partition, offset in progress.end.items()):
                faults.append(f"readers went from {before} back to {progress.end}")
            before = dict(progress.end) if progress else before

    threads = [threading.Thread(target=work) for work in (feed, watch)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not faults


def test_a_rebuild_takes_the_place_of_a_generation_that_was_fed_all_the_while(world: World) -> None:
    world.send(0, *events_of(60), None)
    world.send(1, *events_of(60, "other"))
    world.catch_up(cut_interval=0.001)
    publish(world, 1)
    world.send(0, *events_of(80, "more"), *events_of(10))
    with running(_lasting(world, cut_interval=0.5)):
        until(lambda: lease_of(world) is not None)
        first = world.current()
        with _feeding(world):
            time.sleep(1)
            found = _rebuild(world).run("a test")
            time.sleep(1)
        assert found == world.current() != first
        until(lambda: world.progress()["end"] == _ends(world))
        until(lambda: not _traces(world, first))
        state = _state(world)
        assert (state.kept(), state.requested()) == ({found, None}, None)
        assert state.lease(found) is not None
    cuts = len(world.folders.cuts().all())
    assert world.state() == world.truth(start_cut=1)
    assert world.progress()["cuts"] == cuts >= 3


def test_a_job_that_ends_in_a_rebuild_goes_on_with_both_generations(world: World) -> None:
    world.send(0, *events_of(300))
    world.catch_up()
    first, state = world.current(), _state(world)
    _request(world)
    with running(_lasting(world, max_offsets_per_trigger=20)):
        until(lambda: _followed(state, 2))
        second = state.following()
    assert (world.current(), state.writing()) == (first, first)
    world.send(1, *events_of(50, "more"))
    with running(_lasting(world)):
        until(lambda: world.current() == second)
        until(lambda: world.progress()["end"] == _ends(world))
        until(lambda: not _traces(world, first))
    assert world.state() == world.truth()


class Died(Exception):
    """In place of a SIGKILL."""


class Dying(SpeedState):
    """The job dies before or after the step in which the follower leads."""

    after = False

    def lead(self, former: str, generation: str, *, use: bool) -> None:
        if self.after:
            super().lead(former, generation, use=use)
        raise Died


@pytest.mark.parametrize("after", [False, True])
def test_a_job_that_dies_at_the_last_step_leaves_one_generation_or_the_other(
    world: World, after: bool
) -> None:
    world.send(0, *events_of(100))
    world.catch_up()
    first, job = world.current(), _lasting(world)
    dying = Dying(job.state.client, job.state.layout, job.state.token)
    dying.after, job.state = after, dying
    _request(world)
    with _Tried(job) as died:
        until(lambda: not died.thread.is_alive())
    assert isinstance(died.failure, Died)
    state = _state(world)
    assert (state.writing() == state.current() == first) is not after
    assert (state.requested() is None) is after
    world.send(1, *events_of(100, "more"))
    with running(_lasting(world)):
        until(lambda: world.current() != first and world.progress()["end"] == _ends(world))
        until(lambda: not _traces(world, first))
    assert world.state() == world.truth()


def _followed(state: SpeedState, batch: int) -> bool:
    following = state.following()
    progress = state.progress(following) if following else None
    return progress is not None and progress.batch >= batch


def test_a_follower_that_loses_its_state_is_begun_again_and_leaves_nothing(world: World) -> None:
    world.send(0, *events_of(200))
    world.catch_up()
    first, state = world.current(), _state(world)
    _request(world)
    with running(_lasting(world, max_offsets_per_trigger=100)):
        until(lambda: _followed(state, 1))
        lost = state.following()
        assert lost is not None
        world.redis.delete(world.layout.stamp(lost, 0))
        until(lambda: state.following() not in (None, lost))
        assert world.current() == first
        until(lambda: world.current() != first)
        until(lambda: not _traces(world, first) and not _traces(world, lost))
    assert world.state() == world.truth()


def test_the_successor_leads_if_the_leader_loses_its_state(world: World) -> None:
    world.send(0, *events_of(200))
    world.catch_up()
    first, state = world.current(), _state(world)
    _request(world)
    with running(_lasting(world, max_offsets_per_trigger=100)):
        until(lambda: _followed(state, 1))
        second = state.following()
        world.redis.delete(world.layout.stamp(first, 0))
        until(lambda: state.writing() == second)
        until(lambda: world.current() == second)
        until(lambda: world.progress()["end"] == _ends(world))
        until(lambda: not _traces(world, first) and state.requested() is None)
    assert world.state() == world.truth()


def test_a_rebuild_that_redis_has_no_room_for_is_given_up_and_the_leader_goes_on(world: World) -> None:
    world.send(0, *events_of(200))
    world.catch_up()
    first, state = world.current(), _state(world)
    try:
        with running(_lasting(world, max_offsets_per_trigger=100)):
            until(lambda: lease_of(world) is not None)
            _request(world)
            until(lambda: _followed(state, 0))
            world.redis.config_set("maxmemory", "1mb")
            until(lambda: state.requested() is None and state.following() is None)
            assert world.current() == first
            world.redis.config_set("maxmemory", "0")
            world.send(1, *events_of(30, "more"))
            until(lambda: world.progress()["end"] == _ends(world))
            until(lambda: state.kept() == {first, None} and state.generations() == [first])
    finally:
        world.redis.config_set("maxmemory", "0")
    assert world.state() == world.truth()


def test_nobody_is_asked_to_rebuild_where_no_speed_job_runs(world: World) -> None:
    with pytest.raises(NoSpeedJob, match="no speed job"):
        _rebuild(world).run("a test")
    world.send(0, *events_of(10))
    world.catch_up()
    with pytest.raises(NoSpeedJob, match="start it"):
        _rebuild(world).run("a test")
    assert _state(world).requested() is None


def test_a_second_job_is_refused_and_damages_nothing(world: World) -> None:
    world.send(0, *events_of(30))
    with running(_lasting(world)):
        until(lambda: world.redis.exists(world.layout.current()) and lease_of(world) is not None)
        first = world.current()
        with pytest.raises(SpeedJobRuns, match=first):
            world.catch_up()
        world.send(1, *events_of(30, "more"))
        until(lambda: world.progress()["end"] == _ends(world))
    assert world.current() == first
    assert world.state() == world.truth()


def test_a_job_that_another_one_followed_writes_no_more_and_ends(world: World) -> None:
    world.send(0, *events_of(30))
    other = _state(world)
    with _Tried(_lasting(world)) as former:
        until(lambda: world.redis.exists(world.layout.current()) and lease_of(world) is not None)
        meta = other.meta(world.current())
        assert meta is not None
        other.claim(meta)
        before = world.progress()
        world.send(0, *events_of(30, "more"))
        until(lambda: _vouched(other, meta.id, before["batch"]) and not former.thread.is_alive())
        assert isinstance(former.failure, SpeedJobRuns)
        assert world.progress() == before
    until(lambda: lease_of(world) is None)
    world.catch_up()
    assert (world.current(), world.state()) == (meta.id, world.truth())


def _vouched(other: SpeedState, generation: str, batch: int) -> bool:
    other.renew(generation, Lease(batch, 0.0, time.time()))
    return True


class _Tried(running):
    """A job that may fail."""

    failure: Exception | None = None

    def __init__(self, job: SpeedJob) -> None:
        super().__init__(job)
        self.thread = threading.Thread(target=self._try)

    def _try(self) -> None:
        try:
            self.job.run()
        except (SpeedJobRuns, Died) as error:
            self.failure = error
