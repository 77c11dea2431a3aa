"""The chains of a version as LMDB files by digest: what the speed layer asks of events below the boundary."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import lmdb
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.index import seal
from core.chains import Chain, Link, Named, chain_file

__all__ = ["write_chains", "write_file"]

_SCHEMA = pa.schema([("name", pa.string()), ("sha256", pa.string())])
_ROOM = 1 << 40  # in the address space, not on the disk
_Row = tuple[bytes, bool, bytes]


def write_chains(chains: DataFrame, folder: Path, files: int) -> dict[str, str]:
    """Files of `CHAINS` in a new folder, durable and read-only; their checksums by name below it.

    Each of the `files` is there, empty ones as well.
    """
    folder.mkdir(parents=True)
    part = F.expr(chain_part_sql("digest", files)).alias("part")
    whole = chains.select("digest", "names", "packed", part, "offset")
    sorted_ = whole.repartitionById(files, F.col("part")).sortWithinPartitions("part", "digest", "offset")
    written = sorted_.mapInArrow(_writing(folder), "name string, sha256 string").collect()
    found = {row.name: row.sha256 for row in written}
    missing = [number for number in range(files) if chain_file(number) not in found]
    return found | {chain_file(number): write_file(folder / chain_file(number), ()) for number in missing}


def chain_part_sql(digest: str, files: int) -> str:
    """`core.chains.chain_part` as Spark SQL, of type int."""
    return f"cast(cast(conv(hex(substring({digest}, 1, 4)), 16, 10) as bigint) % {files} as int)"


def _writing(folder: Path) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part, rows in groupby(_rows(batches), itemgetter(0)):
            name = chain_file(part)
            sha256 = write_file(folder / name, (row[1:] for row in rows))
            yield pa.RecordBatch.from_pylist([{"name": name, "sha256": sha256}], _SCHEMA)

    return run


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, bytes, bool, bytes]]:
    for batch in batches:
        digest, names, packed, part, _ = (column.to_pylist() for column in batch.columns)
        yield from zip(part, digest, names, packed, strict=True)


def write_file(path: Path, rows: Iterable[_Row]) -> str:
    """One file, durable; its SHA-256. What a task that failed left behind is written anew."""
    path.unlink(missing_ok=True)
    with lmdb.open(
        str(path), subdir=False, map_size=_ROOM, lock=False, sync=False, metasync=False, meminit=False
    ) as env:
        with env.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(_chains(rows), append=True, overwrite=False)
        env.sync(True)
    path.chmod(0o444)
    return seal(path)


def _chains(rows: Iterable[_Row]) -> Iterator[tuple[bytes, bytes]]:
    for digest, group in groupby(rows, itemgetter(0)):
        links, named = list[Link](), list[Named]()
        for _, names, packed in group:
            if names:
                named.extend(Named.unpack_all(packed))
            else:
                links.append(Link.unpack(digest, packed))
        yield digest, Chain.of(links, named).pack()
