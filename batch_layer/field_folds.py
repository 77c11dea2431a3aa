"""Events folded by field of the speed state: what Redis should hold, by shard and name of the hash."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.packer import pack_columns
from batch_layer.segment_events import SEGMENT, Contested
from core.buckets import floor
from core.equality import Cause
from core.keys import shard_sql
from core.layout import container_width
from core.measures import Partial, Slot
from core.views import CompiledView

__all__ = ["FIELDS", "FieldFolds"]

FIELDS = "shard int, view int, name string, segment bigint, bucket bigint, cause string, packed binary"
_SCHEMA = pa.schema(
    [("shard", pa.int32()), ("view", pa.int32()), ("name", pa.string()), ("segment", pa.int64()),
     ("bucket", pa.int64()), ("cause", pa.string()), ("packed", pa.binary())]
)  # fmt: skip
_TYPES = {"long": "bigint", "double": "double", "text": "string", "blob": "binary"}
_PLACE = ["__key", SEGMENT, "__bucket"]
_EVENTS = "__events"


@dataclass(frozen=True)
class FieldFolds:
    """Of one view, which is number `number`; only the `chosen` of `shards` are folded."""

    view: CompiledView
    number: int
    shards: int
    chosen: Sequence[int]

    def folded(self, events: DataFrame) -> DataFrame:
        """`FIELDS`: one row a field, with its packed partial."""
        return self._named(self._placed(events).groupBy("__shard", *_PLACE).agg(*self._slots), None)

    def taken_back(self, events: DataFrame) -> DataFrame:
        """`FIELDS`: one row a field, with what takes these events back from it."""
        counted = [*self._slots, F.count("*").alias(_EVENTS)]
        grouped = self._placed(events).groupBy("__shard", *_PLACE).agg(*counted)
        rows = grouped.select("__shard", *_PLACE, *self._columns, _EVENTS)
        return rows.mapInArrow(_packing(self.view, self.number, None, taken=True), FIELDS)

    def contested(self, doubt: Contested) -> DataFrame:
        """`FIELDS` without partials: the fields in which these events may count, and why they may differ."""
        # what is in doubt may decide the view's condition as well
        view = self.view if doubt.columns is None else replace(self.view, where="true")
        placed = replace(self, view=view)._placed(doubt.events).select("__shard", *_PLACE).distinct()
        return self._named(placed.select("*", *self._nulls), doubt.cause)

    def total(self, events: DataFrame) -> Partial:
        """All events in one partial."""
        rows = self._placed(events).agg(*self._slots).select(*self._columns).toArrow()
        arrays = [rows.column(name).combine_chunks() for name, _ in self.view.slots]
        return self.view.codec.unpack(pack_columns([slot for _, slot in self.view.slots], arrays)[0])

    def count(self, events: DataFrame) -> int:
        return self._placed(events).count()

    def first(self, events: DataFrame, count: int) -> list[tuple[str, int, int]]:
        """The first places that these events count in."""
        rows = self._placed(events).select(*_PLACE).distinct().orderBy(*_PLACE).limit(count).collect()
        return [(row[0], row[1], row[2]) for row in rows]

    def _placed(self, events: DataFrame) -> DataFrame:
        view = self.view
        shard = F.expr(shard_sql(f"'{view.name}'", "__key", self.shards))
        placed = events.where(view.where).select(
            "*", F.expr(view.key_sql).alias("__key"), F.expr(view.bucket_sql).alias("__bucket")
        )
        placed = placed.withColumn("__shard", shard)
        return placed if len(self.chosen) == self.shards else placed.where(shard.isin(list(self.chosen)))

    @property
    def _slots(self) -> list[Column]:
        return [F.expr(sql).alias(column) for column, sql in self.view.partial_sql.items()]

    @property
    def _columns(self) -> list[Column]:
        return [F.col(f"`{name}`").cast(_type(slot)).alias(name) for name, slot in self.view.slots]

    @property
    def _nulls(self) -> list[Column]:
        return [F.lit(None).cast(_type(slot)).alias(name) for name, slot in self.view.slots]

    def _named(self, grouped: DataFrame, cause: Cause | None) -> DataFrame:
        rows = grouped.select("__shard", *_PLACE, *self._columns)
        return rows.mapInArrow(_packing(self.view, self.number, cause), FIELDS)


def _type(slot: Slot) -> str:
    return _TYPES.get(slot.kind, slot.kind)


def _retracted(view: CompiledView, packed: bytes | None, events: int) -> bytes | None:
    return packed and view.codec.pack(view.retracted(view.codec.unpack(packed), events))


def _packing(
    view: CompiledView, number: int, cause: Cause | None, taken: bool = False
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    step, slots = container_width(view.width), [slot for _, slot in view.slots]

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            shard, key, segment, bucket, *columns = batch.columns
            places = zip(key.to_pylist(), bucket.to_pylist(), strict=True)
            names = [f"{view.name}:{floor(bucket, step)}:{key}" for key, bucket in places]
            rows = batch.num_rows
            events = columns.pop().to_pylist() if taken else []
            packed: Sequence[bytes | None] = [None] * rows
            if rows and not cause:
                packed = pack_columns(slots, columns)
            if taken:
                packed = [_retracted(view, *each) for each in zip(packed, events, strict=True)]
            numbers, causes = pa.array([number] * rows, pa.int32()), pa.array([cause] * rows, pa.string())
            arrays = [shard, numbers, pa.array(names, pa.string()), segment, bucket, causes]
            yield pa.RecordBatch.from_arrays([*arrays, pa.array(packed, pa.binary())], schema=_SCHEMA)

    return run
