"""The files of a view's table, made by tasks from spilled events: tiles folded and sorted, as Parquet.

A task folds a share: the events of some days of one part of a view. All tiles of a day are in one share.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_layer.folds import Groups, fold
from batch_layer.inputs import SECONDS, Asked
from core.buckets import DAY
from core.keys import parse_key
from core.packing import family, scale

__all__ = ["Share", "TileFile", "write_share"]

_Longs = npt.NDArray[np.int64]
_KINDS = {"long": pa.int64(), "double": pa.float64(), "text": pa.string(), "blob": pa.binary()}
_PARTS = {"string": pa.string(), "long": pa.int64(), "boolean": pa.bool_()}
_DICTIONARY_BYTES = 16 << 20  # keys repeat in every tile of a row group, so their dictionary is worth it


@dataclass(frozen=True)
class Share:
    """Events of one part of a view, of the days that are `slab` modulo `slabs`."""

    asked: Asked
    part: int
    slab: int
    slabs: int
    events: int
    spilled: tuple[Path, ...]
    table: Path


@dataclass(frozen=True)
class TileFile:
    """A Parquet file in a table's folder, of one tile and part; `first` and `last` are its buckets.

    `modified` is in milliseconds.
    """

    path: str
    tile: int
    part: int
    rows: int
    bytes: int
    modified: int
    first: int
    last: int

    @property
    def action(self) -> str:
        """What Delta's log says of it."""
        low, high = ({"bucket": _moment(bucket)} for bucket in (self.first, self.last))
        stats = {"numRecords": self.rows, "minValues": low, "maxValues": high, "nullCount": {"bucket": 0}}
        values = {"tile": str(self.tile), "part": str(self.part)}
        return json.dumps(
            {
                "add": {
                    "path": self.path, "partitionValues": values, "size": self.bytes,
                    "modificationTime": self.modified, "dataChange": True,
                    "stats": json.dumps(stats),
                }
            }
        )  # fmt: skip


@dataclass(frozen=True)
class _Rows:
    """Rows of one tile: for each the place of its key among the keys, its bucket, and the events in it."""

    keys: _Longs
    buckets: _Longs
    groups: Groups


def write_share(share: Share) -> list[TileFile]:
    """The files of one share, one for each tile."""
    events = _read(share)
    if not len(events):
        return []
    texts, places = _places(events.column(share.asked.key).combine_chunks())
    seconds = events.column(SECONDS).to_numpy()
    widths = share.asked.view.tiles
    order, finest = _finest(places, seconds, widths[0])
    inputs = {name: _whole(events.column(name)).take(order) for name in share.asked.inputs}
    keys = _keys(share.asked, texts)
    return [
        _write(share, width, _table(share.asked, keys, inputs, rows), rows.buckets)
        for width, rows in _tiles(finest, widths)
    ]


def _read(share: Share) -> pa.Table:
    found = [table for path in share.spilled if len(table := _taken(share, path))]
    return pa.concat_tables(found).unify_dictionaries() if found else pa.table({})


def _taken(share: Share, path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all().select([SECONDS, *share.asked.columns])
        mine = table.column(share.asked.place).to_numpy() == share.part
        if share.slabs > 1:
            mine &= table.column(SECONDS).to_numpy() // DAY % share.slabs == share.slab
        return table.drop_columns([share.asked.place]).take(pa.array(np.flatnonzero(mine)))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def _places(keys: pa.DictionaryArray) -> tuple[pa.StringArray, _Longs]:
    """The keys in order of their bytes, and which of them each event has."""
    codes = keys.indices.to_numpy()
    used = np.unique(codes)
    texts = keys.dictionary.take(pa.array(used))
    order = pc.sort_indices(texts)
    ranks = np.empty(len(keys.dictionary), np.int64)
    ranks[used[order.to_numpy()]] = np.arange(len(used))
    return texts.take(order), ranks[codes]


def _finest(places: _Longs, seconds: _Longs, width: int) -> tuple[_Longs, _Rows]:
    """How events are sorted by key and bucket, and the rows that they make."""
    steps = seconds // width
    least = int(steps.min())
    span = int(steps.max()) - least + 1
    ranks = places * span + (steps - least)
    order = np.argsort(ranks)
    ranks = ranks[order]
    starts = np.flatnonzero(np.diff(ranks, prepend=-1))
    keys, steps = np.divmod(ranks[starts], span)
    return order, _Rows(keys, (steps + least) * width, Groups(starts, len(ranks)))


def _tiles(finest: _Rows, widths: Sequence[int]) -> Iterator[tuple[int, _Rows]]:
    yield widths[0], finest
    for width in widths[1:]:
        buckets = finest.buckets - finest.buckets % width
        first = np.flatnonzero((np.diff(finest.keys, prepend=-1) != 0) | (np.diff(buckets, prepend=-1) != 0))
        groups = Groups(finest.groups.starts[first], finest.groups.rows)
        yield width, _Rows(finest.keys[first], buckets[first], groups)


def _table(
    asked: Asked, keys: dict[str, pa.DictionaryArray], inputs: dict[str, pa.Array], rows: _Rows
) -> pa.Table:
    """A tile's rows, with the columns and types of the view's table."""
    view, places = asked.view, pa.array(rows.keys)
    columns = {name: column.take(places) for name, column in keys.items()}
    columns["bucket"] = pa.array(rows.buckets * 1_000_000).cast(pa.timestamp("us", "UTC"))
    slots = iter(view.slots)
    for measure, name in zip(view.measures.values(), asked.measures, strict=True):
        for column in fold(measure, None if name is None else inputs[name], rows.groups):
            column_name, slot = next(slots)
            columns[column_name] = column.cast(_kind(slot.kind))
    return pa.table(columns)


def _kind(kind: str) -> pa.DataType:
    return pa.decimal128(38, scale(kind)) if family(kind) == "decimal" else _KINDS[kind]


def _keys(asked: Asked, texts: pa.StringArray) -> dict[str, pa.DictionaryArray]:
    """The text of each key, and its parts with the types of their expressions."""
    parsed = [parse_key(text) for text in texts.to_pylist()]
    columns = list(zip(*parsed, strict=True))
    return {"key_text": texts.dictionary_encode()} | {
        name: pa.array(column, pa.string()).cast(_PARTS[part.type]).dictionary_encode()
        for (name, part), column in zip(asked.view.key.items(), columns, strict=True)
    }


def _write(share: Share, width: int, table: pa.Table, buckets: _Longs) -> TileFile:
    relative = f"tile={width}/part={share.part}/part-{share.slab:05d}-{uuid4()}.snappy.parquet"
    path = share.table / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ["key_text", *share.asked.view.key, "bucket"]
    pq.write_table(
        table, path, compression="snappy", use_dictionary=keys, dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=["bucket"], store_schema=False,
    )  # fmt: skip
    found, first, last = path.stat(), int(buckets.min()), int(buckets.max())
    modified = found.st_mtime_ns // 1_000_000
    return TileFile(relative, width, share.part, len(table), found.st_size, modified, first, last)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
