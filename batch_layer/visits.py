"""Visits over all of history: each event's role by event time, and every user's newest visit as an index.

The index, `_visits` beside those of the views, is where a new generation of speed state begins from.
"""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from batch_layer.delta_log import AddedFile
from batch_layer.index import IndexFile, Part, write_parts
from core.keys import index_partition_sql, key_text_sql
from core.layout import VISITS
from core.visits import LATER, SECOND, START, Visits

__all__ = ["index_visits", "last_visits", "roles"]

_ALONE, _BEFORE, _NUMBER, _PLACE = "__alone", "__before", "__visit", "__place"


def roles(events: DataFrame, visits: Visits, event_time: str, position: str) -> DataFrame:
    """Events with the derived columns; a user's are in the order of their times, equal ones of positions."""
    user = F.col(f"`{visits.user}`")
    # events without a user are no visit, and would all meet in one task
    spread = events.withColumn(_ALONE, F.expr(f"if(`{visits.user}` IS NULL, `{position}`, NULL)"))
    order = [F.col(f"`{event_time}`"), F.col(position)]
    ordered = Window.partitionBy(user, F.col(_ALONE)).orderBy(*order)
    pause = F.expr(f"unix_micros(`{event_time}`) - unix_micros({_BEFORE})")
    began = pause.isNull() | (pause > visits.gap_micros)
    earlier = spread.withColumn(_BEFORE, F.lag(F.col(f"`{event_time}`")).over(ordered))
    numbered = earlier.withColumn(_NUMBER, F.sum(began.cast("long")).over(ordered))
    within = Window.partitionBy(user, F.col(_ALONE), F.col(_NUMBER)).orderBy(*order)
    placed = numbered.withColumn(_PLACE, F.row_number().over(within))
    carried = [
        _of_a_user(user, F.first(F.col(f"`{name}`")).over(within)).alias(column)
        for name, column in zip(visits.carry, visits.carried, strict=True)
    ]
    columns = [F.col(f"`{name}`") for name in events.columns]
    return placed.select(*columns, *_told(user, event_time), *carried)


def _told(user: Column, event_time: str) -> list[Column]:
    place = F.col(_PLACE)
    role = F.when(place == 1, START).when(place == 2, SECOND).otherwise(LATER)
    step = F.expr(f"unix_seconds(`{event_time}`) - unix_seconds({_BEFORE})")
    return [
        _of_a_user(user, role).alias("visit_role"),
        _of_a_user(user, F.when(place == 1, F.lit(0)).otherwise(step)).cast("bigint").alias("visit_step"),
    ]


def _of_a_user(user: Column, value: Column) -> Column:
    return F.when(user.isNotNull(), value)


def last_visits(derived: DataFrame, visits: Visits, event_time: str) -> DataFrame:
    """Every user's newest visit, of events as `roles` gives them: `__user` as text, the slots of `visits`."""
    moment, role = F.expr(f"unix_micros(`{event_time}`)"), F.col("visit_role")
    first = F.max(F.when(role == START, moment))
    # no two visits of a user start at one time
    carried = [
        F.max_by(F.col(f"`{column}`"), F.when(role == START, moment)).cast(_kind(kind)).alias(column)
        for column, kind in zip(visits.carried, visits.kinds, strict=True)
    ]
    alone = F.coalesce(F.max(F.when(role == SECOND, moment)) < first, F.lit(True)).cast("bigint")
    user = F.col(f"`{visits.user}`").cast("string").alias("__user")
    found = derived.where(f"`{visits.user}` IS NOT NULL").groupBy(user)
    return found.agg(first.alias("first"), F.max(moment).alias("last"), alone.alias("alone"), *carried)


def _kind(kind: str) -> str:
    return "string" if kind == "string" else "bigint"


def index_visits(
    derived: DataFrame, visits: Visits, event_time: str, partitions: int, staged: Path, scratch: Path
) -> list[IndexFile]:
    """Writes the index of every user's newest visit into `staged`, by way of `scratch`, which goes again."""
    key = key_text_sql(["__user"])
    rows = last_visits(derived, visits, event_time).selectExpr(
        f"{key} AS key_text", "timestamp_seconds(0) AS bucket", *(f"`{name}`" for name, _ in visits.slots),
        f"{index_partition_sql(key, partitions)} AS part",
    )  # fmt: skip
    rows.write.mode("overwrite").partitionBy("part").parquet(str(scratch))
    try:
        return write_parts(derived.sparkSession, _parts(visits, partitions, staged, scratch))
    finally:
        shutil.rmtree(scratch)


def _parts(visits: Visits, partitions: int, staged: Path, scratch: Path) -> list[Part]:
    return [
        Part(
            VISITS, number, tuple(visits.slots),
            tuple(_added(path, number) for path in sorted((scratch / f"part={number}").glob("*.parquet"))),
            staged / VISITS / f"{number}.mdb",
        )
        for number in range(partitions)
    ]  # fmt: skip


def _added(path: Path, part: int) -> AddedFile:
    rows = pq.ParquetFile(path).metadata.num_rows
    return AddedFile(path, {"tile": "0", "part": str(part)}, rows, path.stat().st_size)
