"""Adding what is new to a version gives what a full recompute gives; where not, a full one is made."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from batch_layer.merging import merged
from batch_layer.recompute import tiles
from conf.settings import Settings
from core.buckets import floor
from core.logs import Logger
from core.manifest import Manifest
from core.modes import Mode
from core.sketches import Quantiles
from demo.dataset import Event, edits, shifted
from demo.truth import Answer, Truth, quantile_rank_range, time_of
from tests.batch_kit import Bench, bench, differing

Records = Sequence[Event | bytes]


@pytest.fixture(scope="module")
def real(server_settings: Settings) -> list[Event]:
    """Every thirtieth edit, in the order of their time."""
    return edits(server_settings)[::30]


def rounds_of(real: Sequence[Event], seed: int, count: int) -> list[tuple[Records, Records]]:
    """What each partition gets before each boundary: late edits, bad ones, and copies of all ages.

    A copy may have another time and other numbers than the one that counts.
    """
    rng = random.Random(seed)
    cuts = [0, *sorted(rng.sample(range(len(real)), count - 1)), len(real)]
    late = rng.sample(range(len(real)), 60)
    waiting = {real[place]["event_id"] for place in late}
    found: list[tuple[Records, Records]] = []
    for start, end in pairwise(cuts):
        own = [event for event in real[start:end] if event["event_id"] not in waiting]
        own += [real[place] for place in late if rng.random() < 0.3]
        own += [changed(rng, event) for event in rng.choices(real[:end], k=40)]
        records: list[Event | bytes] = [*own, b"no json", b'{"event_id": "half"}']
        rng.shuffle(records)
        half = rng.randrange(len(records))
        found.append((records[:half], records[half:]))
    return found


def changed(rng: random.Random, event: Event) -> Event:
    moved = next(shifted([event], timedelta(hours=rng.randrange(-30, 30))))
    return moved | {"event_id": event["event_id"], "added": event["added"] + 1}


def truth(rounds: Sequence[tuple[Records, Records]]) -> Truth:
    """First valid copy by segment, partition, offset: that is the order in which they were archived."""
    valid = [r for pair in rounds for part in pair for r in part if not isinstance(r, bytes)]
    return Truth(valid)


@pytest.mark.parametrize(
    ("seed", "view"), [pytest.param(1, "edits_by_channel", id="by key"), pytest.param(2, "wiki", id="of all")]
)
def test_incremental_versions_are_those_of_a_full_recompute_and_of_plain_python(
    spark: SparkSession, settings: Settings, real: list[Event], seed: int, view: str
) -> None:
    made, rounds = bench(spark, settings, view, "edits_by_country"), rounds_of(real, seed, 4)
    last: Manifest | None = None
    for place, parts in enumerate(rounds):
        made.archive(*parts)
        if place == 1:  # a boundary with a cut behind it that readers never saw
            made.run.folders.cuts().make(made.run.kafka.end(), "batch")
            continue
        manifest = made.run.run(incremental=True)
        assert manifest and manifest.mode == (Mode.INCREMENTAL if last else Mode.FULL)
        assert manifest.origin.get("base") == (last.version if last else None)
        last = manifest
    full = made.run.run(force=True)
    assert last and full and full.mode == Mode.FULL
    assert (last.counts, last.boundary) == (full.counts, full.boundary)
    for name, compiled in made.bound.views.items():
        assert differing(compiled, made.rows(last, name), made.rows(full, name)) == []
    assert_true(made, last, truth(rounds))


def assert_true(made: Bench, manifest: Manifest, all_events: Truth) -> None:
    """Every hour and day of every country, in plain Python."""
    assert manifest.counts["counted"] == len(all_events.events)
    view = made.bound.view("edits_by_country")
    wanted = dict[tuple[str, int, int], Answer]()
    for width in view.tiles:
        groups: dict[tuple[str, int, int], list[Mapping[str, Any]]] = {}
        for event in all_events.events:
            key = view.key_of({"countryIsoCode": event.get("countryIsoCode")})
            groups.setdefault((key, width, floor(int(time_of(event).timestamp()), width)), []).append(event)
        wanted |= {place: Answer(events) for place, events in groups.items()}
    found = made.rows(manifest, "edits_by_country")
    assert found.keys() == wanted.keys()
    for place, answer in wanted.items():
        shown = view.present(found[place])
        assert (shown["edits"], shown["added"]) == (answer.count, answer.total("added")), place
        editors = shown["editors"]
        assert editors["lower"] <= len(answer.distinct("user")) <= editors["upper"]


def test_rows_that_nothing_is_added_to_keep_their_bytes(
    spark: SparkSession, settings: Settings, real: list[Event]
) -> None:
    made = bench(spark, settings, "edits_by_channel")
    made.archive(real[:600])
    first = made.run.run()
    made.archive(
        [event | {"event_id": f"{event['event_id']}-9"} for event in shifted(real[:3], timedelta(days=9))]
    )
    second = made.run.run(incremental=True)
    assert first and second and second.mode == Mode.INCREMENTAL
    before, after = made.rows(first, "edits_by_channel"), made.rows(second, "edits_by_channel")
    assert len(after) > len(before)
    assert {place: after[place] for place in before} == before


def test_sketches_stay_within_their_bounds_however_often_something_is_added(
    spark: SparkSession, settings: Settings, real: list[Event]
) -> None:
    made = bench(spark, settings, "wiki")
    view, measure = made.bound.view("wiki"), made.bound.view("wiki").measures["size"]
    assert isinstance(measure, Quantiles)
    rows: DataFrame | None = None
    for part in pieces(real, 25):
        new = tiles(frame_of(spark, made, part), view, 2)
        grown = merged(rows, new, view, 2) if rows else new
        rows = spark.createDataFrame(grown.collect(), grown.schema)
        spark.catalog.clearCache()
    assert rows
    (day,) = rows.where("tile = 86400").collect()
    shown, answer = view.present(tuple(day[name] for name in view.columns)), Answer(real)
    sizes = answer.sorted(lambda event: abs(event["delta"]))
    size = shown["size"]
    assert (size["count"], size["min"], size["max"]) == (len(sizes), sizes[0], sizes[-1])
    for quantile in size["quantiles"]:
        low, high = quantile_rank_range(sizes, quantile["value"])
        assert low - size["rank_error"] <= quantile["rank"] <= high + size["rank_error"]
    pages = dict(answer.top("page", len(real)))
    assert all(item["lower"] <= pages[item["value"]] <= item["upper"] for item in shown["top_pages"])
    assert shown["edits"] == len(real)


def pieces(real: Sequence[Event], count: int) -> Iterator[Sequence[Event]]:
    for place in range(count):
        yield real[place::count]


def frame_of(spark: SparkSession, made: Bench, events: Sequence[Event]) -> DataFrame:
    """Events as the contract decodes them, all of one day."""
    columns = made.bound.contract.columns
    types = {"long": "bigint", "boolean": "boolean", "timestamp": "string", "string": "string"}
    schema = ", ".join(f"`{c.name}` {types[c.type]}" for c in columns)
    rows = [tuple(event.get(c.name) for c in columns) for event in events]
    frame = spark.createDataFrame(rows, schema)
    return frame.selectExpr(
        *[f"timestamp(`{c.name}`) AS `{c.name}`" if c.type == "timestamp" else f"`{c.name}`" for c in columns]
    )


def logged(made: Bench) -> tuple[Bench, StringIO]:
    stream = StringIO()
    return Bench(replace(made.run, log=Logger("test", stream=stream))), stream


def reason_of(stream: StringIO) -> str:
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return str(next(line["reason"] for line in lines if line["event"] == "incremental_refused"))


def test_where_it_would_not_be_exact_a_full_recompute_is_made_and_says_why(
    spark: SparkSession, settings: Settings, real: list[Event]
) -> None:
    made, log = logged(bench(spark, settings, "robot_edits"))
    made.archive(real[:50])
    first = made.run.run(incremental=True)
    assert first and first.mode == Mode.FULL and reason_of(log) == "there is no version to add to"

    narrow, log = logged(made.of(contract=with_limit(made, "added", 100)))
    second = narrow.run.run(incremental=True)
    assert second and second.mode == Mode.FULL and "another meaning: the contract" in reason_of(log)

    made, log = logged(made)
    publications = made.run.folders.publications()
    publications.publish(publications.manifest(1), publications.current(), "rollback", "now")
    third = made.run.run(force=True, incremental=True)
    assert third and third.mode == Mode.FULL and "moved to version 1 by a rollback" in reason_of(log)

    made, log = logged(made)
    before = made.rows(first, "robot_edits")
    damage(made)
    fourth = made.run.run(force=True, incremental=True)
    assert fourth and fourth.mode == Mode.FULL and "not those it was made of" in reason_of(log)
    assert made.rows(fourth, "robot_edits") == before


def with_limit(made: Bench, column: str, high: int) -> Any:
    contract = made.bound.contract
    return replace(
        contract, columns=tuple(replace(c, high=high) if c.name == column else c for c in contract.columns)
    )


def damage(made: Bench) -> None:
    """Writes into the files of the newest table version."""
    for path in made.run.folders.table("robot_edits").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-1] + b"X")


def test_records_of_a_former_contract_are_decoded_again_before_something_is_added(
    spark: SparkSession, settings: Settings, real: list[Event]
) -> None:
    """A copy that today's contract accepts counts, though it was refused when it was archived."""
    wide = bench(spark, settings, "edits_by_country")
    narrow = wide.of(contract=with_limit(wide, "added", 10))
    large = [event | {"added": 11} for event in real[:5]]
    narrow.archive(large)
    assert wide.run.run()
    wide.archive([event | {"added": 12} for event in large], real[5:20])
    added = wide.run.run(incremental=True)
    full = wide.run.run(force=True)
    assert added and full and added.mode == Mode.INCREMENTAL
    assert added.counts == full.counts and added.counts["duplicates"] == 5
    view = wide.bound.view("edits_by_country")
    assert differing(view, wide.rows(added, view.name), wide.rows(full, view.name)) == []
