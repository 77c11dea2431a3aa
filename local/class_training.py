"""`python -m local.class_training`: makes the archive of Spark's classes, once for a Java and a set of jars.

A driver does a little of all that jobs do, and Java keeps at its end what it loaded. If that fails, Spark
starts as it does without an archive.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from conf.settings import Settings, get_settings
from core.durability import sync
from core.errors import LambdaError
from core.leases import hold
from local.class_archive import archive_of
from local.errors import LocalError
from local.spark import spark_conf, spark_environment

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["ArchiveFailed", "make"]

_DRIVER = ("1g", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:cds*=off")
_CLIENTS = ("consumer.KafkaConsumer", "producer.KafkaProducer", "admin.KafkaAdminClient")
_PATIENCE = 300.0


class ArchiveFailed(LocalError):
    """Java made no archive. Keeps where it should be."""

    def __init__(self, place: Path, reason: str) -> None:
        super().__init__(f"no archive of classes in {place}: {reason}. Spark starts without it, only later.")
        self.place, self.reason = place, reason


def make(settings: Settings) -> bool:
    """Makes the archive; False if it is there. Safe to run twice at once. Raises ArchiveFailed."""
    archive = archive_of(settings)
    archive.parent.mkdir(parents=True, exist_ok=True)
    with hold(settings.cache_dir / "classes.lock", "another set-up", patient=True):
        if archive.is_file():
            return False
        for older in archive.parent.iterdir():
            older.unlink()
        draft = archive.with_suffix(".draft")
        _train(settings, draft)
        if not draft.is_file():
            raise ArchiveFailed(archive, "Java wrote none")
        sync(draft)  # Java looks at no checksum, and crashes where half of an archive is missing
        draft.rename(archive)
        return True


def _train(settings: Settings, archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="lambda-classes-") as folder:
        own = settings.model_copy(update={"data_dir": Path(folder), "spark_master": "local[2]"})
        try:
            with _session(own, archive) as spark:
                _work(spark, Path(folder))
        except (Py4JError, PySparkException, OSError, subprocess.SubprocessError) as error:
            raise ArchiveFailed(archive, repr(error)) from error


@contextmanager
def _session(settings: Settings, archive: Path) -> Iterator["SparkSession"]:
    """A session whose JVM has ended, and written the archive, when the block is left."""
    from pyspark.sql import SparkSession

    os.environ.update(spark_environment())
    memory, options = _DRIVER
    conf = spark_conf(settings, memory, f"{options} -XX:ArchiveClassesAtExit={archive}")
    session = SparkSession.builder.config(map={**conf}).getOrCreate()
    try:
        yield session
    finally:
        gateway: Any = session.sparkContext._gateway
        session.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()
        if gateway.proc.wait(_PATIENCE):
            raise ArchiveFailed(archive, f"Java ended with {gateway.proc.returncode}")


def _work(spark: "SparkSession", folder: Path) -> None:
    """Tables, a merge of sketches, Python workers and a stream: what the jobs do, on a few rows."""
    spark.sparkContext.setLogLevel("ERROR")
    table = str(folder / "table")
    rows = spark.range(1000).selectExpr("id", "id % 7 key", "cast(id as decimal(38, 0)) amount")
    for mode in ("overwrite", "append"):
        rows.write.format("delta").mode(mode).partitionBy("key").save(table)
    _summed(spark.read.format("delta").load(table)).collect()
    _stream(spark, folder)
    jvm: Any = spark.sparkContext._jvm
    for name in _CLIENTS:
        jvm.java.lang.Class.forName(f"org.apache.kafka.clients.{name}")


def _summed(rows: "DataFrame") -> "DataFrame":
    summed = rows.groupBy("key").agg({"amount": "sum", "*": "count"})
    return summed.mapInArrow(lambda batches: batches, summed.schema).orderBy("key")


def _stream(spark: "SparkSession", folder: Path) -> None:
    def each(batch: "DataFrame", _number: int) -> None:
        _summed(batch.selectExpr("value % 7 key", "value amount")).collect()

    source = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
    query = source.writeStream.foreachBatch(each).option("checkpointLocation", str(folder / "checkpoint"))
    running = query.trigger(availableNow=True).start()
    running.awaitTermination(60)
    running.stop()


def main() -> int:
    try:
        settings = get_settings()
        made = make(settings)
    except ArchiveFailed as error:
        print(error, file=sys.stderr)
        return 0
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"classes: {'archived' if made else 'nothing to archive'} ({settings.cache_dir / 'classes'})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
