"""The file of a resolution, made by Spark: entries sorted, one task appends them to one LMDB file."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import lmdb
import pyarrow as pa
from pyspark.sql import DataFrame

from batch_layer.index import seal
from core.index_values import LONGEST_FRAME
from core.resolutions import FRAME_IDS, group_entry, id_entry

__all__ = ["ResolutionFile", "write_resolution"]

_ENTRIES = "key binary, value binary"
_ROWS = 20_000
_ROOM = 4 * (LONGEST_FRAME + 500)  # of an id, in the address space
Entry = tuple[bytes, bytes]
Item = TypeVar("Item")


@dataclass(frozen=True)
class ResolutionFile:
    """A finished file. `content` is the same for the same resolution, and empty for one of no ids."""

    content: str
    ids: int
    persons: int
    sha256: str


def write_resolution(resolved: DataFrame, path: Path) -> ResolutionFile:
    """Writes `id` and `person` of ids in groups; the file is durable and read-only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = resolved.count()
    content = _sorted(resolved, path, ids) if ids else _nothing(path)
    persons = resolved.where("id = person").count()
    path.chmod(0o444)
    return ResolutionFile(content, ids, persons, seal(path))


def _sorted(resolved: DataFrame, path: Path, ids: int) -> str:
    """All entries in order, by one task."""
    entries = resolved.mapInArrow(_ids, _ENTRIES).unionByName(
        resolved.repartition("person").sortWithinPartitions("person", "id").mapInArrow(_groups, _ENTRIES)
    )
    ordered = entries.repartition(1).sortWithinPartitions("key")
    (row,) = ordered.mapInArrow(_writing(path, ids), "content string").collect()
    return str(row["content"])


def _nothing(path: Path) -> str:
    """A file without entries, for which Spark would start no task."""
    list(_writing(path, 0)(iter(())))
    return ""


def _ids(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield _batch([id_entry(id_, person) for id_, person in _rows(batch)])


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = (row for batch in batches for row in _rows(batch))
    yield from map(_batch, _some(_group_entries(rows), _ROWS))


def _group_entries(rows: Iterator[tuple[str, str]]) -> Iterator[Entry]:
    for person, group in groupby(rows, itemgetter(1)):
        for number, some in enumerate(_some(group, FRAME_IDS)):
            yield group_entry(person, number, [id_ for id_, _ in some])


def _some(items: Iterator[Item], most: int) -> Iterator[list[Item]]:
    while some := list(islice(items, most)):
        yield some


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    return zip(batch.column("id").to_pylist(), batch.column("person").to_pylist(), strict=True)


def _batch(entries: Sequence[Entry]) -> pa.RecordBatch:
    columns: Sequence[Any] = list(zip(*entries, strict=True)) or [(), ()]
    return pa.RecordBatch.from_arrays([pa.array(column, pa.binary()) for column in columns], ["key", "value"])


def _writing(path: Path, ids: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        content = hashlib.sha256()
        path.unlink(missing_ok=True)  # of a task that failed
        with lmdb.open(
            str(path), subdir=False, map_size=_ROOM * ids + (64 << 20), lock=False, sync=False, metasync=False
        ) as environment:
            for batch in batches:
                entries = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
                with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
                    cursor.putmulti(entries, append=True, overwrite=False)
                for key, value in entries:
                    content.update(len(key).to_bytes(4) + key + len(value).to_bytes(4) + value)
            environment.sync(True)
        yield pa.RecordBatch.from_pydict({"content": [content.hexdigest()[:32]]})

    return run
