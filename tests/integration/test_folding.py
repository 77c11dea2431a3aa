"""What folds make of events is what Spark's SQL makes of them, for every measure and every tile."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer import delta_log, folding
from batch_layer.folding import fold_views
from batch_layer.folds import foldable
from batch_layer.recompute import commit_files, tiles, write_view
from batch_layer.session import build_session
from conf.settings import Settings
from core import Count, Max, Mean, Min, Quantiles, Ratio, Source, Sum, Top, Uniques, View
from core.folders import Folders
from core.views import CompiledView
from demo.dataset import edits
from tests.batch_kit import bench
from tests.expressions import COLUMNS

SOURCE = Source("things", contract="things", event_time="moment")
MEASURES = {
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
    "least": Min("number"),
    "greatest": Max("number"),
    "least_wide": Min("wide"),
    "most_amount": Max("amount"),
    "least_ratio": Min("ratio"),
    "most_ratio": Max("ratio"),
    "first": Min("moment"),
    "odd_time": Max("cast(number as timestamp)"),
    "text_uniques": Uniques("text"),
    "number_uniques": Uniques("number", lg_k=8),
    "flag_uniques": Uniques("flag"),
    "sizes": Quantiles("number"),
    "ratios": Quantiles("ratio", k=20),
    "amount_sizes": Quantiles("amount"),
    "top": Top("text"),
    "few_top": Top("other", capacity=8),
}
KEYS: dict[str, Mapping[str, str]] = {
    "by_all": {"text": "text", "number": "number % 3", "flag": "flag"},
    "by_text": {"text": "text"},
    "whole": {},
}
TEXTS = ["", "a", "b", " a ", "-", "5:hello", "é😀", "x\ny\t\0", "'\"\\", "日" * 200]
LARGEST = 2**63 - 1
Place = tuple[str, int, int]
PARTITIONS = 3


def view(name: str, where: str | None = None, bucket: str = "15 minutes") -> CompiledView:
    return View(name, SOURCE, key=KEYS[name], bucket=bucket, measures=MEASURES, where=where).compile(COLUMNS)


def random_events(count: int) -> list[tuple[Any, ...]]:
    """Nulls everywhere, values at the ends of their types, days before 1970, long and odd keys."""
    dice = random.Random(7)

    def maybe(value: Any) -> Any:
        return None if dice.random() < 0.2 else value

    def row(number: int) -> tuple[Any, ...]:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=dice.randint(-200_000, 200_000))
        return (
            maybe(dice.choice(TEXTS)),
            maybe(f"v{int(dice.paretovariate(0.6)) % 500}"),
            LARGEST if number % 5 == 0 else maybe(dice.choice([LARGEST, -LARGEST - 1, dice.randint(-9, 9)])),
            maybe(Decimal(dice.randint(-(10**17), 10**17)).scaleb(-4)),
            maybe(Decimal(dice.choice([10**28 - 1, 1 - 10**28, dice.randint(-(10**9), 10**9)])).scaleb(-6)),
            maybe(dice.choice([0.0, 1e308, -1e308, float("inf"), float("nan"), dice.gauss(0, 1)])),
            maybe(dice.random() < 0.5),
            moment,
        )

    return [row(number) for number in range(count)]


@pytest.fixture(scope="module")
def events(spark: SparkSession) -> DataFrame:
    build_session("test")
    columns = ", ".join(f"`{name}` {_SPARK.get(kind, kind)}" for name, kind in COLUMNS.items())
    return spark.createDataFrame(random_events(3000), columns).repartition(3).cache()


_SPARK = {"long": "bigint"}


def folded(
    spark: SparkSession, events: DataFrame, views: Sequence[CompiledView], folder: Path
) -> dict[str, DataFrame]:
    folders, scratch = Folders(folder, "things"), folder / "scratch"
    scratch.mkdir(exist_ok=True)
    files = fold_views(spark, events, views, folders, PARTITIONS, scratch)
    for one in views:
        commit_files(spark, files[one.name], one, folders.table(one.name), 1)
    return {one.name: spark.read.format("delta").load(str(folders.table(one.name))) for one in views}


def rows(frame: DataFrame, of: CompiledView) -> dict[Place, tuple[Any, ...]]:
    """Key parts, part and slots by place."""
    columns = [*of.key, "part", *of.columns]
    found = frame.selectExpr("key_text", "tile", "unix_seconds(bucket) as at", *[f"`{c}`" for c in columns])
    return {(row[0], row[1], row[2]): tuple(map(_plain, row[3:])) for row in found.collect()}


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value


def differing(
    of: CompiledView, left: Mapping[Place, tuple[Any, ...]], right: Mapping[Place, tuple[Any, ...]]
) -> list[Any]:
    """Places and measures that are not what they should be: exact ones at all, sketches beyond bounds."""
    assert left.keys() == right.keys()
    head = len(of.key) + 1
    found: list[Any] = [place for place in left if left[place][:head] != right[place][:head]]
    for place in left:
        at = head
        for name, measure in of.measures.items():
            end = at + len(measure.slots)
            mine, theirs = left[place][at:end], right[place][at:end]
            if not measure.same(mine, theirs):
                found.append((place, name))
            at = end
    return found


@pytest.mark.parametrize("name", KEYS)
def test_folds_are_what_sql_makes_of_the_events(
    spark: SparkSession, events: DataFrame, tmp_path: Path, name: str
) -> None:
    views = [view(name), view(name, "flag", "1 hour"), view(name, "number IS NULL", "1 day")]
    named = [replace(one, name=f"{name}_{place}") for place, one in enumerate(views)]
    made = folded(spark, events, named, tmp_path)
    for one in named:
        wanted, found = tiles(events, one, PARTITIONS), made[one.name]
        assert [(f.name, f.dataType) for f in found.schema] == [(f.name, f.dataType) for f in wanted.schema]
        assert differing(one, rows(wanted, one), rows(found, one)) == []


@pytest.mark.parametrize("name", ["by_text", "whole"])
def test_spark_merges_what_folds_made(
    spark: SparkSession, events: DataFrame, tmp_path: Path, name: str
) -> None:
    one = view(name)
    slots = [F.expr(sql).alias(column) for column, sql in one.merge_sql.items()]
    parts = [f"`{part}`" for part in one.key]
    days = F.expr("unix_seconds(bucket) div 86400 * 86400").alias("at")
    frame = folded(spark, events.where("moment >= '1970-01-01'"), [one], tmp_path)[name]
    merged = frame.where("tile < 3600").groupBy("key_text", *parts, "part", days).agg(*slots)
    found = merged.selectExpr("*", "86400 AS tile", "timestamp_seconds(at) AS bucket").drop("at")
    assert differing(one, rows(frame.where("tile = 86400"), one), rows(found, one)) == []


def test_events_in_many_shares_make_the_same_rows(
    spark: SparkSession, events: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = view("by_text")
    monkeypatch.setattr(folding, "_EVENTS", 300)
    found = folded(spark, events, [one], tmp_path)["by_text"]
    assert differing(one, rows(tiles(events, one, PARTITIONS), one), rows(found, one)) == []


def test_no_events_make_an_empty_table(spark: SparkSession, events: DataFrame, tmp_path: Path) -> None:
    found = folded(spark, events.where("false"), [view("by_text"), view("whole")], tmp_path)
    assert [frame.count() for frame in found.values()] == [0, 0]


def test_folded_tables_replace_those_that_spark_wrote_and_the_other_way_round(
    spark: SparkSession, events: DataFrame, tmp_path: Path
) -> None:
    one, folders = view("by_text"), Folders(tmp_path, "things")
    table = folders.table(one.name)
    write_view(tiles(events, one, PARTITIONS), one, table, 1)
    first = delta_log.commit(table, 0)
    folded(spark, events.where("flag"), [one], tmp_path)
    write_view(tiles(events, one, PARTITIONS), one, table, 2)
    reader = spark.read.format("delta")
    every, flagged = tiles(events, one, PARTITIONS), tiles(events.where("flag"), one, PARTITIONS)
    for version, wanted in enumerate([every, flagged, every]):
        found = reader.option("versionAsOf", version).load(str(table))
        assert differing(one, rows(wanted, one), rows(found, one)) == []
    described = DeltaTable.forPath(spark, str(table)).detail().collect()[0]
    assert described["properties"]["delta.dataSkippingStatsColumns"] == "bucket"
    assert all(file.path.exists() for file in first.added)


def test_a_new_table_has_the_properties_of_one_that_spark_makes(
    spark: SparkSession, events: DataFrame, tmp_path: Path
) -> None:
    one, folders = view("whole"), Folders(tmp_path, "things")
    folded(spark, events, [one], tmp_path)
    write_view(tiles(events, one, PARTITIONS), one, tmp_path / "spark", 1)
    of = ["format", "partitionColumns", "properties", "minReaderVersion", "minWriterVersion", "tableFeatures"]
    mine, sparks = (
        DeltaTable.forPath(spark, str(path)).detail().select(*of).collect()[0].asDict()
        for path in (folders.table(one.name), tmp_path / "spark")
    )
    assert mine == sparks


def test_rows_are_found_by_the_statistics_of_their_files(
    spark: SparkSession, events: DataFrame, tmp_path: Path
) -> None:
    found = folded(spark, events, [view("by_text")], tmp_path)["by_text"]
    for day in ("1969-12-30", "1970-01-01", "1970-01-03"):
        wanted = tiles(events, view("by_text"), PARTITIONS).where(f"tile = 86400 AND bucket = '{day}'")
        assert found.where(f"tile = 86400 AND bucket = '{day}'").count() == wanted.count() > 0


class Latest(Max):
    """A measure of a user's own, which has no fold."""


def test_a_view_without_folds_is_published_beside_the_others(spark: SparkSession, settings: Settings) -> None:
    source = Source("wikipedia.edits", contract="wikipedia_edits")
    folds, none = (
        View(name, source, key=("channel",), measures={"edits": Count(), "last": of("event_time")})
        for name, of in (("folds", Max), ("none", Latest))
    )
    made = bench(spark, settings).of([folds, none])
    made.archive(edits(settings)[:300], edits(settings)[300:500])
    manifest = made.run.run()
    assert manifest is not None
    assert [foldable(view) for view in made.bound.views.values()] == [True, False]
    assert made.rows(manifest, "folds") == made.rows(manifest, "none") != {}
    assert not list(made.run.folders.index(0).parent.glob(".*"))
