"""Groups that Spark finds by stars are those that union-find finds, whatever the pairs look like."""

import random
from collections.abc import Iterable

import pytest
from pyspark.sql import DataFrame, SparkSession

from batch_layer.components import components, on_driver, on_spark
from core.groups import Pair, resolution

CHAIN = [(f"{n:04d}", f"{n + 1:04d}") for n in range(300)]
STAR = [("5000", f"{n}") for n in range(5001, 5400)]
BIG = [*CHAIN, *((f"{a}x", f"{b}x") for a, b in CHAIN), ("0300", "0000x")]


def pairs_of(spark: SparkSession, pairs: Iterable[Pair]) -> DataFrame:
    shuffled = random.Random(3).sample(sorted(pairs), len(list(pairs)))
    turned = [pair if n % 2 else pair[::-1] for n, pair in enumerate(shuffled)]
    return spark.createDataFrame(turned, "one string, other string")


def found(frame: DataFrame) -> dict[str, str]:
    rows = [(row["id"], row["person"]) for row in frame.collect()]
    assert len(rows) == len(dict(rows))
    return dict(rows)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("a", "b")],
        [("a", "b"), ("b", "c"), ("a", "c")],
        [("B", "a"), ("￿", "😀"), ("", "B")],
        CHAIN,
        STAR,
        BIG,
        [(f"{n % 97:03d}", f"{n % 89 + 97:03d}") for n in range(120)],
    ],
    ids=["none", "pair", "cycle", "code points", "chain", "star", "two groups and one pair", "random"],
)
def test_stars_find_what_union_find_finds(spark: SparkSession, pairs: list[Pair]) -> None:
    frame = pairs_of(spark, dict.fromkeys(pairs)).persist()
    assert found(on_spark(frame)) == found(on_driver(frame)) == resolution(dict.fromkeys(pairs))


def test_few_pairs_are_resolved_by_the_driver_and_many_by_spark(spark: SparkSession) -> None:
    frame = pairs_of(spark, CHAIN).persist()
    assert found(components(frame, few=1000)) == found(components(frame, few=10))
