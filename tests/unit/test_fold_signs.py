"""Events that are taken back, folded with those that count: what is left is what a loop says."""

import json

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from core import Corrections, Count, Max, Mean, Source, Sum, Uniques, View
from core.keys import key_text
from core.packing import fold
from speed_layer.fold_step import FoldStep
from speed_layer.notes import STATUS
from speed_layer.plan import NOTE, SEGMENT, SIGN, Plan

COLUMNS = {"event_id": "string", "event_time": "timestamp", "corrects": "string", "shop": "string",
           "buyer": "string", "price": "long"}  # fmt: skip
DECLARED = Corrections("corrects").bind(COLUMNS)
ORDERS = Source("orders", "orders", declares=(Corrections("corrects"),))
MEASURES = {"n": Count(), "sum": Sum("price"), "mean": Mean("price"), "buyers": Uniques("buyer"),
            "dearest": Max("price")}  # fmt: skip
VIEW = View("by_shop", ORDERS, MEASURES, key=("shop",)).compile(COLUMNS)
PLAN = Plan.of({"by_shop": VIEW}, (DECLARED,))
Row = tuple[str, int, int, str | None, int | None, int]  # shop, segment, bucket, buyer, price, sign

rows_ = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.integers(0, 1), st.sampled_from([0, 3600]),
        st.none() | st.sampled_from("xyz"), st.none() | st.integers(-9, 9), st.sampled_from([1, 1, -1]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


def projected(rows: list[Row]) -> pa.RecordBatch:
    """What Spark's projection gives."""
    (view,) = PLAN.views
    shops, segments, buckets, buyers, prices, signs = zip(*rows, strict=True)
    inputs = {"n": [1] * len(rows), "sum": prices, "mean": prices, "buyers": buyers, "dearest": prices}
    kinds = {"buyers": pa.string()}
    named = {
        name: pa.array(inputs[measure], kinds.get(measure, pa.int64()))
        for measure, name in zip(VIEW.measures, view.inputs, strict=True)
    }
    return pa.RecordBatch.from_pydict(
        {SEGMENT: pa.array(segments, pa.int64()), NOTE: pa.nulls(len(rows), pa.string()),
         SIGN: pa.array(signs, pa.int32()), view.key: pa.array([key_text([shop]) for shop in shops]),
         view.bucket: pa.array(buckets, pa.int64()), **named}
    )  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(rows_)
def test_signs_are_folded_as_a_loop_does(rows: list[Row]) -> None:
    found: dict[tuple[str, int, int], list[tuple[object, ...]]] = {}
    for batch in FoldStep(PLAN, 4)(iter([projected(rows)])):
        for row in batch.to_pylist():
            if row["view"] == STATUS:
                assert json.loads(row["key"])
                continue
            partial = VIEW.codec.unpack(row["packed"])
            found.setdefault((row["key"], row["segment"], row["bucket"]), []).append(partial)
    expected = {row[:3]: by_loop([other for other in rows if other[:3] == row[:3]]) for row in rows}
    assert {place: shown(partials) for place, partials in found.items()} == {
        (key_text([shop]), segment, bucket): told for (shop, segment, bucket), told in expected.items()
    }


def shown(partials: list[tuple[object, ...]]) -> tuple[object, ...]:
    merged = fold(tuple(VIEW.measures.values()), partials)
    told = VIEW.present(merged)
    return told["n"], told["sum"], told["mean"], told["dearest"], VIEW.uncorrected(merged)


def by_loop(rows: list[Row]) -> tuple[object, ...]:
    prices = [(price, sign) for *_, price, sign in rows if price is not None]
    total, count = sum(price * sign for price, sign in prices), sum(sign for _, sign in prices)
    gone = sum(sign < 0 for *_, sign in rows)
    dearest = max((price for price, sign in prices if sign > 0), default=None)
    left = {"buyers": gone, "dearest": gone} if gone else {}
    return sum(sign for *_, sign in rows), total, total / count if count else None, dearest, left
