"""The step before the shuffle: rows of events in; packed partials by view, key, segment and bucket out."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.keys import shard_of
from core.packing import retracted
from speed_layer.columns import pack
from speed_layer.folds import Groups, fold
from speed_layer.notes import STATUS, Notes
from speed_layer.plan import NOTE, SEGMENT, SIGN, Plan, ViewPlan

__all__ = ["PARTIALS", "FoldStep"]

PARTIALS = "shard int, view int, key string, segment bigint, bucket bigint, packed binary"
_SCHEMA = pa.schema(
    [
        ("shard", pa.int32()),
        ("view", pa.int32()),
        ("key", pa.string()),
        ("segment", pa.int64()),
        ("bucket", pa.int64()),
        ("packed", pa.binary()),
    ]
)
_ROWS = 200_000  # folded at once, so that a task's memory does not grow with the micro-batch


@dataclass(frozen=True)
class FoldStep:
    """For `mapInArrow`. The last row has view `STATUS`: the notes of the steps so far, as its key."""

    plan: Plan
    shards: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        notes = Notes()
        for table in _tables(batches, notes):
            began = time.perf_counter()
            folded = [batch for batch in self._views(table) if batch.num_rows]
            notes.add(fold_seconds=time.perf_counter() - began)
            yield from folded
        yield pa.RecordBatch.from_pylist([_status(notes)], _SCHEMA)

    def _views(self, table: pa.Table) -> Iterator[pa.RecordBatch]:
        counted, taken = _by_sign(table)
        for number, view in enumerate(self.plan.views):
            for events, fold_them in ((counted, _counted), (taken, _taken)):
                rows = events.filter(events.column(view.where)) if view.where else events
                if rows.num_rows:
                    yield fold_them(_fold_view(number, view, rows, self.shards), view)


def _status(notes: Notes) -> dict[str, Any]:
    return {"shard": 0, "view": STATUS, "key": notes.text(), "segment": 0, "bucket": 0, "packed": b""}


def _tables(batches: Iterator[pa.RecordBatch], notes: Notes) -> Iterator[pa.Table]:
    """Rows of events, many at once; the notes among them are added to `notes`."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        for note in pc.drop_null(batch.column(NOTE)).to_pylist():
            notes.add_text(note)
        events = batch.filter(pc.is_null(batch.column(NOTE)))
        held += [events] if events.num_rows else []
        if sum(piece.num_rows for piece in held) >= _ROWS:
            yield pa.Table.from_batches(held).combine_chunks()
            held = []
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def _by_sign(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Events that count, and those that are taken back."""
    if SIGN not in table.schema.names:
        return table, table.slice(0, 0)
    counted = pc.greater(table.column(SIGN), 0)
    return table.filter(counted), table.filter(pc.invert(counted))


def _counted(folded: "_Folded", _: ViewPlan) -> pa.RecordBatch:
    return folded.batch


def _taken(folded: "_Folded", view: ViewPlan) -> pa.RecordBatch:
    """What takes back the events that were folded."""
    codec = view.codec
    packed = [
        codec.pack(retracted(view.measures, codec.unpack(partial), events))
        for partial, events in zip(folded.batch.column("packed").to_pylist(), folded.sizes, strict=True)
    ]
    place = _SCHEMA.get_field_index("packed")
    return folded.batch.set_column(place, _SCHEMA.field(place), pa.array(packed, pa.binary()))


class _Folded(NamedTuple):
    """`PARTIALS`, and of how many events each is."""

    batch: pa.RecordBatch
    sizes: list[int]


def _fold_view(number: int, view: ViewPlan, rows: pa.Table, shards: int) -> _Folded:
    keys = _array(rows, view.key).dictionary_encode()
    codes, segments, buckets = (
        _numpy(a) for a in (keys.indices, _array(rows, SEGMENT), _array(rows, view.bucket))
    )
    order = np.lexsort((buckets, segments, codes))
    firsts, groups = _groups(order, codes, segments, buckets)
    columns = [
        column
        for measure, name in zip(view.measures, view.inputs, strict=True)
        for column in fold(measure, _array(rows, name).take(pa.array(order)), groups)
    ]
    own = np.fromiter((shard_of(view.name, key, shards) for key in keys.dictionary.to_pylist()), np.int32)
    found = codes[firsts]
    folded = pa.RecordBatch.from_arrays(
        [
            pa.array(own[found]),
            pa.array(np.full(len(firsts), number, np.int32)),
            keys.dictionary.take(pa.array(found)),
            pa.array(segments[firsts]),
            pa.array(buckets[firsts]),
            pa.array(pack(columns), pa.binary()),
        ],
        schema=_SCHEMA,
    )
    return _Folded(folded, groups.sizes.tolist())


def _groups(
    order: npt.NDArray[np.int64], *columns: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Groups]:
    """The first row of each group of equal values, and the groups in the given order."""
    new = np.zeros(len(order), np.bool_)
    new[0] = True
    for column in columns:
        ordered = column[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(new)
    return order[starts], Groups(starts, len(order))


def _array(rows: pa.Table, name: str) -> pa.Array:
    return rows.column(name).combine_chunks()


def _numpy(array: pa.Array) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = array.to_numpy(zero_copy_only=False).astype(np.int64)
    return found
