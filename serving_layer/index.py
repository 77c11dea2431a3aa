"""The index of one version: LMDB files that Spark tasks built, mapped read-only.

A file is never written again: no locks are taken, and one read transaction lasts as long as the file is open.
Environments close when nobody holds the index any more: a request keeps what it began with.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import lmdb

from core.buckets import Run
from core.index_values import unframe
from core.keys import index_bucket, index_key, index_partition
from core.manifest import Manifest
from core.views import CompiledView
from serving_layer.ports import Bucketed, Index, IndexBroken

__all__ = ["LmdbIndex"]


class LmdbIndex(Index):
    """The files that a manifest names: for each view as many as its keys are spread over.

    Raises `IndexBroken` unless every file is there and has the manifest's checksum.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        _verify(folder, manifest)
        self._manifest = manifest
        self._files = {name: _open(folder / name) for name in manifest.index}
        self._partitions = Counter(name.partition("/")[0] for name in manifest.index)

    def read(self, view: CompiledView, key: str, runs: Sequence[Run]) -> list[Bucketed]:
        unpack, file = view.codec.unpack, self._holding(view.name, key)
        try:
            return [
                (bucket, unpack(value, at)) for run in runs for bucket, value, at in _walk(file, key, run)
            ]
        except (lmdb.Error, ValueError, IndexError) as error:
            raise IndexBroken(
                f"the index of view {view.name!r}, version {self._manifest.version}: {error}"
            ) from error

    def _holding(self, view: str, key: str) -> lmdb.Transaction:
        partitions = self._partitions.get(view, 0)
        if not partitions:  # a publish names every part of every view, empty ones as well
            raise IndexBroken(f"version {self._manifest.version} holds no view {view!r}: publish again")
        return self._files[f"{view}/{index_partition(key, partitions)}.mdb"]


def _verify(folder: Path, manifest: Manifest) -> None:
    for name, wanted in manifest.index.items():
        path = folder / name
        if not path.is_file():
            raise IndexBroken(f"{path} is missing: restore the file, or publish again")
        found = _sha256(path)
        if found != wanted:
            raise IndexBroken(
                f"{path} has checksum {found[:12]}…, its manifest says {wanted[:12]}…: "
                "restore the file, or publish again"
            )


def _open(path: Path) -> lmdb.Transaction:
    try:
        environment = lmdb.open(
            str(path),
            subdir=False,
            readonly=True,
            lock=False,
            readahead=False,
            create=False,
            max_spare_txns=0,
        )
        return environment.begin(buffers=True)
    except lmdb.Error as error:
        raise IndexBroken(f"{path} is no index: {error}; restore the file, or publish again") from error


def _walk(file: lmdb.Transaction, key: str, run: Run) -> Iterator[tuple[int, bytes | memoryview, int]]:
    """Bucket, value and the offset of the packed partial in it, for every tile of a run that is there."""
    last = index_key(key, run.width, run.end)
    with file.cursor() as cursor:
        if not cursor.set_range(index_key(key, run.width, run.start)):
            return
        for found, value in cursor.iternext():
            raw = bytes(found)
            if raw >= last:
                return
            at = unframe(value, key)
            if at is not None:
                yield index_bucket(raw), value, at


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
