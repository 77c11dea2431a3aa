"""Columns of a table in Spark, in both layers, held against a search through the file in plain Python."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from batch_layer.looking_up import look_up as look_up_in_batch
from core.lookups import Lookup
from speed_layer.looking_up import look_up as look_up_in_speed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LookUp = Callable[["DataFrame", Lookup], "DataFrame"]

TYPES = {
    "event_id": "string",
    "event_time": "timestamp",
    "place": "string",
    "floor": "long",
    "open": "boolean",
}
ARROW = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "long": pa.int64(),
    "boolean": pa.bool_(),
}
NOON = datetime(2013, 2, 8, 12, tzinfo=UTC)
PLACES, FLOORS = ["JFK", "LGA", "é😀", "a:b", "", None], [1, -2, None]
CSV = "\n".join(
    ["place,floor,open,hour,label,price,ratio,since"]
    + [
        f"{place},{floor},{on},2013-02-08 {hour},{place}-{floor},{floor}.5,{hour}.25,2013-02-{hour}T00:00:00Z"
        for place in ("JFK", "é😀", "a:b")
        for floor in (1, -2)
        for on in ("true", "false")
        for hour in (12, 13, 14)
    ]
)
LINES = [line.split(",") for line in CSV.splitlines()[1:]]


@pytest.fixture(scope="module")
def lookup(tmp_path_factory: pytest.TempPathFactory) -> Lookup:
    path = tmp_path_factory.mktemp("tables") / "rooms.csv"
    path.write_text(CSV, encoding="utf-8")
    key = {
        "place": "place",
        "floor": "floor",
        "open": "open",
        "hour": "substring(cast(event_time as string), 1, 13)",
    }
    gives = {
        "label": "string",
        "price": "decimal(5,2)",
        "ratio": "double",
        "since": "timestamp",
        "floor": "long",
    }
    return Lookup(path, key, gives, prefix="room_").bind(TYPES)


def events() -> list[dict[str, Any]]:
    """All places, floors and states, at several hours; and one of which nothing is known, as a note is."""
    known = [
        {"place": place, "floor": floor, "open": on, "event_time": NOON + timedelta(minutes=40 * step)}
        for place in PLACES
        for floor in FLOORS
        for on in (True, False, None)
        for step in range(5)
    ]
    rows = [*known, dict.fromkeys(TYPES)]
    return [{name: row.get(name) for name in TYPES} | {"event_id": str(n)} for n, row in enumerate(rows)]


def naive(event: dict[str, Any]) -> tuple[Any, ...]:
    """The cells of the line that fits, as Python reads them."""
    wanted = [
        event["place"],
        str(event["floor"]),
        str(event["open"]).lower(),
        event["event_time"] and event["event_time"].strftime("%Y-%m-%d %H"),
    ]
    for place, floor, on, hour, *_, price, ratio, since in LINES:
        if [place, floor, on, hour] == wanted:
            return (
                f"{place}-{floor}",
                Decimal(f"{price}0"),
                float(ratio),
                datetime.fromisoformat(since),
                int(floor),
            )
    return (None,) * 5


def frame_of(spark: "SparkSession", rows: list[dict[str, Any]]) -> "DataFrame":
    table = {name: pa.array([row[name] for row in rows], ARROW[kind]) for name, kind in TYPES.items()}
    return spark.createDataFrame(pa.table(table)).repartition(3)


@pytest.mark.parametrize("look_up", [look_up_in_batch, look_up_in_speed], ids=["batch", "speed"])
def test_each_event_gets_what_its_line_says(spark: "SparkSession", lookup: Lookup, look_up: LookUp) -> None:
    given = events()
    found = look_up(frame_of(spark, given), lookup)
    assert set(found.columns) == {*TYPES, *lookup.columns}
    names = ["event_id", *lookup.columns]
    told = {
        row["event_id"]: tuple(row[n] for n in names[1:]) for row in found.select(names).toArrow().to_pylist()
    }
    assert len(told) == found.count() == len(given)
    assert told == {event["event_id"]: naive(event) for event in given}
    assert sum(any(row) for row in told.values()) == 60


def test_both_layers_give_the_types_that_definitions_were_checked_against(
    spark: "SparkSession", lookup: Lookup
) -> None:
    frame = frame_of(spark, events()[:1])
    kinds = dict(look_up_in_speed(frame, lookup).dtypes)
    assert kinds == dict(look_up_in_batch(frame, lookup).dtypes)
    given = {name: "bigint" if kind == "long" else kind for name, kind in lookup.columns.items()}
    assert {name: kinds[name] for name in lookup.columns} == given


def test_the_speed_layer_sends_a_table_to_its_workers_once(spark: "SparkSession", lookup: Lookup) -> None:
    from speed_layer.looking_up import _shipped

    before = _shipped.cache_info().misses
    for _ in range(3):
        look_up_in_speed(frame_of(spark, events()[:2]), lookup).collect()
    assert _shipped.cache_info().misses - before <= 1
