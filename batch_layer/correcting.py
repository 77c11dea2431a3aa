"""Corrected events of all of history: which events stop counting, and the chains that tell the speed layer.

`core.chains` is the rule; here it is a window over the events that are named and over those which name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from batch_layer.positions import POSITION
from core.chains import Link, Named
from core.contracts import Contract
from core.corrections import Corrections, EventCodec

__all__ = ["BY", "CHAINS", "Corrected", "chains_of", "correct"]

BY = "__by"
CHAINS = "digest binary, names boolean, offset bigint, packed binary"
_SCHEMA = pa.schema(
    [("digest", pa.binary()), ("names", pa.bool_()), ("offset", pa.int64()), ("packed", pa.binary())]
)
_OFFSET_BITS = 48
_BROADCAST_ROWS = 2_000_000


@dataclass(frozen=True)
class Corrected:
    """`frame` are the events that count; `stopped` says which do not any more, `BY` which correction.

    `counts`: `corrected` events stopped counting, `retractions` never counted, `unmatched` corrections found
    nothing that they name.
    """

    frame: DataFrame
    stopped: DataFrame
    counts: Mapping[str, int]


def correct(events: DataFrame, corrections: Corrections, contract: Contract) -> Corrected:
    """Of valid events, each once, with their position: those that count once all of them are known."""
    named = events.where(F.col(f"`{corrections.target}`").isNotNull()).persist()
    chain = _chain(events, named, corrections, contract.event_id).persist()
    ends = chain.groupBy(POSITION).agg(F.min(BY).alias(BY), F.first("retracts").alias("retracts"))
    stopped = ends.where(F.col(BY).isNotNull()).persist()
    found = stopped.agg(F.count_if(~F.col("retracts"))).collect()[0][0]
    alone = chain.where("names").agg(F.count_if(F.col("before") == 0)).collect()[0][0]
    retractions = named.where(corrections.retracting_sql).count()
    counts = {"corrected": found, "retractions": retractions, "unmatched": alone}
    return Corrected(_counting(events, stopped, corrections, found), stopped, counts)


def _counting(events: DataFrame, stopped: DataFrame, corrections: Corrections, found: int) -> DataFrame:
    some = stopped.select(POSITION)
    small = F.broadcast(some) if found <= _BROADCAST_ROWS else some
    return events.where(f"NOT {corrections.retracting_sql}").join(small, POSITION, "left_anti")


def _chain(events: DataFrame, named: DataFrame, corrections: Corrections, event_id: str) -> DataFrame:
    """A row for each event in each chain that it is in, with the first correction behind it in that chain."""
    partition = F.shiftright(F.col(POSITION), _OFFSET_BITS).alias("partition")
    retracts = F.expr(corrections.retracting_sql).alias("retracts")
    own, target = F.col(f"`{event_id}`").alias("id"), F.col(f"`{corrections.target}`").alias("id")
    wanted = named.select(partition, target).distinct()
    links = events.select(partition, own, POSITION, retracts).join(wanted, ["partition", "id"], "left_semi")
    names = named.select(partition, target, POSITION, retracts)
    both = links.withColumn("names", F.lit(False)).unionByName(names.withColumn("names", F.lit(True)))
    # backwards, for a frame that ends at the last row is worked out anew for each row
    later = Window.partitionBy("partition", "id").orderBy(-F.col(POSITION))
    later = later.rangeBetween(Window.unboundedPreceding, -1)
    earlier = Window.partitionBy("partition", "id").orderBy(POSITION)
    earlier = earlier.rangeBetween(Window.unboundedPreceding, -1)
    return both.select(
        "*",
        F.min(F.when(F.col("names"), F.col(POSITION))).over(later).alias(BY),
        F.count("*").over(earlier).alias("before"),
    )


def chains_of(
    events: DataFrame, corrections: Corrections, contract: Contract, kept: Mapping[str, str]
) -> DataFrame:
    """`CHAINS` of valid events, each once, with their position; a link holds the values of `kept`."""
    columns = [_plain(name, kind) for name, kind in kept.items()]
    return events.select(
        POSITION,
        f"`{contract.event_id}`",
        f"`{corrections.target}`",
        F.expr(corrections.retracting_sql).alias("__retracts"),
        *columns,
    ).mapInArrow(_packing(EventCodec(kept)), CHAINS)


def _plain(name: str, kind: str) -> Column:
    """A value as a decoder gives it."""
    column = F.col(f"`{name}`")
    return F.unix_micros(column).alias(f"__{name}") if kind == "timestamp" else column.alias(f"__{name}")


def _packing(codec: EventCodec) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        pack = codec.packer()
        for batch in batches:
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            entries = [entry for row in rows for entry in _entries(row, pack)]
            columns = list(zip(*entries, strict=True)) or [()] * len(_SCHEMA)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)

    return run


def _entries(row: tuple, pack: Callable[[tuple], bytes]) -> Iterator[tuple[bytes, bool, int, bytes]]:  # type: ignore[type-arg]
    """What one event adds to its own chain, and to the one that it corrects."""
    position, event_id, target, retracts, *values = row
    partition, offset = position >> _OFFSET_BITS, position & ((1 << _OFFSET_BITS) - 1)
    packed = b"" if retracts else pack(tuple(values))
    link = Link.of(partition, offset, event_id, target, retracts, packed)
    yield link.digest, False, offset, link.pack()
    if link.target is not None:
        yield link.target, True, offset, Named(offset, link.digest).pack()
