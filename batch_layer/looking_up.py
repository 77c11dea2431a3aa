"""Columns of a table that does not change, joined to all events: the table goes to every task whole."""

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.lookups import Lookup
from core.tables import Table

__all__ = ["look_up"]

_KEY = "__key"


def look_up(events: DataFrame, lookup: Lookup) -> DataFrame:
    """The events, each once, with the columns that it gives."""
    rows = events.sparkSession.createDataFrame(_rows(lookup.table, list(lookup.columns)))
    keyed = events.withColumn(_KEY, F.expr(lookup.key_sql))
    return keyed.join(F.broadcast(rows), _KEY, "left").drop(_KEY)


def _rows(table: Table, names: list[str]) -> pa.Table:
    keys = pa.array(sorted(table.places, key=table.places.__getitem__), pa.string())
    return pa.Table.from_arrays([keys, *table.arrow.columns], [_KEY, *names])
