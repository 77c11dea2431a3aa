"""The batch job from a real log to a published index, against a plain Python fold of the same events."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import lmdb
import pytest
from kafka import KafkaProducer
from pyspark.sql import SparkSession

from batch_layer.boundary import NoRedis
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from conf.clients import kafka_options
from conf.settings import Settings
from core.application import Application, BoundSource
from core.buckets import floor
from core.folders import Folders
from core.index_values import unframe
from core.keys import index_key, index_partition
from core.logs import get_logger
from core.measures import Partial
from core.views import CompiledView

Event = dict[str, Any]
LOG = get_logger("test")


@pytest.fixture
def bound(settings: Settings, topic: Callable[..., str]) -> BoundSource:
    """Wikipedia's source and views, on a topic of the test's own."""
    found = Application.load(settings.application, settings.contracts_dir).source()
    return replace(found, source=replace(found.source, topic=topic(partitions=2)))


@pytest.fixture
def batch(spark: SparkSession, settings: Settings, bound: BoundSource) -> Iterator[BatchRun]:
    with open_log(settings, bound.source.topic, LOG, seconds=10) as kafka:
        yield BatchRun(build_session("test"), settings, bound, kafka, NoRedis(), LOG)


def edit(number: int, **changes: Any) -> Event:
    return {
        "event_id": f"e{number}",
        "event_time": f"2015-09-12T{number % 24:02d}:{number % 60:02d}:07.125Z",
        "channel": f"#{'en' if number % 3 else 'de'}.wikipedia",
        "page": f"Page {number % 5}",
        "user": f"user-{number % 7}",
        "namespace": "Main",
        "isRobot": number % 2 == 0,
        "isNew": False,
        "isMinor": False,
        "isAnonymous": False,
        "isUnpatrolled": False,
        "added": number,
        "deleted": 1,
        "delta": number - 1 if number % 4 else -number,
        "countryIsoCode": "FR" if number % 6 == 0 else None,
    } | changes


def send(settings: Settings, topic: str, events: Iterable[Event | bytes]) -> None:
    """Two partitions in turn; the events in order within each."""
    with KafkaProducer(**kafka_options(settings), acks="all") as producer:
        for place, event in enumerate(events):
            value = event if isinstance(event, bytes) else json.dumps(event).encode()
            producer.send(topic, value, partition=place % 2)


def test_a_published_index_answers_as_a_fold_of_the_events_does(batch: BatchRun, bound: BoundSource) -> None:
    events = [edit(number) for number in range(200)]
    send(
        batch.settings,
        bound.source.topic,
        [*events, *events[10:20], b"no json", edit(3, event_id="x", added=-1)],
    )
    manifest = batch.run()
    assert manifest is not None
    assert manifest.counts == {"read": 212, "valid": 210, "refused": 2, "duplicates": 10, "counted": 200}
    assert manifest.offsets == {0: 106, 1: 106} and manifest.boundary == 1
    for view in bound.views.values():
        assert_same(view, read_index(batch, manifest.version, view), fold(view, events))


def test_nothing_new_publishes_nothing_and_new_events_publish_the_next_version(
    batch: BatchRun, bound: BoundSource
) -> None:
    send(batch.settings, bound.source.topic, [edit(1)])
    first = batch.run()
    assert first and batch.run() is None
    send(batch.settings, bound.source.topic, [edit(2)])
    second = batch.run()
    assert second and (second.version, second.boundary) == (2, 2)
    assert second.counts["counted"] == 2


def test_an_empty_log_publishes_empty_views(batch: BatchRun, bound: BoundSource) -> None:
    manifest = batch.run()
    assert manifest and manifest.boundary == 0 and manifest.counts["read"] == 0
    assert all(read_index(batch, 1, view) == {} for view in bound.views.values())
    assert batch.run() is None


def read_index(batch: BatchRun, version: int, view: CompiledView) -> dict[tuple[str, int, int], Partial]:
    """All of an index, by the rows that the table of the same version has."""
    folders, partitions = (
        Folders(batch.settings.data_dir, batch.bound.source.name),
        batch.settings.index_partitions,
    )
    rows = batch.spark.read.format("delta").load(str(folders.table(view.name)))
    places = [
        (r[0], r[1], r[2]) for r in rows.selectExpr("key_text", "tile", "unix_seconds(bucket)").collect()
    ]
    found: dict[tuple[str, int, int], Partial] = {}
    entries = 0
    for partition in range(partitions):
        path = folders.index_file(version, view.name, partition)
        entries += _entries(path)
        mine = [place for place in places if index_partition(place[0], partitions) == partition]
        found |= dict(zip(mine, _values(path, view, mine), strict=True))
    assert entries == len(places)
    return found


def _entries(path: Path) -> int:
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as env:
        return int(env.stat()["entries"])


def _values(path: Path, view: CompiledView, places: list[tuple[str, int, int]]) -> Iterator[Partial]:
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as env, env.begin() as transaction:
        for key, width, bucket in places:
            value = transaction.get(index_key(key, width, bucket))
            at = unframe(value, key) if value else None
            assert value is not None and at is not None
            yield view.codec.unpack(value, at)


INPUTS: dict[str, Callable[[Event], Any]] = {
    "edits": lambda event: 1,
    "added": lambda event: event["added"],
    "deleted": lambda event: event["deleted"],
    "delta": lambda event: event["delta"],
    "mean_delta": lambda event: event["delta"],
    "size": lambda event: abs(event["delta"]),
    "editors": lambda event: event["user"],
    "robots": lambda event: event["user"],
    "pages": lambda event: f"{event['channel']} {event['page']}",
    "top_pages": lambda event: event["page"],
    "first_edit": lambda event: datetime.fromisoformat(event["event_time"]),
    "last_edit": lambda event: datetime.fromisoformat(event["event_time"]),
}


def fold(view: CompiledView, events: Iterable[Event]) -> dict[tuple[str, int, int], Partial]:
    """What the view must hold, in plain Python: no SQL, no dedupe, no tiles of tiles."""
    found: dict[tuple[str, int, int], Partial] = {}
    for event in events:
        if view.name == "robot_edits" and not event["isRobot"]:
            continue
        key = view.key_of({name: event[name] for name in view.key})
        moment = int(datetime.fromisoformat(event["event_time"]).timestamp())
        lifted = view.lift({name: INPUTS[name](event) for name in view.measures})
        for width in view.tiles:
            place = (key, width, floor(moment, width))
            found[place] = view.merge(found.get(place, view.zero), lifted)
    return found


def assert_same(
    view: CompiledView,
    found: dict[tuple[str, int, int], Partial],
    wanted: dict[tuple[str, int, int], Partial],
) -> None:
    """Every tile, presented: sketches of so few values are exact as well."""
    assert found.keys() == wanted.keys()
    for place, partial in found.items():
        assert view.present(partial) == view.present(wanted[place]), (view.name, place)
