"""Redis loses, rewinds or freezes under a job whose log is idle: what was answered was right or said so."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from pyspark.sql import SparkSession
from redis import Redis
from redis.exceptions import RedisError

from conf.settings import Settings
from core.handoff import doubts
from core.layout import unseal
from speed_layer.faults import RedisAway
from speed_layer.state import SpeedState
from tests.speed_kit import World, events_of, hash_of, keys_of, lease_of, open_world, running, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[World]:
    with open_world(spark, settings, redis_client, topic) as opened:
        yield opened


@dataclass
class Auditor:
    """Reads the state as readers do, without a pause, and judges it by what was acknowledged when."""

    world: World
    acknowledged: list[tuple[float, int]] = field(default_factory=list)  # at, events until then
    wrong: list[str] = field(default_factory=list)
    answers: list[tuple[float, list[str]]] = field(default_factory=list)  # at, doubts
    as_of: float = 0.0

    def send(self, count: int, name: str) -> None:
        self.world.send(len(self.acknowledged) % 2, *events_of(count, name))
        before = self.acknowledged[-1][1] if self.acknowledged else 0
        self.acknowledged.append((time.time(), before + count))

    def judge(self) -> None:
        state = SpeedState(self.world.redis, self.world.layout)
        generation = state.current()
        meta = state.meta(generation) if generation else None
        if generation is None or meta is None:
            return self.answers.append((time.time(), ["nothing there"]))
        lease, progress = state.lease(generation), state.progress(generation)
        counted = self._counted()
        stamps, current = state.stamps(meta), state.current()
        if current != generation:
            return None
        found = doubts(None, meta.semantics, meta, progress, lease, stamps)
        self.answers.append((time.time(), found))
        if not found and lease is not None:
            self._hold(counted, lease.as_of)
        return None

    def _counted(self) -> int:
        codec, total = self.world.bound.views["by_page"].codec, 0
        for key in keys_of(self.world, "f"):
            if b":f:by_page:" in key:
                total += sum(
                    codec.unpack(unseal(value)[1])[0] for value in hash_of(self.world.redis, key).values()
                )
        return total

    def _hold(self, counted: int, as_of: float) -> None:
        self.as_of = as_of
        least = max((count for at, count in self.acknowledged if at < as_of), default=0)
        if not least <= counted <= self.acknowledged[-1][1]:
            self.wrong.append(f"{counted} events as of {as_of}, of {self.acknowledged}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.02):
                try:
                    self.judge()
                except (RedisAway, RedisError, AssertionError):
                    self.answers.append((time.time(), ["no answer"]))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        assert not self.wrong and len(self.answers) > 20

    def complete(self, since: float) -> bool:
        """Whether the newest answer is complete, and of after `since`."""
        return bool(self.answers) and self.answers[-1][0] > since and not self.answers[-1][1]

    def fresh(self, since: float = 0) -> bool:
        """Complete, and up to all that was acknowledged."""
        return self.complete(since) and self.as_of > self.acknowledged[-1][0]

    def incomplete(self, since: float) -> bool:
        return any(at >= since and found for at, found in self.answers)


@contextmanager
def _idle(world: World) -> Iterator[Auditor]:
    """A job that has written all there is, and an auditor."""
    auditor = Auditor(world)
    auditor.send(40, "a")
    with running(replace(world.job(), until_caught_up=False)), auditor.watching():
        until(auditor.fresh)
        yield auditor


def _snapshot(redis: Redis) -> dict[bytes, tuple[int, bytes]]:
    keys = list(redis.scan_iter("*"))
    return {key: (max(0, int(redis.pttl(key))), cast(bytes, redis.dump(key))) for key in keys}


def _rewind(redis: Redis, snapshot: dict[bytes, tuple[int, bytes]]) -> None:
    """In one step, as a server that comes back with an older file."""
    pipe = redis.pipeline(transaction=True)
    pipe.flushall()
    for key, (milliseconds, value) in snapshot.items():
        pipe.restore(key, milliseconds, value)
    pipe.execute()


def test_a_redis_that_is_rewound_while_the_log_is_idle_is_noticed_and_rebuilt(world: World) -> None:
    with _idle(world) as auditor:
        older = _snapshot(world.redis)
        auditor.send(30, "b")
        sent = auditor.acknowledged[-1][0]
        until(lambda: (lease_of(world) or {"as_of": 0})["as_of"] > sent)
        former = world.current()
        _rewind(world.redis, older)  # with its lease: what it says of then goes on being right for seconds
        until(lambda: world.current() != former and auditor.fresh(time.time() - 1))
    assert world.state() == world.truth()


def test_a_shard_that_comes_back_empty_is_noticed_and_rebuilt(world: World) -> None:
    with _idle(world) as auditor:
        former = world.current()
        world.redis.delete(*world.redis.keys(f"{world.layout.shard(former, 1)}:*"))
        lost = time.time()
        until(lambda: auditor.incomplete(lost), 10)
        until(lambda: world.current() != former and auditor.fresh(time.time() - 1))
    assert world.state() == world.truth()


def test_a_redis_that_stood_still_goes_on_with_what_it_held(world: World) -> None:
    pid = int(world.redis.info("server")["process_id"])
    with _idle(world) as auditor:
        former = world.current()
        os.kill(pid, signal.SIGSTOP)
        try:
            auditor.send(30, "b")
            time.sleep(8)
        finally:
            os.kill(pid, signal.SIGCONT)
        until(lambda: world.progress()["end"] == {"0": 40, "1": 30})
        until(lambda: auditor.fresh(time.time() - 1))
        assert world.current() == former
    assert world.state() == world.truth()


def test_a_full_redis_is_told_of_and_what_it_answers_stays_right(world: World) -> None:
    with _idle(world) as auditor:
        try:
            world.redis.config_set("maxmemory", "1")
            auditor.send(30, "b")
            until(lambda: "nothing advances" in str((lease_of(world) or {}).get("trouble")))
            time.sleep(6)
            assert auditor.complete(time.time() - 1)
        finally:
            world.redis.config_set("maxmemory", "0")
        sent = auditor.acknowledged[-1][0]
        until(lambda: (lease_of(world) or {"as_of": 0})["as_of"] > sent)
        assert (lease_of(world) or {})["trouble"] is None
    assert world.state() == world.truth()
