"""The speed job on a real Kafka, Spark and Redis, held against plain Python over the same records."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from kafka import KafkaProducer
from pyspark.sql import SparkSession
from redis import Redis

from conf.clients import kafka_options
from conf.settings import Settings
from core import Count, Max, Mean, Min, Quantiles, Source, Sum, Top, Uniques, View
from core.application import BoundSource
from core.contracts import Contract
from core.cuts import segment_of
from core.folders import Folders
from core.keys import shard_of
from core.layout import Layout, parse_field, unseal
from core.logs import get_logger
from core.manifest import Manifest
from speed_layer.clients import RedisAddress
from speed_layer.log import KafkaLog
from speed_layer.speed_job import SpeedJob

pytestmark = pytest.mark.timeout(240)

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: visits
version: "1.0.0"
schema:
  - name: visits
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: page, logicalType: string}
      - {name: user, logicalType: string}
      - {name: size, logicalType: integer}
      - {name: robot, logicalType: boolean}
"""
HOUR = 3600
Event = dict[str, Any]


def _views(source: Source) -> list[View]:
    return [
        View(
            "by_page",
            source,
            key=("page",),
            measures={
                "n": Count(),
                "size": Sum("size"),
                "mean": Mean("size"),
                "first": Min("event_time"),
                "last": Max("event_time"),
                "users": Uniques("user"),
            },
        ),
        View(
            "whole",
            source,
            bucket="1 minute",
            measures={"n": Count("size"), "sizes": Quantiles("abs(size)"), "top": Top("page")},
        ),
        View("robots", source, key={"who": "upper(user)"}, where="robot", measures={"least": Min("size")}),
    ]


_Take = Callable[[Event], Any]

# What the definitions above say, once more by hand: key parts, condition, and each measure's input.
_BY_HAND: dict[str, tuple[_Take, _Take, _Take]] = {
    "by_page": (
        lambda e: {"page": e["page"]},
        lambda e: True,
        lambda e: {
            "n": 1,
            "size": e["size"],
            "mean": e["size"],
            "first": _micros(e),
            "last": _micros(e),
            "users": e["user"],
        },
    ),
    "whole": (
        lambda e: {},
        lambda e: True,
        lambda e: {"n": e["size"], "sizes": None if e["size"] is None else abs(e["size"]), "top": e["page"]},
    ),
    "robots": (
        lambda e: {"who": None if e["user"] is None else e["user"].upper()},
        lambda e: bool(e["robot"]),
        lambda e: {"least": e["size"]},
    ),
}


def _micros(event: Event) -> int:
    return int(event["event_time"]) * 1000


@dataclass
class World:
    """One topic, its settings, and all that was sent to it, by partition."""

    spark: SparkSession
    settings: Settings
    redis: Redis
    bound: BoundSource
    producer: KafkaProducer
    sent: dict[int, list[Event | None]]

    @property
    def name(self) -> str:
        return self.bound.source.name

    @property
    def folders(self) -> Folders:
        return Folders(self.settings.data_dir, self.name)

    @property
    def layout(self) -> Layout:
        return Layout(self.settings.namespace, self.name)

    def send(self, partition: int, *events: Event | None) -> None:
        """`None` is a record that breaks the contract."""
        for event in events:
            value = b"{" if event is None else json.dumps(event).encode()
            self.producer.send(self.name, value, key=b"k", partition=partition)
            self.sent[partition].append(event)
        self.producer.flush()

    def job(self, **changed: Any) -> SpeedJob:
        settings = self.settings.model_copy(update=changed)
        log, source = get_logger("speed"), KafkaLog(settings, self.name)
        return SpeedJob(
            self.spark, settings, self.bound, source, RedisAddress.of(settings), log, until_caught_up=True
        )

    def catch_up(self, **changed: Any) -> None:
        self.job(**changed).run()

    def current(self) -> str:
        held = self.redis.get(self.layout.current())
        assert isinstance(held, bytes)
        return held.decode()

    def progress(self) -> dict[str, Any]:
        held = self.redis.get(self.layout.of(self.current(), "progress"))
        assert isinstance(held, bytes)
        found: dict[str, Any] = json.loads(held)
        return found

    def state(self) -> dict[tuple[str, str, int, int], dict[str, Any]]:
        """What readers find: (view, key, segment, bucket) -> presented measures."""
        found = {}
        head = self.layout.shard(self.current(), 0).rpartition(".")[0]
        for raw in self.redis.scan_iter(head + ".*}:f:*", count=1000):
            assert isinstance(raw, bytes)
            name = raw.decode()
            view, _, key = name.partition("}:f:")[2].split(":", 2)
            assert int(name.partition("}")[0].rpartition(".")[2]) == shard_of(view, key, self.settings.shards)
            for field, value in _hash(self.redis, name).items():
                partial = self.bound.views[view].codec.unpack(unseal(value)[1])
                found[view, key, *parse_field(field)] = self.bound.views[view].present(partial)
        return found

    def truth(self, start_cut: int = 0) -> dict[tuple[str, str, int, int], dict[str, Any]]:
        """The same by a loop over what was sent."""
        lifted: dict[tuple[str, str, int, int], list[Any]] = {}
        for event, segment in self._counted():
            for view, (key, where, inputs) in _BY_HAND.items():
                if segment < start_cut or not where(event):
                    continue
                compiled = self.bound.views[view]
                bucket = event["event_time"] // 1000 // compiled.width * compiled.width
                place = (view, compiled.key_of(key(event)), segment, bucket)
                lifted.setdefault(place, []).append(compiled.lift(inputs(event)))
        return {
            p: self.bound.views[p[0]].present(self.bound.views[p[0]].merge_all(x)) for p, x in lifted.items()
        }

    def _counted(self) -> Iterator[tuple[Event, int]]:
        cuts, seen = self.folders.cuts().all(), set()
        for partition, events in self.sent.items():
            for offset, event in enumerate(events):
                if event is not None and event["event_id"] not in seen:
                    seen.add(event["event_id"])
                    yield event, segment_of(partition, offset, cuts)


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[World]:
    source = Source(topic(partitions=2), contract="visits")
    contract = Contract.load(CONTRACT)
    types = {column.name: column.type for column in contract.columns}
    views = {view.name: view for view in _views(source)}
    bound = BoundSource(source, contract, views, {n: v.compile(types) for n, v in views.items()})
    small = settings.model_copy(update={"shards": 4, "cut_interval": 3600.0, "trigger_interval": 0.05})
    with KafkaProducer(**kafka_options(settings), acks="all") as producer:
        yield World(spark, small, redis_client, bound, producer, {0: [], 1: []})


def _events(count: int, name: str = "e", start: int = 0) -> list[Event]:
    """Events that differ in everything, some without a value."""
    return [
        {
            "event_id": f"{name}{n}",
            "event_time": (start + n * 97) * 1000 + n,
            "page": None if n % 11 == 0 else f"page {n % 5}",
            "user": f"user-{n % 17}",
            "size": None if n % 7 == 0 else (-1) ** n * n * 10**9,
            "robot": n % 3 == 0,
        }
        for n in range(count)
    ]


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


def _keys(world: World, what: str) -> list[bytes]:
    head = world.layout.shard(world.current(), 0).rpartition(".")[0]
    return list(world.redis.scan_iter(f"{head}.*}}:{what}:*"))


def _hash(redis: Redis, key: str | bytes) -> dict[bytes, bytes]:
    return cast(dict[bytes, bytes], redis.hgetall(key))


def test_state_equals_a_loop_over_the_records(world: World) -> None:
    events = _events(120)
    world.send(0, *events[:60], None, *events[50:60], events[3])
    world.send(1, *events[60:], events[70], None)
    world.catch_up(max_offsets_per_trigger=40, cut_interval=0.001)
    assert world.state() == world.truth()
    assert len(world.folders.cuts().all()) >= 3
    assert world.progress()["cuts"] == len(world.folders.cuts().all())


def test_a_job_that_starts_again_goes_on_where_it_stopped(world: World) -> None:
    events = _events(90)
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
    world.send(0, *_events(30))
    world.catch_up()
    world.send(1, *_events(30, "more", 100 * HOUR))
    world.catch_up()
    first, newest = world.current(), world.progress()["batch"]
    _undo(world, newest)
    world.redis.hdel(*_written_by(world, newest, "robots"))
    world.catch_up()
    assert world.current() == first
    assert world.state() == world.truth()


def _written_by(world: World, batch: int, view: str) -> tuple[str, bytes]:
    """A field of a view that micro-batch `batch` wrote, and no older one."""
    for key in _keys(world, "f"):
        for name, value in _hash(world.redis, key).items():
            if unseal(value)[0] == batch and f":f:{view}:".encode() in key:
                return key.decode(), name
    raise AssertionError(f"micro-batch {batch} wrote nothing of {view}")


def test_a_crash_between_marks_and_partials_loses_nothing(world: World) -> None:
    world.send(0, *_events(40), *_events(10))
    world.catch_up()
    first = world.current()
    _undo(world, 0)
    world.redis.delete(*_keys(world, "f"), *_keys(world, "t"))
    world.catch_up()
    assert world.current() == first
    assert world.state() == world.truth()


def test_records_are_split_at_cuts_that_others_made(world: World) -> None:
    world.send(0, *_events(40))
    world.send(1, *_events(40, "other"))
    cuts = world.folders.cuts()
    cuts.make({0: 10, 1: 5}, "test")
    cuts.make({0: 10, 1: 25}, "test")
    cuts.make({0: 39, 1: 40}, "test")
    world.catch_up()
    assert {segment for _, _, segment, _ in world.state()} == {0, 1, 2, 3}
    assert world.state() == world.truth()


def test_a_cut_behind_what_is_written_makes_a_new_generation(world: World) -> None:
    world.send(0, *_events(40))
    world.catch_up()
    first = world.current()
    _forget_cut(world)
    world.folders.cuts().make({0: 10, 1: 0}, "test")
    world.send(0, *_events(20, "more"))
    world.catch_up()
    assert world.current() != first
    assert world.state() == world.truth()


def test_a_replay_that_holds_other_records_makes_a_new_generation(world: World) -> None:
    world.send(0, *_events(20))
    world.catch_up()
    first = world.current()
    _undo(world, 0)
    for folder in ("offsets", "commits"):
        shutil.rmtree(world.folders.checkpoint(first) / folder)
    world.send(0, *_events(20, "more"))
    world.catch_up()
    assert world.current() != first
    assert world.state() == world.truth()


@pytest.mark.parametrize("lost", ["everything", "one shard", "checkpoint"])
def test_a_generation_whose_state_is_lost_is_followed_by_a_new_one(world: World, lost: str) -> None:
    world.send(0, *_events(30))
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
    world.send(0, *_events(30))
    job = replace(world.job(), until_caught_up=False)
    with _running(job):
        _until(lambda: world.redis.exists(world.layout.current()) and world.progress()["batch"] == 0)
        first = world.current()
        world.redis.flushall()
        _until(lambda: world.redis.exists(world.layout.current()) and world.current() != first)
        _until(lambda: world.progress()["batch"] == 0)
    assert world.state() == world.truth()


def test_a_new_generation_starts_at_the_boundary_and_knows_copies_from_before(world: World) -> None:
    events = _events(60)
    world.send(0, *events[:20])
    world.catch_up(cut_interval=0.001)
    _publish(world, 1)
    world.send(0, *events[10:40])
    world.redis.flushall()
    world.catch_up()
    assert world.progress()["floor"] == 1
    assert world.state() == world.truth(start_cut=1)
    assert _meta(world)["start_cut"] == 1


def test_segments_below_the_floor_are_dropped_after_a_publish(world: World) -> None:
    for at, name in enumerate("abc"):
        world.send(at % 2, *_events(20, name))
        world.catch_up(cut_interval=0.001)
    job = replace(world.job(), until_caught_up=False)
    with _running(job):
        _publish(world, 1)
        _until(lambda: world.redis.exists(world.layout.of(world.current(), "lease")))
        assert world.progress()["floor"] == 0
        _publish(world, 2)
        _until(lambda: world.progress()["floor"] == 1)
        _until(lambda: not any(key.endswith(b":t:0") for key in _keys(world, "t")))
        assert {segment for _, _, segment, _ in world.state()} == {1, 2}
        world.send(0, *_events(20, "d"))
        _until(lambda: world.progress()["end"] == {"0": 60, "1": 20})
    assert world.state() == world.truth(start_cut=1)


def test_the_lease_says_up_to_when_nothing_is_missing(world: World) -> None:
    world.send(0, *_events(20))
    job = replace(world.job(), until_caught_up=False)
    with _running(job):
        _until(lambda: world.redis.exists(world.layout.current()) and world.progress()["batch"] == 0)
        sent = time.time()
        _until(lambda: (_lease(world) or {"as_of": 0})["as_of"] > sent)
        assert _lease(world)["batch"] == 0  # type: ignore[index]
    assert _lease(world) is None


def test_the_log_tells_the_time_of_a_record_as_often_as_it_is_asked(world: World) -> None:
    before = time.time() - 1
    world.send(0, *_events(20))
    world.send(1, *_events(5))
    log = KafkaLog(world.settings, world.name)
    assert (log.begins(), log.ends()) == ({0: 0, 1: 0}, {0: 20, 1: 5})
    for offsets in ({0: 3, 1: 4}, {0: 3, 1: 4}, {0: 19}, {0: 0, 1: 0}):
        found = log.times(offsets)
        assert found.keys() == offsets.keys() and all(before < at < time.time() + 1 for at in found.values())
    assert log.times({}) == {}
    log.close()


def test_redis_that_is_full_stops_the_job_from_advancing_until_there_is_room(world: World) -> None:
    world.send(0, *_events(20))
    world.catch_up()
    used = int(world.redis.info("memory")["used_memory"])
    job = replace(world.job(), until_caught_up=False)
    try:
        world.redis.config_set("maxmemory", str(max(1, used // 2)))
        world.send(0, *_events(50, "more"))
        with _running(job):
            time.sleep(3)
            assert world.progress()["batch"] == 0
            world.redis.config_set("maxmemory", "0")
            _until(lambda: world.progress()["batch"] >= 1)
    finally:
        world.redis.config_set("maxmemory", "0")
    assert world.state() == world.truth()


def _publish(world: World, boundary: int) -> None:
    publications, cut = world.folders.publications(), world.folders.cuts().get(boundary)
    identity = KafkaLog(world.settings, world.name).identity()
    version = publications.next_version()
    manifest = Manifest(
        version,
        world.name,
        boundary,
        cut.offsets,
        identity.cluster,
        identity.topic_id,
        0,
        world.bound.semantics(world.settings.dedupe_window),
        "2026-01-01T00:00:00Z",
    )
    publications.manifests.append(version, manifest.entry())
    publications.publish(manifest, publications.current(), "publish", "2026-01-01T00:00:00Z")


def _meta(world: World) -> dict[str, Any]:
    held = world.redis.get(world.layout.of(world.current(), "meta"))
    assert isinstance(held, bytes)
    found: dict[str, Any] = json.loads(held)
    return found


def _lease(world: World) -> dict[str, Any] | None:
    held = world.redis.get(world.layout.of(world.current(), "lease"))
    return json.loads(held) if isinstance(held, bytes) else None


class _running:
    """The job in a thread, until the block is left."""

    def __init__(self, job: SpeedJob) -> None:
        self.job, self.thread = job, threading.Thread(target=job.run)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.job.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def _until(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)
