"""Events once, as columns in files of Arrow: what the folds of all views read.

Spark evaluates the expressions; a task writes a file for so many events. Texts are dictionaries, and each
view has the text of its key and the part of its index for every event.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import cast
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from batch_layer.inputs import SECONDS, Asked
from core.keys import index_partition

__all__ = ["Spill", "spill"]

_Codes = npt.NDArray[np.int64]

_NOWHERE = -1  # the part of an event that a view does not take
_EVENTS = 1_000_000  # in memory at a time
_SCHEMA = "path string, counts array<bigint>"


@dataclass(frozen=True)
class Spill:
    """Files of events, and how many events each part of each view takes of them."""

    files: tuple[Path, ...]
    counts: dict[tuple[str, int], int]


def spill(frame: DataFrame, asked: Sequence[Asked], partitions: int, folder: Path) -> Spill:
    """Writes events, as `ask` gives them, to files in `folder`."""
    rows = frame.mapInArrow(_writer(asked, partitions, folder), _SCHEMA).collect()
    places = [(one.view.name, part) for one in asked for part in range(partitions)]
    counts = [sum(column) for column in zip(*[row["counts"] for row in rows], strict=True)]
    counts = counts or [0] * len(places)
    return Spill(tuple(Path(row["path"]) for row in rows), dict(zip(places, counts, strict=True)))


def _writer(
    asked: Sequence[Asked], partitions: int, folder: Path
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in _gathered(batches):
            path = folder / f"{uuid4().hex}.arrow"
            stored = _stored(table, asked, partitions)
            _write(stored, path)
            counts = [count for one in asked for count in _counts(stored, one, partitions)]
            columns = [pa.array([str(path)]), pa.array([counts], pa.list_(pa.int64()))]
            yield pa.RecordBatch.from_arrays(columns, ["path", "counts"])

    return run


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    held = list[pa.RecordBatch]()
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= _EVENTS:
            yield pa.Table.from_batches(held)
            held = []
    if any(batch.num_rows for batch in held):
        yield pa.Table.from_batches(held)


def _stored(table: pa.Table, asked: Sequence[Asked], partitions: int) -> pa.Table:
    """Columns coded, and for each view the key and the part of each event."""
    columns = {name: _coded(table.column(name)) for name in table.column_names}
    for one in asked:
        keys = _keys([columns[part] for part in one.parts], len(table))
        parts = [index_partition(text, partitions) for text in keys.dictionary.to_pylist()]
        places = np.array(parts, np.int16)[keys.indices.to_numpy()]
        if one.where is not None:
            places[~columns[one.where].to_numpy(zero_copy_only=False)] = _NOWHERE
        columns[one.key], columns[one.place] = keys, pa.array(places)
    needed = {SECONDS, *(name for one in asked for name in one.columns)}
    return pa.table({name: column for name, column in columns.items() if name in needed})


def _coded(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    whole = whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
    return whole.dictionary_encode() if pa.types.is_string(whole.type) else whole


def _keys(parts: Sequence[pa.Array], rows: int) -> pa.DictionaryArray:
    """The text of each event's key, made once for each different key."""
    coded = [part if pa.types.is_dictionary(part.type) else part.dictionary_encode() for part in parts]
    pieces = [(_pieces(one.dictionary), _codes(one)) for one in coded]
    if not pieces:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([""]))
    texts, codes = reduce(_joined, pieces)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), texts)


def _codes(coded: pa.DictionaryArray) -> _Codes:
    """Places in `_pieces`: NULL is the last one."""
    filled = pc.fill_null(coded.indices, len(coded.dictionary))
    return cast(_Codes, filled.to_numpy(zero_copy_only=False).astype(np.int64))


def _pieces(values: pa.Array) -> pa.StringArray:
    """What `key_text` makes of each value, and of NULL."""
    texts = values.cast(pa.string())
    lengths = pc.binary_length(texts).cast(pa.string())
    return pa.concat_arrays([pc.binary_join_element_wise(lengths, texts, ":"), pa.array(["-"])])


def _joined(left: tuple[pa.Array, _Codes], right: tuple[pa.Array, _Codes]) -> tuple[pa.Array, _Codes]:
    """Texts side by side, those that occur, and the place of each row's."""
    both = pa.array(left[1] * len(right[0]) + right[1]).dictionary_encode()
    ours, theirs = np.divmod(both.dictionary.to_numpy(), len(right[0]))
    texts = pc.binary_join_element_wise(left[0].take(pa.array(ours)), right[0].take(pa.array(theirs)), "")
    return texts, both.indices.to_numpy().astype(np.int64)


def _write(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _counts(table: pa.Table, one: Asked, partitions: int) -> list[int]:
    places = table.column(one.place).to_numpy()
    return cast(list[int], np.bincount(places[places >= 0], minlength=partitions).tolist())
