"""Columns of a table that does not change, for the events of a micro-batch: the workers keep the table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
from pyspark import SparkContext
from pyspark.core.broadcast import Broadcast
from pyspark.sql import DataFrame

from core.lookups import Lookup
from core.tables import Table

__all__ = ["look_up"]

_KEY = "_key"
_SPARK = {"long": "bigint"}


def look_up(events: DataFrame, lookup: Lookup) -> DataFrame:
    """The events, each once, with the columns that it gives."""
    given = [f"`{name}` {_SPARK.get(kind, kind)}" for name, kind in lookup.columns.items()]
    step = LookupStep(_shipped(events.sparkSession.sparkContext, lookup.table), tuple(lookup.columns))
    schema = ", ".join([f"`{name}` {kind}" for name, kind in events.dtypes] + given)
    return events.selectExpr("*", f"{lookup.key_sql} AS {_KEY}").mapInArrow(step, schema)


@lru_cache(maxsize=64)
def _shipped(context: SparkContext, table: Table) -> "Broadcast[Table]":
    # once for a job, and not with each micro-batch
    return context.broadcast(table)


@dataclass(frozen=True)
class LookupStep:
    """For `mapInArrow` over events whose last column is the key."""

    table: "Broadcast[Table]"
    names: Sequence[str]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            known = batch.drop_columns([_KEY])
            columns = [*known.columns, *self.table.value.take(batch.column(_KEY))]
            yield pa.RecordBatch.from_arrays(columns, [*known.schema.names, *self.names])
