"""The batch job from a real log to a published index, against a plain Python fold of the same events."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import lmdb
import pytest
from kafka import KafkaProducer
from pyspark.sql import SparkSession

from batch_layer import index
from batch_layer.boundary import NoRedis
from batch_layer.job import main
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from conf.clients import kafka_options
from conf.settings import Settings
from core.application import Application, BoundSource
from core.buckets import floor
from core.errors import LeaseHeld
from core.folders import Folders
from core.index_values import unframe
from core.keys import index_key, index_partition
from core.leases import hold
from core.logs import get_logger
from core.manifest import Manifest, Publications
from core.measures import Partial
from core.views import CompiledView

Event = dict[str, Any]
LOG = get_logger("test")
ONE = "robot_edits"


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


def test_nothing_new_publishes_nothing_and_new_events_publish_the_next_version(batch: BatchRun) -> None:
    keeping_two = replace(batch, settings=batch.settings.model_copy(update={"versions_kept": 2}))
    run = of_one_view(keeping_two)
    send(run.settings, run.kafka.topic, [edit(1)])
    first = run.run()
    assert first and run.run() is None
    send(run.settings, run.kafka.topic, [edit(2)])
    second = run.run()
    assert second and (second.version, second.boundary) == (2, 2)
    assert second.counts["counted"] == 2
    forced = run.run(force=True)
    assert forced and (forced.version, forced.boundary) == (3, 2)
    assert sorted(int(path.name) for path in run.folders.index(0).parent.iterdir()) == [2, 3]
    assert rows_of(run, ONE, second) == rows_of(run, ONE, forced)


def test_an_empty_log_publishes_empty_views(batch: BatchRun, bound: BoundSource) -> None:
    run = of_one_view(batch, "wiki")
    manifest = run.run()
    assert manifest and manifest.boundary == 0 and manifest.counts["read"] == 0
    assert read_index(run, 1, bound.view("wiki")) == {}
    assert run.run() is None


def test_a_run_killed_before_its_pointer_moves_nothing_and_the_next_run_publishes(
    batch: BatchRun, bound: BoundSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, events = of_one_view(batch), [edit(2), edit(4)]
    send(run.settings, run.kafka.topic, events)
    for place in ("install", "staging"):
        with monkeypatch.context() as patch:
            patch.setattr(index, place, _die)
            with pytest.raises(KeyboardInterrupt):
                run.run()
        assert run.folders.publications().resolve() is None
    with monkeypatch.context() as patch:
        patch.setattr(Publications, "publish", _die)
        with pytest.raises(KeyboardInterrupt):
            run.run()
    assert run.folders.publications().resolve() is None
    manifest = run.run()
    assert manifest and manifest.boundary == 1
    assert_same(
        bound.view(ONE), read_index(run, manifest.version, bound.view(ONE)), fold(bound.view(ONE), events)
    )
    assert [path.name for path in run.folders.index(0).parent.iterdir()] == [f"{manifest.version:020d}"]


def test_a_mended_contract_heals_what_it_had_refused(batch: BatchRun, bound: BoundSource) -> None:
    columns = tuple(replace(c, high=5) if c.name == "added" else c for c in bound.contract.columns)
    narrow = replace(bound, contract=replace(bound.contract, columns=columns))
    strict = of_one_view(replace(batch, bound=narrow))
    events = [edit(2, added=1), edit(4, added=9)]
    send(batch.settings, bound.source.topic, events)
    first = strict.run()
    assert first and (first.counts["counted"], first.counts["refused"]) == (1, 1)
    mended = of_one_view(batch).run()
    assert mended and (mended.counts["counted"], mended.counts["refused"]) == (2, 0)
    assert mended.boundary == first.boundary
    assert_same(bound.view(ONE), read_index(batch, 2, bound.view(ONE)), fold(bound.view(ONE), events))


def test_a_second_batch_job_is_refused(batch: BatchRun) -> None:
    with hold(batch.folders.leases / "batch", "the other job"), pytest.raises(LeaseHeld):
        batch.run()


def test_while_an_archiver_runs_the_batch_job_waits_until_it_has_archived(batch: BatchRun) -> None:
    run = of_one_view(batch)
    send(run.settings, run.kafka.topic, [edit(1), edit(2)])
    with ThreadPoolExecutor(1) as pool, hold(run.folders.leases / "archive", "a long-running archiver"):
        waiting = pool.submit(run.run)
        run.drain()
        manifest = waiting.result(timeout=120)
    assert manifest and manifest.counts["counted"] == 2


def test_an_error_with_a_name_ends_the_job_with_one_line(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--source", "wikipedia.edit"], settings) == 1
    line = json.loads(capsys.readouterr().err)
    assert line["error"] == "UnknownName" and "did you mean 'wikipedia.edits'" in line["reason"]


def rows_of(run: BatchRun, view: str, manifest: Manifest) -> list[Any]:
    """A version of a view's table, by time travel."""
    table = str(run.folders.table(view))
    rows = run.spark.read.format("delta").option("versionAsOf", manifest.views[view]["version"]).load(table)
    return sorted(map(str, rows.select("key_text", "tile", "bucket", "edits", "delta").collect()))


def of_one_view(run: BatchRun, name: str = ONE) -> BatchRun:
    bound = run.bound
    definitions, views = {name: bound.definitions[name]}, {name: bound.views[name]}
    return replace(run, bound=replace(bound, definitions=definitions, views=views))


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


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
