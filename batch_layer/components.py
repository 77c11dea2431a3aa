"""The groups that pairs of ids make, on Spark: connected components by alternating stars.

Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii: Connected Components in MapReduce and Beyond (SoCC 2014).
Edges point from a greater id to a lesser one. A large-star points every greater neighbour of an id at the
least id around it, a small-star every lesser one; neither joins or parts a group. Once each id points at one
that points nowhere, these are the roots, and no id of a group is less than its root.
"""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from core.groups import resolution

__all__ = ["FEW", "components", "on_driver", "on_spark"]

FEW = 200_000  # pairs that the driver resolves by itself: a few seconds, and about 100 MB
_RESOLVED = pa.schema([("id", pa.string()), ("person", pa.string())])


def components(pairs: DataFrame, few: int = FEW) -> DataFrame:
    """Each id of a group of two or more, and its `person`, the least id of the group.

    `pairs` has two ids, `one` and `other`, that are unlike each other and in any order; it is read twice.
    """
    return on_driver(pairs) if pairs.count() <= few else on_spark(pairs)


def on_driver(pairs: DataFrame) -> DataFrame:
    """As `components`, by one process that holds all of the pairs."""
    table = pairs.select("one", "other").toArrow()
    found = resolution(zip(table.column("one").to_pylist(), table.column("other").to_pylist(), strict=True))
    return _frame(pairs.sparkSession, found)


def _frame(spark: SparkSession, found: dict[str, str]) -> DataFrame:
    resolved = pa.table({"id": list(found), "person": list(found.values())}, schema=_RESOLVED)
    return spark.createDataFrame(resolved)


def on_spark(pairs: DataFrame) -> DataFrame:
    """As `components`, by rounds of shuffles: about as many as a chain's length has binary digits."""
    edges = _kept(
        pairs.select(
            F.greatest("one", "other").alias("id"), F.least("one", "other").alias("person")
        ).distinct()
    )
    while not _are_stars(edges):
        edges = _next(edges, lambda edges: _small_star(_large_star(edges)))
    roots = edges.select(F.col("person").alias("id"), "person").distinct()
    return edges.unionByName(roots)


def _next(edges: DataFrame, step: Callable[[DataFrame], DataFrame]) -> DataFrame:
    """A round, computed once; what it was made of is let go."""
    found = _kept(step(edges))
    edges.unpersist()
    return found


def _kept(edges: DataFrame) -> DataFrame:
    """Computed now, without the plan of what it was made of, which would grow with every round."""
    return edges.localCheckpoint(eager=True)


def _are_stars(edges: DataFrame) -> bool:
    """Whether each id points at one id, and that one nowhere."""
    roots = edges.groupBy("id").agg(F.count("*").alias("roots"))
    if not roots.where("roots > 1").isEmpty():
        return False
    pointing = roots.select(F.col("id").alias("person"))
    return edges.join(pointing, "person", "left_semi").isEmpty()


def _large_star(edges: DataFrame) -> DataFrame:
    around = edges.select("id", F.col("person").alias("near")).unionByName(
        edges.select(F.col("person").alias("id"), F.col("id").alias("near"))
    )
    return _pointed(around).where("near > id").select(F.col("near").alias("id"), "person")


def _small_star(edges: DataFrame) -> DataFrame:
    """Edges that point to lesser ids only; each id's other neighbours and the id itself get the least one."""
    found = _pointed(edges.select("id", F.col("person").alias("near")))
    others = found.where("near <> person").select(F.col("near").alias("id"), "person")
    return found.select("id", "person").unionByName(others).distinct()


def _pointed(around: DataFrame) -> DataFrame:
    """Each id and neighbour once, with the least of the id and its neighbours as `person`."""
    once = around.repartition("id").dropDuplicates(["id", "near"])
    least = F.min("near").over(Window.partitionBy("id"))
    return once.select("id", "near", F.least("id", least).alias("person"))
