"""A published index and a speed state made by hand, of the partials one has: for benchmarks and tests."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lmdb

from core.buckets import floor
from core.folders import Folders
from core.handoff import Generation, Lease, Progress
from core.index_values import frame
from core.keys import index_key, index_partition, shard_of
from core.layout import Layout, container_width, field_name, seal
from core.manifest import Manifest, Pointer
from core.measures import Partial
from core.views import CompiledView

__all__ = [
    "Buckets",
    "Fields",
    "manifest_of",
    "publish",
    "publish_index",
    "speed_commands",
    "tiles",
    "write_index",
    "write_view",
]

Buckets = Mapping[tuple[str, int], Partial]  # (key's text, bucket) -> partial
Fields = Mapping[tuple[str, int, int], Partial]  # (key's text, segment, bucket) -> partial
Command = tuple[Any, ...]
MAP_SIZE = 1 << 30


def tiles(view: CompiledView, buckets: Buckets) -> Iterable[tuple[str, int, int, Partial]]:
    """Key, width, start and partial of every tile."""
    finer: Buckets = buckets
    for width in view.tiles:
        groups: dict[tuple[str, int], list[Partial]] = {}
        for (key, bucket), partial in finer.items():
            groups.setdefault((key, floor(bucket, width)), []).append(partial)
        finer = {place: view.merge_all(partials) for place, partials in groups.items()}
        yield from ((key, width, bucket, partial) for (key, bucket), partial in finer.items())


def write_index(
    folder: Path, views: Iterable[tuple[CompiledView, Buckets]], partitions: int = 2
) -> dict[str, str]:
    """LMDB files as the batch layer makes them; the checksum of each by its path below `folder`."""
    found = dict[str, str]()
    for view, buckets in views:
        made, pack = tiles(view, buckets), view.codec.pack
        packed = ((key, width, bucket, pack(partial)) for key, width, bucket, partial in made)
        found |= write_view(folder, view.name, packed, partitions)
    return found


def write_view(
    folder: Path, view: str, packed: Iterable[tuple[str, int, int, bytes]], partitions: int = 2
) -> dict[str, str]:
    """The files of one view, of key, width, start and packed partial of its tiles; as `write_index`."""
    parts: list[dict[bytes, bytes]] = [{} for _ in range(partitions)]
    for key, width, bucket, value in packed:
        parts[index_partition(key, partitions)][index_key(key, width, bucket)] = frame(key, value)
    names = [f"{view}/{number}.mdb" for number in range(partitions)]
    return {name: _write(folder / name, entries) for name, entries in zip(names, parts, strict=True)}


def _write(path: Path, entries: Mapping[bytes, bytes]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(path), subdir=False, map_size=MAP_SIZE, lock=False) as environment:
        with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(sorted(entries.items()), append=True)
        environment.sync(True)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_of(source: str, semantics: str, boundary: int, version: int = 1) -> Manifest:
    """A manifest that names no index yet."""
    return Manifest(
        version, source, boundary, {0: boundary * 100}, "cluster", "topic", 1, semantics,
        created_at="2015-09-13T00:00:00+00:00",
    )  # fmt: skip


def publish(
    folders: Folders, manifest: Manifest, views: Iterable[tuple[CompiledView, Buckets]], kind: str = "publish"
) -> Pointer:
    """Write index, manifest and pointer of one version."""
    return publish_index(folders, manifest, write_index(folders.index(manifest.version), views), kind)


def publish_index(
    folders: Folders, manifest: Manifest, index: dict[str, str], kind: str = "publish"
) -> Pointer:
    """Write manifest and pointer of a version whose index files are there; `index` are their checksums."""
    manifest, publications = replace(manifest, index=index), folders.publications()
    publications.manifests.append(manifest.version, manifest.entry())
    return publications.publish(manifest, publications.current(), kind, manifest.created_at)


def speed_commands(
    layout: Layout,
    generation: Generation,
    progress: Progress,
    lease: Lease | None,
    views: Iterable[tuple[CompiledView, Fields]],
) -> Iterable[Command]:
    """Redis commands that write a speed state as the speed layer does."""
    for view, fields in views:
        yield from _field_commands(layout, generation, progress.batch, view, fields)
    for shard in range(generation.shards):
        stamp = layout.stamp(generation.id, shard)
        yield ("HSET", stamp, "batch", progress.batch, "floor", progress.floor)
    yield ("SET", layout.of(generation.id, "meta"), json.dumps(generation.to_json()))
    yield ("SET", layout.of(generation.id, "progress"), json.dumps(progress.to_json()))
    if lease:
        yield ("SET", layout.of(generation.id, "lease"), json.dumps(asdict(lease)))
    yield ("SET", layout.current(), generation.id)


def _field_commands(
    layout: Layout, generation: Generation, batch: int, view: CompiledView, fields: Fields
) -> Iterable[Command]:
    for (key, segment, bucket), partial in fields.items():
        shard, container = (
            shard_of(view.name, key, generation.shards),
            floor(bucket, container_width(view.width)),
        )
        yield ("ZADD", layout.containers(generation.id, view.name), "GT", segment, container)
        name = layout.fields(generation.id, shard, view.name, container, key)
        head = len(layout.shard(generation.id, shard)) + len(":f:")
        yield ("SADD", layout.touched(generation.id, shard, segment), name[head:])
        yield ("HSET", name, field_name(segment, bucket), seal(batch, view.codec.pack(partial)))
