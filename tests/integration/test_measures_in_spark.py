"""Spark's SQL against its twins in plain Python, over values that are there to break one of them."""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from core import Count, Max, Mean, Min, Quantiles, Ratio, Source, Sum, Top, Uniques, View, keys
from core.buckets import floor
from core.cuts import Cut, cuts_within, segment_of, segment_sql
from core.expressions import compile_expression
from core.measures import Measure, Partial
from core.sqltypes import digits
from core.views import CompiledView
from tests.expressions import ACCEPTED, COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SOURCE = Source("things", contract="things", event_time="moment")
VIEW = View(
    "everything",
    SOURCE,
    key={"text": "text", "number": "number", "flag": "flag"},
    bucket="15 minutes",
    measures={
        "n": Count(),
        "texts": Count("text"),
        "numbers": Sum("number"),
        "tripled": Sum("number * 3"),
        "amounts": Sum("amount"),
        "wides": Sum("wide"),
        "mean": Mean("number"),
        "mean_amount": Mean("amount"),
        "ratio_of_sums": Ratio("number", "amount"),
        "ratio_of_wides": Ratio("wide", "number * 3"),
        "first_text": Min("text"),
        "last_text": Max("text"),
        "longest": Max("length(text)"),
        "least": Min("number"),
        "greatest": Max("number"),
        "least_wide": Min("wide"),
        "most_amount": Max("amount"),
        "least_ratio": Min("ratio"),
        "most_ratio": Max("ratio"),
        "most_quotient": Max("number / amount"),
        "first": Min("moment"),
        "last": Max("moment"),
        "odd_time": Max("cast(number as timestamp)"),
        "text_uniques": Uniques("text"),
        "number_uniques": Uniques("number", lg_k=8),
        "flag_uniques": Uniques("flag"),
        "sizes": Quantiles("number"),
        "ratios": Quantiles("ratio", k=20),
        "amount_sizes": Quantiles("amount"),
        "top": Top("text"),
        "few_top": Top("other", capacity=8),
    },
).compile(COLUMNS)
SPARK_KINDS = {"long": "bigint", "text": "string", "blob": "binary", "double": "double"}
LARGEST = 2**63 - 1
TEXTS = ["", "a", "b", " a ", "-", "5:hello", "é😀", "x\ny\t\0", "'\"\\", "%_", "{tag}", "true", "日" * 200]


def random_rows(count: int, seed: int) -> list[tuple[Any, ...]]:
    """Rows with nulls everywhere; group 0 is all nulls, group 1 has only the largest longs."""
    dice = random.Random(seed)

    def maybe(value: Any) -> Any:
        return None if dice.random() < 0.15 else value

    def row(number: int) -> tuple[Any, ...]:
        group = number % 6
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=dice.randint(-(10**15), 10**16))
        values = (
            maybe(dice.choice(TEXTS)),
            maybe(f"v{int(dice.paretovariate(0.6)) % 500}"),
            LARGEST if group == 1 else maybe(dice.choice([LARGEST, -LARGEST - 1, 0, dice.randint(-99, 99)])),
            maybe(Decimal(dice.randint(-(10**17), 10**17)).scaleb(-4)),
            maybe(Decimal(dice.choice([10**28 - 1, 1 - 10**28, dice.randint(-(10**9), 10**9)])).scaleb(-6)),
            maybe(dice.choice([0.0, -0.0, 1e308, -1e308, float("inf"), float("nan"), dice.gauss(0, 1)])),
            maybe(dice.random() < 0.5),
            maybe(moment),
        )
        return (number, group, dice.randint(0, 3), *([None] * len(values) if group == 0 else values))

    return [row(number) for number in range(count)]


@pytest.fixture(scope="module")
def rows() -> list[tuple[Any, ...]]:
    return random_rows(900, seed=7)


@pytest.fixture(scope="module")
def events(spark: "SparkSession", rows: list[tuple[Any, ...]]) -> "DataFrame":
    types = {"long": "bigint"}
    columns = ", ".join(f"`{name}` {types.get(kind, kind)}" for name, kind in COLUMNS.items())
    return spark.createDataFrame(rows, f"id bigint, g int, h int, {columns}").repartition(3).cache()


def by(frame: "DataFrame", aggregates: dict[str, str], *groups: str) -> "DataFrame":
    from pyspark.sql import functions as F

    return frame.groupBy(*groups).agg(*[F.expr(sql).alias(name) for name, sql in aggregates.items()])


def partials(frame: "DataFrame") -> dict[int, Partial]:
    return {row["g"]: tuple(plain(row[column]) for column in VIEW.columns) for row in frame.collect()}


def plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value


@pytest.fixture(scope="module")
def in_spark(events: "DataFrame") -> dict[int, Partial]:
    return partials(by(events, VIEW.partial_sql, "g"))


@pytest.fixture(scope="module")
def inputs(events: "DataFrame") -> list[dict[str, Any]]:
    """What each row gives to each measure."""
    given = [f"{measure.row_sql(measure.sql)} as `{name}`" for name, measure in VIEW.measures.items()]
    return [row.asDict(recursive=True) for row in events.selectExpr("g", *given).collect()]


def parts(partial: Partial) -> Iterable[tuple[str, Measure, Partial]]:
    at = 0
    for name, measure in VIEW.measures.items():
        yield name, measure, partial[at : at + len(measure.slots)]
        at += len(measure.slots)


def test_spark_gives_each_slot_the_type_that_it_says(events: "DataFrame") -> None:
    found = by(events, VIEW.partial_sql, "g")
    merged = by(found, VIEW.merge_sql, "g")
    for frame in (found, merged):
        types = dict(frame.dtypes)
        for column, slot in VIEW.slots:
            assert types[column] == SPARK_KINDS.get(slot.kind, slot.kind), column


def test_exact_partials_are_those_of_plain_python(
    in_spark: dict[int, Partial], inputs: list[dict[str, Any]]
) -> None:
    for group, partial in in_spark.items():
        mine = [row for row in inputs if row["g"] == group]
        for name, measure, found in parts(partial):
            if not measure.approximate:
                lifted = [measure.lift(row[name]) for row in mine]
                assert found == measure.merge_all(lifted), (group, name)


def test_spark_merges_any_split_into_what_one_pass_gives(
    events: "DataFrame", in_spark: dict[int, Partial]
) -> None:
    by_spark = partials(by(by(events, VIEW.partial_sql, "g", "h"), VIEW.merge_sql, "g"))
    split = by(events, VIEW.partial_sql, "g", "h").collect()
    for group, whole in in_spark.items():
        pieces = [tuple(plain(row[c]) for c in VIEW.columns) for row in split if row["g"] == group]
        by_python = VIEW.merge_all(pieces)
        for (name, measure, one), (_, _, spark), (_, _, python) in zip(
            parts(whole), parts(by_spark[group]), parts(by_python), strict=True
        ):
            if measure.approximate:
                assert comparable(measure, one) == comparable(measure, spark), (group, name)
                assert comparable(measure, one) == comparable(measure, python), (group, name)
            else:
                assert one == spark == python, (group, name)


def comparable(measure: Measure, partial: Partial) -> Any:
    """What must be equal of a sketch under any split."""
    shown = measure.present(partial)
    if isinstance(measure, Uniques):
        return shown
    if isinstance(measure, Quantiles):
        return shown["count"], shown["min"], shown["max"]
    return [(row["value"], row["lower"]) for row in shown] if measure.capacity > 500 else None  # type: ignore[attr-defined]


def test_uniques_have_the_registers_of_plain_python(
    in_spark: dict[int, Partial], inputs: list[dict[str, Any]]
) -> None:
    for group, partial in in_spark.items():
        mine = [row for row in inputs if row["g"] == group]
        for name, measure, found in parts(partial):
            if isinstance(measure, Uniques):
                folded = measure.merge_all([measure.lift(row[name]) for row in mine])
                assert measure.present(folded) == measure.present(found), (group, name)
                exact = len({str(row[name]) for row in mine if row[name] not in (None, "")})
                assert measure.present(found)["lower"] <= exact <= measure.present(found)["upper"]


def test_quantiles_count_each_value_and_lie_within_their_bounds(
    in_spark: dict[int, Partial], inputs: list[dict[str, Any]]
) -> None:
    for group, partial in in_spark.items():
        for name, measure, found in parts(partial):
            if isinstance(measure, Quantiles):
                values = sorted(row[name] for row in inputs if row["g"] == group and row[name] is not None)
                shown = measure.present(found)
                assert shown["count"] == len(values)
                for quantile in shown["quantiles"]:
                    exact = values[max(0, -(-int(quantile["rank"] * 1000) * len(values) // 1000) - 1)]
                    assert quantile["lower"] <= exact <= quantile["upper"], (group, name)


def test_top_values_lie_within_their_bounds(
    in_spark: dict[int, Partial], inputs: list[dict[str, Any]]
) -> None:
    for group, partial in in_spark.items():
        for name, measure, found in parts(partial):
            if isinstance(measure, Top):
                exact = Counter(row[name] for row in inputs if row["g"] == group and row[name] is not None)
                shown = measure.present(found)
                assert bool(shown) == bool(exact)
                for row in shown:
                    assert row["lower"] <= exact[row["value"]] <= row["upper"], (group, name)


def test_what_spark_computes_packs_and_unpacks(in_spark: dict[int, Partial]) -> None:
    for partial in in_spark.values():
        assert VIEW.codec.unpack(VIEW.codec.pack(partial)) == partial


def test_an_empty_view_has_no_rows_and_merges_to_zero(events: "DataFrame") -> None:
    assert by(events.where("false"), VIEW.partial_sql, "g").count() == 0
    assert VIEW.present(VIEW.zero)["n"] == 0


def test_no_accepted_expression_fails_on_any_value(events: "DataFrame") -> None:
    compiled = {f"e{place}": compile_expression(text, COLUMNS) for place, (text, _, _) in enumerate(ACCEPTED)}
    frame = events.selectExpr(*[f"{found.sql} as {name}" for name, found in compiled.items()])
    for (name, spark), found, case in zip(frame.dtypes, compiled.values(), ACCEPTED, strict=True):
        if found.type == "decimal" or not found.type.startswith("decimal"):
            assert found.family == {"bigint": "long"}.get(spark, spark).partition("(")[0], (name, case)
        else:
            said, seen = digits(found.type), digits(spark)
            assert said and seen and said[1] == seen[1] and said[0] >= seen[0], (case, spark)
    # as text, for Python has no year 294247
    assert len(frame.selectExpr(*[f"cast({name} as string)" for name in compiled]).collect()) == 900


def test_key_texts_shards_and_index_keys_are_those_of_plain_python(
    events: "DataFrame", rows: list[tuple[Any, ...]]
) -> None:
    found = events.selectExpr(
        "id",
        f"{VIEW.key_sql} as key",
        f"{keys.shard_sql(quoted(VIEW.name), VIEW.key_sql, 16)} as shard",
        f"{keys.index_partition_sql(VIEW.key_sql, 3)} as part",
        f"{keys.index_text_sql(VIEW.key_sql)} as index_text",
        f"{keys.index_key_sql(VIEW.key_sql, '900L', 'number div 4')} as index_key",
        "number div 4 as bucket",
    ).collect()
    assert any(len(row["key"].encode()) > keys.INDEX_TEXT_LIMIT for row in found)
    for row in found:
        _, _, _, text, _, number, _, _, _, flag, _ = rows[row["id"]]
        key = VIEW.key_of({"text": text, "number": number, "flag": flag})
        assert row["key"] == key
        assert row["shard"] == keys.shard_of(VIEW.name, key, 16)
        assert row["part"] == keys.index_partition(key, 3)
        assert row["index_text"] == keys.index_text(key)
        if row["bucket"] is not None:
            assert row["index_key"] == keys.index_key(key, 900, row["bucket"])


def quoted(text: str) -> str:
    return f"'{text}'"


def test_buckets_of_negative_times_are_those_of_plain_python(events: "DataFrame") -> None:
    found = events.selectExpr("unix_micros(moment) as micros", f"{VIEW.bucket_sql} as bucket").collect()
    assert any(row["micros"] is not None and row["micros"] < 0 for row in found)
    for row in found:
        expected = None if row["micros"] is None else floor(row["micros"] // 1_000_000, VIEW.width)
        assert row["bucket"] == expected


def test_segments_are_those_of_plain_python(spark: "SparkSession") -> None:
    cuts = [
        Cut(1, {0: 0, 1: 3}),
        Cut(2, {0: 5, 1: 3}),
        Cut(3, {0: 5, 1: 9, 2: 2}),
        Cut(4, {0: 8, 1: 9, 2: 7}),
    ]
    start, end = {0: 2, 1: 3}, {0: 12, 1: 12, 2: 9}
    base, dividing = cuts_within(cuts, start, end)
    places = [(p, offset) for p, last in end.items() for offset in range(start.get(p, 0), last)]
    frame = spark.createDataFrame(places, "partition int, offset bigint")
    found = frame.selectExpr("partition", "offset", f"{segment_sql(base, dividing)} as segment")
    assert dict(found.dtypes)["segment"] == "bigint"
    for row in found.collect():
        assert row["segment"] == segment_of(row["partition"], row["offset"], cuts)


def test_a_compiled_view_reaches_sparks_workers(spark: "SparkSession") -> None:
    def unpack(batches: Any) -> Any:
        import pyarrow as pa

        for batch in batches:
            packed = [VIEW_OF_TWO.codec.unpack(data)[0] for data in batch.column("packed").to_pylist()]
            yield pa.RecordBatch.from_arrays([pa.array(packed, pa.int64())], ["n"])

    frame = spark.createDataFrame([(VIEW_OF_TWO.codec.pack((7, 1)),)], "packed binary")
    assert [row["n"] for row in frame.mapInArrow(unpack, "n bigint").collect()] == [7]


VIEW_OF_TWO: CompiledView = View(
    "two", SOURCE, key=("text",), measures={"n": Count(), "numbers": Sum("number")}
).compile(COLUMNS)
