"""A commit of files that Spark did not write, by Delta's own transaction: its rules and checkpoints hold."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from pyspark.sql import SparkSession
from pyspark.sql.types import DataType

__all__ = ["overwrite"]


def overwrite(
    spark: SparkSession,
    table: Path,
    schema: DataType,
    folders: Sequence[str],
    added: Sequence[str],
    properties: dict[str, str],
    metadata: str,
) -> None:
    """Commits that a table has these files and no others: `added` are actions of Delta's log, as JSON.

    `folders` are the columns that the files lie in folders by, `metadata` is the commit's.
    """
    jvm: Any = spark.sparkContext._jvm
    delta = jvm.org.apache.spark.sql.delta
    log = delta.DeltaLog.forTable(spark._jsparkSession, str(table))
    transaction = log.startTransaction()
    read = getattr(delta.actions, "Action$").__getattr__("MODULE$").fromJson
    wanted = _metadata(transaction, schema, folders, properties, log.clock().getTimeMillis())
    if wanted:
        transaction.updateMetadata(read(wanted), False)
    files = transaction.filterFiles()
    removed = [files.apply(place).remove() for place in range(files.size())]
    actions = jvm.PythonUtils.toSeq([*removed, *map(read, added)])
    transaction.commit(actions, _operation(jvm, folders, metadata))


def _metadata(
    transaction: Any, schema: DataType, folders: Sequence[str], properties: dict[str, str], now: int
) -> str | None:
    """The table's description as JSON; None if it has this one already."""
    old, text = transaction.metadata(), schema.json()
    new = transaction.readVersion() < 0
    if not new and json.loads(old.schemaString()) == json.loads(text):
        return None
    described = {
        "id": str(uuid4()) if new else old.id(),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": text,
        "partitionColumns": list(folders),
        "configuration": properties,
        "createdTime": now,
    }
    return json.dumps({"metaData": described})


def _operation(jvm: Any, folders: Sequence[str], metadata: str) -> Any:
    none, some = jvm.scala.Option.empty(), jvm.scala.Option.apply
    mode = jvm.org.apache.spark.sql.SaveMode.Overwrite
    write = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$Write")
    by = some(jvm.PythonUtils.toSeq(list(folders)))
    return write(mode, by, none, some(metadata), none, none, none, none, none)
