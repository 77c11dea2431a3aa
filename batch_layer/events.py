"""The events of a run: valid records of the master dataset below the boundary, each event id once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from batch_layer.deriving import History, derive
from batch_layer.ledger import Ledger
from batch_layer.positions import POSITION
from batch_layer.segments import OFFSET_BITS, places_of, search
from core.contracts import Contract
from core.cuts import Cut, Offsets
from core.declarations import Declaration
from core.decoded import decode_column, spark_struct
from core.errors import PositionError

__all__ = ["Counts", "Events", "read_counted", "read_events"]

_BROADCAST_ROWS = 2_000_000


@dataclass(frozen=True)
class Counts:
    """What became of the records below the boundary; `corrected` where a source declares corrections."""

    read: int
    valid: int
    duplicates: int
    corrected: Mapping[str, int] = field(default_factory=dict)

    def entry(self) -> dict[str, int]:
        refused, counted = self.read - self.valid, self.valid - self.duplicates
        counted -= self.corrected.get("corrected", 0) + self.corrected.get("retractions", 0)
        return {
            "read": self.read, "valid": self.valid, "refused": refused, "duplicates": self.duplicates,
            **self.corrected, "counted": counted,
        }  # fmt: skip


@dataclass(frozen=True)
class Events:
    """`frame` has the contract's columns and those that are derived, one row an event that counts.

    `chains` are those of all events, where a source declares corrections, and `resolved` is the resolution of
    ids, where it says which are one person.
    """

    frame: DataFrame
    counts: Counts
    chains: DataFrame | None = None
    resolved: DataFrame | None = None


def read_events(
    spark: SparkSession,
    table: Path,
    ledger: Ledger,
    boundary: Cut,
    cuts: Sequence[Cut],
    contract: Contract,
    declarations: Sequence[Declaration] = (),
    used: Mapping[str, str] | None = None,
) -> Events:
    """The events below `boundary` of the master dataset at the ledger's version.

    Raises PositionError if the table does not hold the rows that its ledger says.
    """
    master = spark.read.format("delta").option("versionAsOf", ledger.version).load(str(table))
    read, stale, refused = _count(master, ledger, boundary.offsets, contract)
    below = master.where(_below(boundary.offsets))
    valid = _valid(below, contract, stale)
    losers = _losers(valid, contract.event_id, cuts) if read else None
    if losers is None:
        duplicates, frame = 0, valid
    else:
        duplicates = losers.count()
        small = F.broadcast(losers) if duplicates <= _BROADCAST_ROWS else losers
        frame = valid.join(small, POSITION, "left_anti")
    count = valid.count() if stale else read - refused
    history = History(contract, cuts, used or {})
    derived, told = derive(frame, declarations, history), history.told
    counts = Counts(read, count, duplicates, told.counts)
    return Events(derived.drop(POSITION), counts, told.chains, told.resolved)


def read_counted(master: DataFrame, contract: Contract, cuts: Sequence[Cut]) -> DataFrame:
    """Valid events below the last of `cuts`, each id once, with their position: the contract's columns."""
    below = master.where(_below(cuts[-1].offsets))
    stale = int(not below.where(F.col("contract") != F.lit(contract.fingerprint)).isEmpty())
    valid = _valid(below, contract, stale)
    losers = _losers(valid, contract.event_id, cuts)
    return valid if losers is None else valid.join(losers, POSITION, "left_anti")


def _count(master: DataFrame, ledger: Ledger, boundary: Offsets, contract: Contract) -> tuple[int, int, int]:
    """Records below the boundary, those of them that another contract decoded, and those that were refused.

    The whole table is checked.
    """
    below = _below(boundary)
    found = master.groupBy("partition").agg(
        F.count("*"), F.count_if(F.expr(below)),
        F.count_if(F.expr(below) & (F.col("contract") != F.lit(contract.fingerprint))),
        F.count_if(F.expr(below) & F.col("reason").isNotNull()),
    )  # fmt: skip
    rows = {row[0]: row for row in found.collect()}
    expected = {p: n for p, n in ledger.total.items() if n}
    held = {p: row[1] for p, row in rows.items()}
    if held != expected:
        raise PositionError(
            f"the master dataset holds {held} rows a partition, its ledger says {expected}; something else "
            "wrote to it: restore it"
        )
    read, stale, refused = (sum(row[place] for row in rows.values()) for place in (2, 3, 4))
    return read, stale, refused


def _below(boundary: Offsets) -> str:
    places = [f"(partition = {p} AND offset < {offset})" for p, offset in sorted(boundary.items())]
    return " OR ".join(places) or "false"


def _valid(below: DataFrame, contract: Contract, stale: int) -> DataFrame:
    """Valid events with their position, as the contract of today sees them."""
    position = F.expr(f"shiftleft(cast(partition as bigint), {OFFSET_BITS}) + offset").alias(POSITION)
    current = below.where(F.col("contract") == F.lit(contract.fingerprint)) if stale else below
    valid = current.where("reason IS NULL").select(position, *_fields(contract))
    if not stale:
        return valid
    return valid.unionByName(_decoded_again(below, position, contract))


def _fields(contract: Contract) -> list[str]:
    return [f"event.`{column.name}`" for column in contract.columns]


def _decoded_again(below: DataFrame, position: Column, contract: Contract) -> DataFrame:
    raw = below.where(F.col("contract") != F.lit(contract.fingerprint)).select(position, "value")
    schema = f"`{POSITION}` bigint, reason string, event {spark_struct(contract.columns)}"
    decoded = raw.mapInArrow(_decoder(contract), schema)
    return decoded.where("reason IS NULL").select(POSITION, *_fields(contract))


def _decoder(contract: Contract) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            reasons, events = decode_column(iter(batch.column(1).to_pylist()), contract)
            yield pa.RecordBatch.from_arrays(
                [batch.column(0), reasons, events], [POSITION, "reason", "event"]
            )

    return run


def _losers(valid: DataFrame, event_id: str, cuts: Sequence[Cut]) -> DataFrame | None:
    """Positions of the copies that do not count; None if there are none.

    Hashes of the ids are shuffled alone; only where two are equal the ids themselves are compared.
    """
    hashed = F.xxhash64(F.col(f"`{event_id}`")).alias("hash")
    twins = valid.select(hashed).repartition("hash").mapInArrow(_twins, "hash bigint").persist()
    found = twins.count()
    if not found:
        twins.unpersist()
        return None
    twins = F.broadcast(twins) if found <= _BROADCAST_ROWS else twins
    copies = valid.select(F.col(POSITION), F.col(f"`{event_id}`").alias("id"), hashed)
    suspects = (
        copies.join(twins, "hash", "left_semi")
        .select(POSITION, "id")
        .mapInArrow(_segments(cuts), f"`{POSITION}` bigint, id string, segment bigint")
    )
    order = Window.partitionBy("id").orderBy("segment", POSITION)
    ranked = suspects.withColumn("rank", F.row_number().over(order))
    return ranked.where("rank > 1").select(POSITION).persist()


def _twins(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Hashes that occur more than once in a partition, each once."""
    columns = [batch.column(0).to_numpy() for batch in batches]
    hashes = np.sort(np.concatenate(columns)) if columns else np.array([], np.int64)
    twins = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    yield pa.RecordBatch.from_arrays([pa.array(twins, pa.int64())], ["hash"])


def _segments(cuts: Sequence[Cut]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    places, bits = places_of(cuts), OFFSET_BITS

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            positions = batch.column(0).to_numpy()
            segments = search(positions >> bits, positions & ((1 << bits) - 1), places, len(cuts))
            columns = [batch.column(0), batch.column(1), pa.array(segments, pa.int64())]
            yield pa.RecordBatch.from_arrays(columns, [POSITION, "id", "segment"])

    return run
