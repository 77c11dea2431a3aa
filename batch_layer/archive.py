"""Log to master dataset, every position exactly once, without a streaming checkpoint.

A drain reads the log in bounded chunks; a chunk is one Delta commit that carries its own ledger entry.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer import delta_log
from batch_layer.chunks import check_long_enough, next_chunk, reading_start, remaining
from batch_layer.ledger import Chunk, Ledger, read_ledger
from batch_layer.log import KafkaLog
from core.contracts import Contract
from core.decoded import decode_column, spark_struct
from core.errors import ContractError, PositionError
from core.faults import reach
from core.handoff import check_same_log
from core.logs import Logger
from core.losses import Losses, gaps, require_accepted, unaccepted
from core.topics import LogIdentity

__all__ = ["Archive", "master_schema"]

_POSITION = "topic string, partition int, offset bigint, log_time timestamp, key binary, value binary"
_PROPERTIES = {
    "delta.appendOnly": "true",
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    # a chunk's rows are looked up by position
    "delta.dataSkippingStatsColumns": "offset,log_time",
}


def master_schema(contract: Contract) -> str:
    """Columns of the master dataset, as Spark DDL."""
    return f"{_POSITION}, contract string, reason string, event {spark_struct(contract.columns)}"


class Archive:
    """The master dataset of one source. Whoever calls `drain` holds the archive's lease."""

    def __init__(
        self, spark: SparkSession, table: Path, source: str, contract: Contract, chunk: int, log: Logger
    ) -> None:
        self._spark, self.table, self._source = spark, table, source
        self._contract, self._limit, self._log = contract, chunk, log

    def open(self, identity: LogIdentity) -> Ledger:
        """The ledger, once the table exists and its newest commit is verified. Raises HandoffError."""
        if not delta_log.versions(self.table):
            self._create()
        ledger = read_ledger(self.table)
        if ledger.last:
            last = ledger.last
            check_same_log(
                (last.cluster_id, last.topic_id), (identity.cluster, identity.topic_id), identity.topic
            )
            self._verify(last)
        return ledger

    def drain(self, kafka: KafkaLog, losses: Losses, clock: Callable[[], float] = time.monotonic) -> Ledger:
        """Archives all that the log holds when this is called.

        A partition whose records were dropped before they were archived stays where it is until somebody
        accepts the loss. RecordsLost is raised for it once all others are archived: they must not lose more.
        """
        identity = kafka.identity()
        ledger = self.open(identity)
        begin, end, began = kafka.begin(), kafka.end(), clock()
        check_long_enough(ledger.end, end)
        expected = dict.fromkeys(begin, 0) | losses.origin(identity, begin) | ledger.end
        lost, accepted = gaps(expected, begin), losses.accepted()
        refused = unaccepted(lost, accepted)
        stand = reading_start(expected, lost, refused)
        end |= {gap.partition: stand[gap.partition] for gap in refused}
        while True:
            start, stop = next_chunk(remaining(stand, begin, end), self._limit)
            skipped = {gap.partition: (gap.start, gap.end) for gap in lost if stand[gap.partition] == gap.end}
            if start == stop and not skipped:
                require_accepted(refused, accepted)
                return ledger
            ledger = self._append(kafka, identity, ledger, start, stop, skipped)
            stand, lost = ledger.end, []
            behind = sum(end[p] - stop[p] for p in end)
            self._log.info(
                "archived", chunk=ledger.number, rows=_sum(ledger.last), behind=behind,
                seconds=round(clock() - began, 1),
            )  # fmt: skip

    def _append(
        self,
        kafka: KafkaLog,
        identity: LogIdentity,
        ledger: Ledger,
        start: dict[int, int],
        end: dict[int, int],
        lost: dict[int, tuple[int, int]],
    ) -> Ledger:
        records = self._spark.read.format("kafka").options(**kafka.spark_options(start, end)).load()
        rows = {row[0]: row[1] for row in records.groupBy("partition").count().collect()}
        total = {p: ledger.total.get(p, 0) + rows.get(p, 0) for p in {*ledger.total, *end}}
        chunk = Chunk(
            self._source, ledger.number + 1, start, end, rows, total, identity.cluster, identity.topic_id,
            self._contract.fingerprint, lost,
        )  # fmt: skip
        self._write(decode(records, self._contract), chunk)
        reach("archive.commit.after")
        self._verify(chunk)
        return self._check_newest(chunk)

    def _write(self, rows: DataFrame, chunk: Chunk) -> None:
        commit = (
            rows.write.format("delta")
            .mode("append")
            .option("mergeSchema", "true")
            .option("userMetadata", chunk.to_json())
            .option("txnAppId", f"archive-{self._source}")
            .option("txnVersion", str(chunk.number))
        )
        reach("archive.commit.before")
        try:
            commit.save(str(self.table))
        except AnalysisException as error:
            raise ContractError(
                f"the columns of contract {self._contract.name!r} do not fit the master dataset "
                f"({str(error).splitlines()[0]}); give a column whose type changed another name"
            ) from error

    def _verify(self, chunk: Chunk) -> None:
        """The rows of a chunk, as the table has them now, against what was read. Raises PositionError."""
        rows = self._spark.read.format("delta").load(str(self.table)).where(_within(chunk))
        places = rows.select("partition", "offset").toArrow()  # of one chunk, and much cheaper than a shuffle
        counts, twice = _counted(places["partition"].to_numpy(), places["offset"].to_numpy())
        if twice or counts != {p: n for p, n in chunk.rows.items() if n}:
            raise PositionError(
                f"chunk {chunk.number} at {dict(chunk.start)} to {dict(chunk.end)}: {dict(chunk.rows)} "
                f"records were read, {counts} are archived, {twice or 'none'} of them twice; "
                "restore the master dataset"
            )

    def _check_newest(self, chunk: Chunk) -> Ledger:
        ledger = read_ledger(self.table)
        delta_log.make_durable(self.table, delta_log.commit(self.table, ledger.version))
        if ledger.last != chunk:
            raise PositionError(
                f"chunk {chunk.number} was written, but the newest is {ledger.last}; another archiver works "
                f"on {self.table}: stop it"
            )
        return ledger

    def _create(self) -> None:
        builder = DeltaTable.createIfNotExists(self._spark).location(str(self.table))
        for name, value in _PROPERTIES.items():
            builder = builder.property(name, value)
        schema = self._spark.createDataFrame([], master_schema(self._contract)).schema
        builder.addColumns(schema).partitionedBy("partition").execute()


def decode(records: DataFrame, contract: Contract) -> DataFrame:
    """Rows of the master dataset for records of Spark's Kafka source."""
    raw = records.select("topic", "partition", "offset", F.col("timestamp").alias("log_time"), "key", "value")
    return raw.mapInArrow(_decoder(contract), master_schema(contract))


def _decoder(contract: Contract) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _decoded(batch, contract)

    return run


def _decoded(batch: pa.RecordBatch, contract: Contract) -> pa.RecordBatch:
    reasons, events = decode_column(iter(batch.column("value").to_pylist()), contract)
    fingerprint = pa.array([contract.fingerprint], pa.string()).take(pa.array([0] * len(batch), pa.int32()))
    arrays = [*batch.columns, fingerprint, reasons, events]
    return pa.RecordBatch.from_arrays(arrays, [*batch.schema.names, "contract", "reason", "event"])


def _counted(partitions: np.ndarray, offsets: np.ndarray) -> tuple[dict[int, int], dict[int, int]]:
    """Rows of each partition; and where offsets occur more than once, how many rows too many."""
    mine = {int(p): offsets[partitions == p] for p in np.unique(partitions)}
    more = {p: len(found) - len(np.unique(found)) for p, found in mine.items()}
    return {p: len(found) for p, found in mine.items()}, {p: count for p, count in more.items() if count}


def _within(chunk: Chunk) -> str:
    places = [
        f"(partition = {p} AND offset >= {first} AND offset < {chunk.end[p]})"
        for p, first in chunk.start.items()
    ]
    return " OR ".join(places)


def _sum(chunk: Chunk | None) -> int:
    return sum(chunk.rows.values()) if chunk else 0
