"""The index of one version: LMDB files that Spark tasks built, mapped read-only.

A file is never written again: no locks are taken, and one read transaction lasts as long as the file is open.
Environments close when nobody holds the index any more: a request keeps what it began with.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from heapq import merge
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TypeVar
from weakref import WeakValueDictionary

import lmdb

from core.buckets import Run
from core.chain_index import chains_in
from core.chains import CHAINS_FOLDER, Chain, chain_file
from core.durability import sha256_of
from core.index_values import unframe
from core.keys import index_bucket, index_key, index_partition
from core.layout import VISITS
from core.manifest import Manifest
from core.measures import Partial
from core.resolutions import FILE, Alone, Resolution, open_resolution
from core.views import CompiledView
from core.visit_index import newest_visits
from core.visits import Visit, Visits
from serving_layer.index_keys import keys_within
from serving_layer.ports import Bucketed, Index, IndexBroken, Listed

__all__ = ["LmdbIndex", "open_index"]

Found = TypeVar("Found")
Unpack = Callable[[bytes | memoryview, int], Partial]


class LmdbIndex(Index):
    """The files that a manifest names: for each view as many as its keys are spread over.

    Raises `IndexBroken` unless every file is there and has the manifest's checksum.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        names = _names(manifest)
        _verify(folder, manifest, names)
        self._folder, self._manifest = folder, manifest
        self._files = {name: _open(folder / name) for name in names if name != FILE}
        self._persons = open_resolution(folder / FILE) if FILE in manifest.index else Alone()
        self._partitions = Counter(name.partition("/")[0] for name in names)

    def read(self, view: CompiledView, key: str, runs: Sequence[Run]) -> list[Bucketed]:
        unpack, file = view.codec.unpack, self._holding(view.name, key)

        def tiles() -> list[Bucketed]:
            with file.cursor() as cursor:
                return _tiles(cursor, key, runs, unpack)

        return self._sound(view, tiles)

    def read_many(
        self, view: CompiledView, keys: Collection[str], runs: Sequence[Run]
    ) -> dict[str, list[Bucketed]]:
        unpack, files = view.codec.unpack, self._parts(view.name)
        parts: list[list[str]] = [[] for _ in files]
        for key in keys:
            parts[index_partition(key, len(files))].append(key)

        def tiles() -> dict[str, list[Bucketed]]:
            found = dict[str, list[Bucketed]]()
            for file, part in zip(files, parts, strict=True):
                with file.cursor() as cursor:
                    found |= {key: _tiles(cursor, key, runs, unpack) for key in sorted(part)}
            return found

        return self._sound(view, tiles)

    def keys(self, view: CompiledView, prefix: str, after: bytes | None, most: int) -> list[Listed]:
        walks = [keys_within(file, prefix, after) for file in self._parts(view.name)]
        return self._sound(view, lambda: list(islice(merge(*walks, key=lambda found: found[0]), most)))

    @property
    def persons(self) -> Resolution:
        return self._persons

    def visits(self, declared: Visits, users: Iterable[str]) -> Mapping[str, Visit]:
        files = self._parts(VISITS)
        return newest_visits(declared, users, len(files), files.__getitem__)

    def chains(self, digests: Iterable[bytes]) -> Mapping[bytes, Chain]:
        return chains_in(self._chains, digests)

    @cached_property
    def _chains(self) -> list[lmdb.Transaction]:
        names = [name for name in self._manifest.index if name.startswith(f"{CHAINS_FOLDER}/")]
        if not names:
            raise IndexBroken(f"version {self._manifest.version} holds no chains of events: publish again")
        _verify(self._folder, self._manifest, names)
        return [_open(self._folder / CHAINS_FOLDER / chain_file(number)) for number in range(len(names))]

    def _sound(self, view: CompiledView, read: Callable[[], Found]) -> Found:
        try:
            return read()
        except (lmdb.Error, ValueError, IndexError) as error:
            raise IndexBroken(
                f"the index of view {view.name!r}, version {self._manifest.version}: {error}"
            ) from error

    def _holding(self, view: str, key: str) -> lmdb.Transaction:
        files = self._parts(view)
        return files[index_partition(key, len(files))]

    def _parts(self, view: str) -> list[lmdb.Transaction]:
        partitions = self._partitions.get(view, 0)
        if not partitions:  # a publish names every part of every view, empty ones as well
            raise IndexBroken(f"version {self._manifest.version} holds no view {view!r}: publish again")
        return [self._files[f"{view}/{number}.mdb"] for number in range(partitions)]


def open_index(folder: Path, manifest: Manifest) -> LmdbIndex:
    """The index of a version, one in a process as long as somebody holds it: LMDB opens no file twice.

    Raises `IndexBroken`.
    """
    with _TURN:
        found = _OPEN.get(folder)
        if found is None or found._manifest != manifest:
            found = _OPEN[folder] = LmdbIndex(folder, manifest)
        return found


_TURN = Lock()
_OPEN: WeakValueDictionary[Path, LmdbIndex] = WeakValueDictionary()


def _names(manifest: Manifest) -> list[str]:
    """The files of views. Those of events, which may be larger, are opened when the past is asked for."""
    return [name for name in manifest.index if not name.startswith(f"{CHAINS_FOLDER}/")]


def _verify(folder: Path, manifest: Manifest, names: Iterable[str]) -> None:
    for name in names:
        path, wanted = folder / name, manifest.index[name]
        if not path.is_file():
            raise IndexBroken(f"{path} is missing: restore the file, or publish again")
        found = sha256_of(path)
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


def _tiles(cursor: lmdb.Cursor, key: str, runs: Sequence[Run], unpack: Unpack) -> list[Bucketed]:
    return [(bucket, unpack(value, at)) for run in runs for bucket, value, at in _walk(cursor, key, run)]


def _walk(cursor: lmdb.Cursor, key: str, run: Run) -> Iterator[tuple[int, bytes | memoryview, int]]:
    """Bucket, value and the offset of the packed partial in it, for every tile of a run that is there."""
    last = index_key(key, run.width, run.end)
    if not cursor.set_range(index_key(key, run.width, run.start)):
        return
    for found, value in cursor.iternext():
        raw = bytes(found)
        if raw >= last:
            return
        at = unframe(value, key)
        if at is not None:
            yield index_bucket(raw), value, at
