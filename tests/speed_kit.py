"""A speed job on real servers, and plain Python over the records that were sent to it."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

from kafka import KafkaProducer
from pyspark.sql import SparkSession
from redis import Redis

from conf.clients import kafka_options
from conf.settings import Settings
from core import Count, Max, Mean, Min, Quantiles, Source, Sum, Top, Uniques, View
from core.application import BoundSource
from core.contracts import Contract
from core.cuts import segment_of
from core.declarations import Declaration
from core.folders import Folders
from core.keys import shard_of
from core.layout import Layout, parse_field, unseal
from core.logs import get_logger
from core.manifest import Manifest
from speed_layer.clients import RedisAddress
from speed_layer.log import KafkaLog
from speed_layer.speed_job import SpeedJob

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
            for field, value in hash_of(self.redis, name).items():
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


@contextmanager
def open_world(
    spark: SparkSession,
    settings: Settings,
    redis: Redis,
    topic: Callable[..., str],
    views: Callable[[Source], list[View]] = _views,
    declares: Sequence[Declaration] = (),
) -> Iterator[World]:
    """A world with a topic of two partitions and four shards."""
    source = Source(topic(partitions=2), contract="visits", declares=declares)
    contract = Contract.load(CONTRACT)
    bound = BoundSource.of(source, contract, {view.name: view for view in views(source)})
    small = settings.model_copy(update={"shards": 4, "cut_interval": 3600.0, "trigger_interval": 0.05})
    with KafkaProducer(**kafka_options(settings), acks="all") as producer:
        yield World(spark, small, redis, bound, producer, {0: [], 1: []})


def events_of(count: int, name: str = "e", start: int = 0) -> list[Event]:
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


def keys_of(world: World, what: str) -> list[bytes]:
    head = world.layout.shard(world.current(), 0).rpartition(".")[0]
    return list(world.redis.scan_iter(f"{head}.*}}:{what}:*"))


def hash_of(redis: Redis, key: str | bytes) -> dict[bytes, bytes]:
    return cast(dict[bytes, bytes], redis.hgetall(key))


def publish(world: World, boundary: int) -> None:
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


def meta_of(world: World) -> dict[str, Any]:
    held = world.redis.get(world.layout.of(world.current(), "meta"))
    assert isinstance(held, bytes)
    found: dict[str, Any] = json.loads(held)
    return found


def lease_of(world: World) -> dict[str, Any] | None:
    held = world.redis.get(world.layout.of(world.current(), "lease"))
    return json.loads(held) if isinstance(held, bytes) else None


class running:
    """The job in a thread, until the block is left."""

    def __init__(self, job: SpeedJob) -> None:
        self.job, self.thread = job, threading.Thread(target=job.run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.job.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)
