"""The step of the speed layer that gives events the columns of a table, without Spark."""

from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa

from core.keys import key_text
from core.tables import Table
from speed_layer.looking_up import LookupStep

TABLE = Table("t", (("city", "string"), ("age", "long")), {key_text(["ann"]): 1, key_text(["bob"]): 0},
              [("Oslo", None), ("Rome", 30)])  # fmt: skip
STEP = LookupStep(cast(Any, SimpleNamespace(value=TABLE)), ("home_city", "home_age"))


def batch(*buyers: str | None) -> pa.RecordBatch:
    keys = [key_text([buyer]) for buyer in buyers]
    return pa.RecordBatch.from_pydict({"buyer": pa.array(buyers, pa.string()), "_note": keys, "_key": keys})


def test_events_keep_their_order_and_columns_and_get_those_of_the_table() -> None:
    [given] = STEP(iter([batch("bob", "ann", "eve", None, "ann")]))
    assert given.schema.names == ["buyer", "_note", "home_city", "home_age"]
    assert given.column("buyer").to_pylist() == ["bob", "ann", "eve", None, "ann"]
    assert given.column("home_city").to_pylist() == ["Oslo", "Rome", None, None, "Rome"]
    assert given.column("home_age").to_pylist() == [None, 30, None, None, 30]


def test_every_batch_goes_through_also_an_empty_one() -> None:
    assert [each.num_rows for each in STEP(iter([batch(), batch("ann"), batch("eve", "bob")]))] == [0, 1, 2]
    assert next(STEP(iter([batch()]))).column("home_age").type == pa.int64()
