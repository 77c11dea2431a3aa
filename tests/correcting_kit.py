"""Orders that are edited and cancelled, on real servers: what both layers say of them, and a loop."""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kafka import KafkaProducer
from pyspark.sql import SparkSession
from redis import Redis

from batch_layer.boundary import RedisSpeed
from batch_layer.clients import RedisAddress
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from batch_layer.speed_state import RedisSpeedState
from conf.clients import kafka_options
from conf.settings import Settings
from core import Corrections, Count, Max, Mean, Source, Sum, Uniques, View
from core.application import BoundSource
from core.buckets import Run
from core.contracts import Contract
from core.layout import parse_field, unseal
from core.logs import get_logger
from core.manifest import Manifest
from core.measures import Partial
from serving_layer.index import open_index
from tests.corrections import Sent, counting
from tests.speed_kit import World, hash_of

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: orders
version: "1.0.0"
schema:
  - name: orders
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: corrects, logicalType: string}
      - {name: action, logicalType: string}
      - {name: shop, logicalType: string}
      - {name: buyer, logicalType: string}
      - {name: gift, logicalType: boolean}
      - {name: price, logicalType: number, physicalType: "decimal(10,2)"}
"""
LOG = get_logger("test")
Place = tuple[str, str, int]  # view, key, bucket


def views_of(source: Source) -> list[View]:
    return [
        View(
            "by_shop",
            source,
            key=("shop",),
            measures={"n": Count(), "sum": Sum("price"), "mean": Mean("price"), "buyers": Uniques("buyer"),
                      "dearest": Max("price")},
        ),
        View("exact", source, bucket="1 day", where="not gift", measures={"n": Count(), "sum": Sum("price")}),
    ]  # fmt: skip


@dataclass
class Shop:
    """A world of orders. Offsets are places in what was sent."""

    world: World

    @property
    def folders(self) -> Any:
        return self.world.folders

    def send(self, partition: int, *events: dict[str, Any] | None) -> None:
        self.world.send(partition, *events)

    def publish(self, force: bool = False) -> Manifest:
        world, settings = self.world, self.world.settings
        session = build_session("test")
        session.conf.set("spark.sql.shuffle.partitions", "2")
        speed = RedisSpeed(world.redis, world.layout, LOG)
        state = RedisSpeedState(RedisAddress.of(settings), world.layout)
        with open_log(settings, world.name, LOG, seconds=10) as kafka:
            run = BatchRun(session, settings, world.bound, kafka, speed, LOG, state=state)
            manifest = run.run(force)
        assert manifest is not None
        return manifest

    def check(self) -> dict[str, Any]:
        """The record of the last check of a publish."""
        newest = self.folders.handoffs().newest()
        assert newest is not None
        return dict(newest)

    def shown(self) -> dict[Place, dict[str, Any]]:
        """What answers would show of every bucket, with what is not corrected yet."""
        manifest = self.folders.publications().resolve()
        boundary = manifest.boundary if manifest else 0
        parts = defaultdict[Place, list[Partial]](list)
        for place, partial in self._speed(boundary):
            parts[place].append(partial)
        places = {*parts, *self.expected()}
        for view, key, bucket in places:
            compiled = self.world.bound.views[view]
            if manifest:
                index = open_index(self.folders.index(manifest.version), manifest)
                run = Run(compiled.width, bucket, bucket + compiled.width)
                parts[view, key, bucket] += [one for _, one in index.read(compiled, key, [run])]
        return {place: self._present(place[0], found) for place, found in parts.items() if found}

    def _present(self, view: str, partials: list[Partial]) -> dict[str, Any]:
        compiled = self.world.bound.views[view]
        merged = compiled.merge_all(partials)
        return {**compiled.present(merged), "uncorrected": compiled.uncorrected(merged)}

    def _speed(self, boundary: int) -> Iterator[tuple[Place, Partial]]:
        world = self.world
        head = world.layout.shard(world.current(), 0).rpartition(".")[0]
        for name in world.redis.scan_iter(head + ".*}:f:*", count=1000):
            assert isinstance(name, bytes)
            view, _, key = name.decode().partition("}:f:")[2].split(":", 2)
            for field, value in hash_of(world.redis, name).items():
                segment, bucket = parse_field(field)
                if segment >= boundary:
                    yield (view, key, bucket), world.bound.views[view].codec.unpack(unseal(value)[1])

    def counting(self) -> list[dict[str, Any]]:
        """The events that count, by a loop over all that was sent."""
        found = []
        for events in self.world.sent.values():
            logged = [
                Sent("", valid=False) if one is None
                else Sent(one["event_id"], one["corrects"], one["action"] == "cancel")
                for one in events
            ]  # fmt: skip
            found += [event for at in counting(logged) if (event := events[at]) is not None]
        return found

    def expected(self) -> dict[Place, dict[str, Any]]:
        lifted = defaultdict[Place, list[Partial]](list)
        for event in self.counting():
            price, seconds = Decimal(str(event["price"])), event["event_time"] // 1000
            inputs = {"n": 1, "sum": price, "mean": price, "buyers": event["buyer"], "dearest": price}
            taken = {"by_shop": {"shop": event["shop"]}, **({} if event["gift"] else {"exact": {}})}
            for view, key in taken.items():
                compiled = self.world.bound.views[view]
                place = (view, compiled.key_of(key), seconds // compiled.width * compiled.width)
                lifted[place].append(compiled.lift(inputs))
        return {place: self._present(place[0], found) for place, found in lifted.items()}

    def compare(self) -> int:
        """Holds what is shown against the loop; how many measures are said not to be corrected."""
        shown, expected, labelled = self.shown(), self.expected(), 0
        for place in {*shown, *expected}:
            nothing = self._present(place[0], [self.world.bound.views[place[0]].zero])
            got, wanted = shown.get(place, nothing), expected.get(place, nothing)
            for name in self.world.bound.views[place[0]].measures:
                if name in got["uncorrected"]:
                    labelled += 1
                else:
                    assert got[name] == wanted[name], (place, name, got, wanted)
        return labelled


@contextmanager
def open_shop(
    spark: SparkSession, settings: Settings, redis: Redis, topic: Callable[..., str], **changed: Any
) -> Iterator[Shop]:
    corrections = Corrections(target="corrects", retracts="action = 'cancel'")
    source = Source(topic(partitions=2), contract="orders", declares=(corrections,))
    bound = BoundSource.of(source, Contract.load(CONTRACT), {view.name: view for view in views_of(source)})
    small = settings.model_copy(
        update={
            "shards": 4,
            "cut_interval": 3600.0,
            "trigger_interval": 0.05,
            "index_partitions": 2,
            **changed,
        }
    )
    with KafkaProducer(**kafka_options(settings), acks="all") as producer:
        yield Shop(World(spark, small, redis, bound, producer, {0: [], 1: []}))


def order(event_id: str, corrects: str | None = None, **changed: Any) -> dict[str, Any]:
    number = random.Random(json.dumps([event_id, corrects])).randrange(10_000)
    return {
        "event_id": event_id,
        "event_time": (number % 5) * 3_600_000,
        "corrects": corrects,
        "action": "place",
        "shop": f"shop {number % 3}",
        "buyer": f"buyer {number % 7}",
        "gift": number % 4 == 0,
        "price": number / 4,
        **changed,
    }


def cancel(event_id: str, corrects: str) -> dict[str, Any]:
    return order(event_id, corrects, action="cancel")


def some_orders(draw: random.Random, known: list[str], count: int, name: str) -> list[dict[str, Any] | None]:
    """Orders, edits and cancellations of known ones and of unknown ones, copies, and broken records."""
    found: list[dict[str, Any] | None] = []
    for number in range(count):
        event_id, kind = f"{name}{number}", draw.random()
        target = draw.choice(known) if known and draw.random() < 0.9 else "nobody"
        if kind < 0.1:
            found.append(None)
        elif kind < 0.2 and found:
            found.append(found[draw.randrange(len(found))])
        elif kind < 0.45:
            found.append(order(event_id, target))
        elif kind < 0.65:
            found.append(cancel(event_id, target))
        else:
            found.append(order(event_id))
        known.append(event_id)
    return found
