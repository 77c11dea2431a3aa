"""The Spark session of the speed job, and its query."""

import json
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.clients import spark_kafka_options
from conf.settings import Settings
from core.cuts import Offsets, offsets_to

__all__ = ["build_session", "start_query"]

# spark-submit brings jars, memory and conf/spark-defaults.conf; these are what this job needs of it.
_OPTIONS: dict[str, bool | float | int | str | None] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.adaptive.streaming.stateless.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    "spark.sql.streaming.stopTimeout": "20s",
    # checksums of the checkpoint double its cost, and every file of it is small and replaced by renaming
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    "spark.python.worker.reuse": "true",
    "spark.python.daemon.module": "speed_layer.worker_daemon",
}


def build_session(name: str) -> SparkSession:
    """The session of this process, on top of what spark-submit configured."""
    session = SparkSession.builder.appName(name).config(map=_OPTIONS).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def start_query(
    spark: SparkSession,
    settings: Settings,
    topic: str,
    start: Offsets,
    checkpoint: Path,
    each: Callable[[DataFrame, int], None],
) -> StreamingQuery:
    """Reads the log from `start`, or on from the checkpoint; partitions added later from their beginning.

    A task reads one partition: that is what makes copies of an event meet in one task, in order.
    """
    records = (
        spark.readStream.format("kafka")
        .options(**spark_kafka_options(settings))
        .option("subscribe", topic)
        .option("startingOffsets", json.dumps({topic: offsets_to(start)}))
        .option("maxOffsetsPerTrigger", settings.max_offsets_per_trigger)
        .option("failOnDataLoss", "true")
        .option("kafka.isolation.level", "read_committed")
        .load()
    )
    return (
        records.select("value", "partition", "offset")
        .writeStream.foreachBatch(each)
        .option("checkpointLocation", str(checkpoint))
        .trigger(processingTime=f"{int(settings.trigger_interval * 1000)} milliseconds")
        .start()
    )
