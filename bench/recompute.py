"""How fast a full recompute is: the real day many times over, all views of the application, index included.

    python -m bench.recompute --days 102 --folder /tmp/recompute

The master dataset is made once, and used again if the folder stays. A run is what a batch job does after its
drain: from the ledger to the pointer, each view with its tiles and its index.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import orjson
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer import delta_log
from batch_layer.archive import Archive, decode
from batch_layer.boundary import NoRedis
from batch_layer.ledger import Chunk, read_ledger
from batch_layer.log import KafkaLog
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from bench.report import row, system
from conf.settings import Settings, get_settings
from core.application import Application, BoundSource
from core.folders import Folders
from core.logs import get_logger
from core.topics import LogIdentity
from demo.dataset import edits
from local.spark_submit import job_command

PARTITIONS = 2
IDENTITY = LogIdentity("bench", "wikipedia.edits", "bench")
LOG = get_logger("bench")


class ArchivedLog(KafkaLog):
    """A log that holds what is archived and nothing more, without a broker."""

    def __init__(self, end: Mapping[int, int]) -> None:
        self.topic, self._end = IDENTITY.topic, dict(end)

    def identity(self) -> LogIdentity:
        return IDENTITY

    def begin(self) -> dict[int, int]:
        return dict.fromkeys(self._end, 0)

    def end(self) -> dict[int, int]:
        return dict(self._end)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=102, help="how often the day of 39,244 edits is taken")
    parser.add_argument("--runs", type=int, default=1, help="full recomputes, one after the other in one JVM")
    parser.add_argument("--duplicates", type=int, default=0, help="copies of edits, at the end of the log")
    parser.add_argument("--folder", type=Path, help="where the data stays; without it nothing does")
    options = parser.parse_args(arguments)
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return _driver(options, get_settings())
    system()
    with tempfile.TemporaryDirectory() as scratch:
        return _submit(
            get_settings().model_copy(update={"data_dir": options.folder or Path(scratch)}), arguments
        )


def _submit(settings: Settings, arguments: list[str]) -> int:
    """This file again, by spark-submit as a batch job is run."""
    command = job_command(__file__, *arguments)
    return subprocess.run(command, env=os.environ | settings.environment(), check=False).returncode


def _driver(options: argparse.Namespace, settings: Settings) -> int:
    spark = build_session("bench-recompute")
    bound = Application.load(settings.application, settings.contracts_dir).source()
    table = Folders(settings.data_dir, bound.source.name).master
    if not delta_log.versions(table):
        began = time.monotonic()
        _make_master(spark, settings, bound, options.days, options.duplicates)
        row("making and archiving the events", f"{time.monotonic() - began:.1f}", "s")
    log = ArchivedLog(read_ledger(table).end)
    for _ in range(options.runs):
        _measure(BatchRun(spark, settings, bound, log, NoRedis(), LOG))
    spark.stop()
    return 0


def _measure(run: BatchRun) -> None:
    began, burnt = time.monotonic(), _cpu_seconds(os.getppid())
    manifest = run.run(force=True)
    seconds, cpu = time.monotonic() - began, _cpu_seconds(os.getppid()) - burnt
    assert manifest is not None
    counted = manifest.counts["counted"]
    row("full recompute, all views and the index: events", f"{counted:,}")
    row("rows of views", f"{sum(_rows(view) for view in manifest.views.values()):,}")
    row("wall time", f"{seconds:.1f}", "s")
    row("events a second", f"{counted / seconds:,.0f}")
    row("CPU time of the job and its workers", f"{cpu:.1f}", "s")
    row("memory limit of the driver's heap", run.settings.batch_driver_memory)


def _rows(view: Mapping[str, Mapping[str, int]]) -> int:
    return sum(view["rows"].values())


def _cpu_seconds(process: int) -> float:
    """CPU time of the driver's JVM and everything below it: what a shared machine does not distort."""
    ticks = sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:15]))
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return ticks / os.sysconf("SC_CLK_TCK") + sum(_cpu_seconds(child) for child in children)


def _make_master(
    spark: SparkSession, settings: Settings, bound: BoundSource, days: int, duplicates: int
) -> None:
    events = edits(settings)
    day = spark.createDataFrame(
        [(n, e["event_id"], e["event_time"], orjson.dumps(e).decode()) for n, e in enumerate(events)],
        "place long, id string, at string, json string",
    )  # fmt: skip
    per_partition = len(events) // PARTITIONS + 1
    rows = _many(day.where(f"place < {per_partition * PARTITIONS - PARTITIONS}"), days, per_partition - 1)
    rows = rows.unionAll(_copies(rows, duplicates, days * (per_partition - 1))) if duplicates else rows
    end = {p: days * (per_partition - 1) + duplicates // PARTITIONS for p in range(PARTITIONS)}
    start = dict.fromkeys(end, 0)
    archive = Archive(
        spark, Folders(settings.data_dir, bound.source.name).master, bound.source.name, bound.contract,
        settings.archive_chunk, LOG,
    )  # fmt: skip
    archive.open(IDENTITY)
    archive._write(
        decode(rows, bound.contract),
        Chunk(
            bound.source.name, 1, start, end, end, end, IDENTITY.cluster, IDENTITY.topic_id,
            bound.contract.fingerprint,
        ),
    )  # fmt: skip


def _many(day: DataFrame, days: int, size: int) -> DataFrame:
    numbers = day.sparkSession.range(0, days, 1, min(days, 16)).withColumnRenamed("id", "day")
    shifted = F.expr(
        "date_format(timestamp(at) + make_interval(0,0,0,day), \"yyyy-MM-dd'T'HH:mm:ss.SSS'Z'\")"
    )
    copy = numbers.crossJoin(F.broadcast(day))
    named = copy.withColumn("new_id", F.expr("if(day = 0, id, concat(id, '-', day))")).withColumn(
        "new_at", shifted
    )
    value = F.expr("replace(replace(json, concat('\"', id, '\"'), concat('\"', new_id, '\"')), at, new_at)")
    return named.select(
        F.lit(IDENTITY.topic).alias("topic"),
        F.expr(f"cast(place % {PARTITIONS} as int)").alias("partition"),
        F.expr(f"day * {size}L + place div {PARTITIONS}").alias("offset"),
        F.to_timestamp("new_at").alias("timestamp"),
        F.lit(None).cast("binary").alias("key"),
        F.encode(value, "utf-8").alias("value"),
    )


def _copies(rows: DataFrame, count: int, size: int) -> DataFrame:
    half = count // PARTITIONS
    return rows.where(f"offset < {half}").withColumn("offset", F.col("offset") + size)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
