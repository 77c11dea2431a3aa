"""The index of a publish: LMDB files by key hash, made by Spark tasks from the files of the view tables.

A task reads the Parquet files of one part of one view, sorts row numbers, packs columns and appends to one
LMDB file.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from batch_layer.delta_log import AddedFile, Commit
from batch_layer.packer import pack_columns
from core.durability import sha256_of, sync
from core.errors import HandoffError
from core.faults import reach
from core.folders import Folders
from core.index_values import LONGEST_FRAME, UNFRAMED, key_frame
from core.keys import _BUCKET_SHIFT, index_text
from core.measures import Slot
from core.views import CompiledView

__all__ = ["IndexFile", "Part", "build_part", "parts_of", "seal", "staging", "write_parts"]

_ROWS = 50_000  # rows that are Python objects at one time
_STAGING = ".building-"


@dataclass(frozen=True)
class Part:
    """One index file to build, and the table files that its rows are in."""

    view: str
    number: int
    slots: tuple[tuple[str, Slot], ...]
    files: tuple[AddedFile, ...]
    path: Path

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class IndexFile:
    """A finished index file, and the SHA-256 of each table file that it was made from."""

    view: str
    number: int
    rows: int
    sha256: str
    tables: dict[str, str]


def staging(folders: Folders, version: int) -> Path:
    """A new folder beside the index folders, in which an index is built."""
    folder = folders.index(version).parent / f"{_STAGING}{version}-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    return folder


def parts_of(view: CompiledView, commit: Commit, partitions: int, folder: Path) -> list[Part]:
    """The index files of a view, for one version of its table."""
    return [
        Part(
            view.name, number, tuple(view.slots),
            tuple(file for file in commit.added if file.values["part"] == str(number)),
            folder / view.name / f"{number}.mdb",
        )
        for number in range(partitions)
    ]  # fmt: skip


def write_parts(spark: SparkSession, parts: Sequence[Part]) -> list[IndexFile]:
    """Builds files in Spark tasks, the largest first; returns once all of them are durable."""
    ordered = sorted(parts, key=lambda part: -part.rows)
    return spark.sparkContext.parallelize(ordered, len(ordered)).map(build_part).collect()


def build_part(part: Part) -> IndexFile:
    """One index file, durable and read-only. Raises HandoffError unless it holds every row of the table."""
    part.path.parent.mkdir(parents=True, exist_ok=True)
    written = _write(part)
    if written != part.rows:
        raise HandoffError(
            f"index {part.view}/{part.number} has {written} entries, its table {part.rows} rows; "
            "two rows share a key"
        )
    part.path.chmod(0o444)
    tables = {file.path.name: sha256_of(file.path) for file in part.files}
    return IndexFile(part.view, part.number, written, seal(part.path), tables)


def _write(part: Part) -> int:
    # room in the address space, not on the disk; a long key stands in every row, and in the table once
    size = 4 * sum(file.bytes for file in part.files) + (300 + LONGEST_FRAME) * part.rows + (64 << 20)
    with lmdb.open(
        str(part.path), subdir=False, map_size=size, lock=False, sync=False, metasync=False, meminit=False
    ) as env:
        with env.begin(write=True) as transaction, transaction.cursor() as cursor:
            for entries in _entries(part):
                cursor.putmulti(entries, append=True, overwrite=False)
                reach("index.shard.middle")
        env.sync(True)
        return int(env.stat()["entries"])


def _entries(part: Part) -> Iterator[list[tuple[bytes, bytes]]]:
    """Keys and values in order, in batches."""
    if not part.rows:
        return
    table = _read(part)
    keys = table.column("key_text").combine_chunks()
    texts = [str(text) for text in keys.dictionary.to_pylist()]
    order = _order(table, keys, texts)
    for start in range(0, len(order), _ROWS):
        yield _batch(part, table, keys, texts, order[start : start + _ROWS])


def _batch(
    part: Part, table: pa.Table, keys: pa.DictionaryArray, texts: list[str], rows: np.ndarray
) -> list[tuple[bytes, bytes]]:
    places = pa.array(rows)
    chosen = table.take(places)
    codes = keys.indices.take(places).to_pylist()
    tails = _tails(chosen)
    names = {code: index_text(texts[code]) for code in set(codes)}
    frames = {code: key_frame(texts[code]) for code in names}
    columns = [_whole(chosen.column(name)) for name, _ in part.slots]
    slots = [slot for _, slot in part.slots]
    if all(frame == UNFRAMED for frame in frames.values()):
        values = pack_columns(slots, columns, UNFRAMED)
    else:
        values = [frames[c] + v for c, v in zip(codes, pack_columns(slots, columns), strict=True)]
    return [(names[c] + tail, value) for c, tail, value in zip(codes, tails, values, strict=True)]


def _tails(chosen: pa.Table) -> list[bytes]:
    """Width and bucket as index keys end with: big endian, so that bytes sort as numbers do."""
    tails = np.zeros(len(chosen), [("width", ">u4"), ("bucket", ">u8")])
    tails["width"] = chosen.column("tile").to_numpy()
    tails["bucket"] = _seconds(chosen).astype(np.int64) + _BUCKET_SHIFT
    raw = tails.tobytes()
    return [raw[at : at + 12] for at in range(0, len(raw), 12)]


def _seconds(table: pa.Table) -> np.ndarray:
    seconds: np.ndarray = table.column("bucket").cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_numpy()
    return seconds


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else whole.chunk(0)


def _order(table: pa.Table, keys: pa.DictionaryArray, texts: list[str]) -> np.ndarray:
    """Row numbers in the order of index keys. No key starts with another one: its parts sort one by one."""
    names = pa.array([index_text(text) for text in texts], pa.binary())
    ranks = np.empty(len(texts), np.int64)
    ranks[pc.sort_indices(names).to_numpy()] = np.arange(len(texts))
    return np.lexsort((_seconds(table), table.column("tile").to_numpy(), ranks[keys.indices.to_numpy()]))


def _read(part: Part) -> pa.Table:
    columns = ["key_text", "bucket", *[name for name, _ in part.slots]]
    tables = [_read_file(file, columns) for file in part.files if file.rows]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _read_file(file: AddedFile, columns: list[str]) -> pa.Table:
    table = pq.ParquetFile(str(file.path), read_dictionary=["key_text"]).read(columns=columns)
    tile = pa.array(np.full(len(table), int(file.values["tile"] or 0), np.int32))
    return table.append_column("tile", tile)


def seal(path: Path) -> str:
    """Makes a file durable; its SHA-256."""
    sync(path)
    return sha256_of(path)


def checksum(files: Sequence[IndexFile]) -> str:
    """One SHA-256 over all table files of a view: their names and contents."""
    tables = {name: digest for file in files for name, digest in file.tables.items()}
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def install(staged: Path, target: Path) -> None:
    """Moves a finished index to where readers look, in one step, and makes the move durable."""
    for folder in [*[path for path in staged.iterdir() if path.is_dir()], staged]:
        sync(folder)
    staged.rename(target)
    sync(target.parent)


def sweep(folder: Path) -> list[str]:
    """Removes what crashed runs left unfinished; the names of what went."""
    left = [path for path in folder.glob(f"{_STAGING}*")] if folder.is_dir() else []
    for path in left:
        shutil.rmtree(path)
    return [path.name for path in left]
