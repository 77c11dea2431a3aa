"""The events of some segments, and which of them the speed layer counts under its own rules."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.events import _valid
from batch_layer.fresh import _between
from batch_layer.positions import POSITION
from batch_layer.segments import segment_of_position
from core.contracts import Contract
from core.copies import Copy, judge
from core.cuts import Cut, Offsets
from core.equality import Cause
from core.views import CompiledView

__all__ = ["SEGMENT", "Contested", "SegmentEvents", "read_segments"]

SEGMENT = "__segment"
_BITS = 48
_BROADCAST_ROWS = 2_000_000
_ROWS = 20_000
_VERDICTS = f"`{POSITION}` bigint, counted boolean, late boolean, contested boolean"
_SCHEMA = pa.schema(
    [(POSITION, pa.int64()), ("counted", pa.bool_()), ("late", pa.bool_()), ("contested", pa.bool_())]
)


@dataclass(frozen=True)
class Contested:
    """Events as the speed layer may count them, and why it may; `columns` are those of which that is in
    doubt, or None for an event that may count or not."""

    events: DataFrame
    cause: Cause
    columns: frozenset[str] | None = None

    def touches(self, view: CompiledView) -> bool:
        return self.columns is None or not self.columns.isdisjoint(view.reads)


@dataclass(frozen=True)
class SegmentEvents:
    """Valid events of some segments: the contract's columns, their segment, and a verdict on every copy.

    `frame` is made of persisted ones, which whoever made this session's cache clears. `doubts` are about
    columns that were derived; where there are some, `restated` has the events as batch derives them, and
    those in doubt. Where events are corrected, `taken` are those that corrections of these segments take
    back, with the segment of the correction, and `stopped` has the positions of all that were.
    """

    frame: DataFrame
    copies: bool
    doubts: tuple[Contested, ...] = ()
    restated: tuple[DataFrame, DataFrame] | None = None
    taken: DataFrame | None = None
    stopped: DataFrame | None = None

    @property
    def counted(self) -> DataFrame:
        """What the speed layer counts."""
        return self.frame.where("coalesce(counted, true)") if self.copies else self.frame

    @property
    def late(self) -> DataFrame:
        """Of those, what batch does not count: copies that came beyond the window."""
        return self.frame.where("coalesce(late, false)" if self.copies else "false")

    @property
    def by_batch(self) -> DataFrame:
        return self.counted.where("NOT coalesce(late, false)") if self.copies else self.frame

    @property
    def remaining(self) -> DataFrame:
        """What batch counts once all corrections are known."""
        if self.stopped is None:
            return self.by_batch
        return self.by_batch.join(self.stopped, POSITION, "left_anti")

    @property
    def contested(self) -> Sequence[Contested]:
        """All copies of events that have some on several partitions, and what else is in doubt."""
        if not self.copies:
            return self.doubts
        return (Contested(self.frame.where("coalesce(contested, false)"), Cause.OUT_OF_ORDER), *self.doubts)


def read_segments(
    master: DataFrame, contract: Contract, cuts: Sequence[Cut], start: Cut, reads_from: Offsets, window: int
) -> SegmentEvents:
    """Events from cut `start` to before the last of `cuts`.

    They are judged as by a generation that read the log from `reads_from` on and knows copies for `window`
    segments.
    """
    end = cuts[-1].offsets
    other = master.where(_between({}, end)).where(F.col("contract") != contract.fingerprint)
    stale = int(not other.isEmpty())
    new = _valid(master.where(_between(start.offsets, end)), contract, stale)
    new = new.withColumn(SEGMENT, segment_of_position(cuts)).persist()
    before = _valid(master.where(_between({}, start.offsets)), contract, stale) if start.number else None
    copies = _copies(new, before, contract.event_id)
    if copies is None:
        return SegmentEvents(new, False)
    found = _verdicts(copies.withColumn(SEGMENT, segment_of_position(cuts)), start.number, reads_from, window)
    return SegmentEvents(new.join(found, POSITION, "left"), True)


def _copies(new: DataFrame, before: DataFrame | None, event_id: str) -> DataFrame | None:
    """Position and id of every record whose id occurs again, in `new` or before; None if there are none.

    Hashes of ids are shuffled alone, and of the records before only those that `new` asks for.
    """
    some = new.select(*_identified(event_id))
    hashes = some.groupBy("hash").count().persist()
    small = hashes.count() <= _BROADCAST_ROWS
    earlier = before.select(*_identified(event_id)) if before is not None else some.where("false")
    asked = hashes.select("hash")
    earlier = earlier.join(F.broadcast(asked) if small else asked, "hash", "left_semi").persist()
    twins = hashes.where("count > 1").select("hash").union(earlier.select("hash")).distinct().persist()
    if twins.isEmpty():
        return None
    return some.unionByName(earlier).join(twins, "hash", "left_semi")


def _identified(event_id: str) -> list[Column]:
    id_ = F.col(f"`{event_id}`")
    return [F.col(POSITION), id_.alias("id"), F.xxhash64(id_).alias("hash")]


def _verdicts(copies: DataFrame, start: int, reads_from: Offsets, window: int) -> DataFrame:
    ordered = copies.select("id", SEGMENT, POSITION).repartition("id")
    return (
        ordered.sortWithinPartitions("id", SEGMENT, POSITION)
        .mapInArrow(_judging(start, dict(reads_from), window), _VERDICTS)
        .persist()
    )


def _judging(
    start: int, reads_from: Offsets, window: int
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Verdicts on the copies that lie in segment `start` or beyond."""

    def copy(segment: int, position: int) -> Copy:
        partition, offset = position >> _BITS, position & ((1 << _BITS) - 1)
        return Copy(segment, partition, offset, offset >= reads_from.get(partition, 0))

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = list[tuple[int, bool, bool, bool]]()
        for _, group in groupby(_rows(batches), itemgetter(0)):
            copies = [copy(segment, position) for _, segment, position in group]
            rows += [
                (one.partition << _BITS | one.offset, *verdict)
                for one, verdict in zip(copies, judge(copies, window), strict=True)
                if one.segment >= start
            ]
            if len(rows) >= _ROWS:
                yield _batch(rows)
                rows = []
        yield _batch(rows)

    return run


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, int, int]]:
    for batch in batches:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _batch(rows: Sequence[tuple[int, bool, bool, bool]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(_SCHEMA)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)
