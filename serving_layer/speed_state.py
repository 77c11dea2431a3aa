"""The speed state of a source in Redis, read for one key in one pipeline.

The order of the commands is what makes an answer right while the job writes:

    lease, progress         first: whatever they vouch for is in the fields that are read after them
    containers, fields
    stamp, current          last: no segment at or beyond the stamp's floor was dropped before the fields were
                            read, and a generation that is current now was so all the time
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.handoff import FORMAT, Generation, Lease, Progress
from core.keys import shard_of
from core.layout import Layout, container_width, parse_field, unseal
from core.views import CompiledView
from serving_layer.pipes import Command, Pipe
from serving_layer.ports import Bucketed, SpeedReading, SpeedSilent, SpeedStore

__all__ = ["RedisSpeedStore"]

_TRIES = 3


@dataclass(frozen=True)
class _Fields:
    """Which fields of a key are asked for."""

    view: CompiledView
    key: str
    start: int
    end: int
    boundary: int


class RedisSpeedStore(SpeedStore):
    """Remembers the generation and the containers of each view; a pipeline says whether that still holds."""

    def __init__(self, layout: Layout, pipe: Pipe, semantics: str) -> None:
        self._layout, self._pipe, self._semantics = layout, pipe, semantics
        self._generation: Generation | None = None
        self._containers: dict[str, frozenset[int]] = {}

    async def state(self) -> SpeedReading:
        generation = await self._current()
        if generation is None:
            return SpeedReading()
        lease, progress = await self._pipe.execute(self._vouchers(generation))
        return _reading(generation, lease, progress)

    async def read(self, view: CompiledView, key: str, span: tuple[int, int], boundary: int) -> SpeedReading:
        wanted = _Fields(view, key, *span, boundary)
        for _ in range(_TRIES):
            generation = self._generation or await self._current()
            if generation is None:
                return SpeedReading()
            if generation.semantics != self._semantics:
                # its bytes have another layout: whoever runs those definitions can read them, we cannot
                self._generation = None
                return (await self.state()) if generation.format == FORMAT else SpeedReading()
            reading = await self._read(generation, wanted)
            if reading is not None:
                return reading
        raise SpeedSilent("the speed state changed each time it was read: ask again")

    async def _read(self, generation: Generation, wanted: _Fields) -> SpeedReading | None:
        """None if what we remember no longer holds: then it was forgotten, and the next try reads it anew."""
        known = self._containers.get(wanted.view.name, frozenset())
        chosen = _within(known, wanted)
        shard = shard_of(wanted.view.name, wanted.key, generation.shards)
        lease, progress, registry, *fields, stamp, current = await self._pipe.execute(
            [*self._vouchers(generation), self._registry(generation, wanted),
             *(("HGETALL", self._fields(generation, shard, wanted, at)) for at in chosen),
             ("HMGET", self._layout.stamp(generation.id, shard), "batch", "floor"),
             ("GET", self._layout.current())]
        )  # fmt: skip
        if current is None or current.decode() != generation.id:
            self._forget()
            return None
        found = frozenset(int(start) for start in registry)
        self._containers[wanted.view.name] = found
        if _within(found, wanted) != chosen:
            return None
        return _reading(generation, lease, progress, stamp, _buckets(wanted, fields), fields)

    def _fields(self, generation: Generation, shard: int, wanted: _Fields, container: int) -> str:
        return self._layout.fields(generation.id, shard, wanted.view.name, container, wanted.key)

    def _vouchers(self, generation: Generation) -> list[Command]:
        return [("GET", self._layout.of(generation.id, what)) for what in ("lease", "progress")]

    def _registry(self, generation: Generation, wanted: _Fields) -> Command:
        return ("SMEMBERS", self._layout.containers(generation.id, wanted.view.name))

    async def _current(self) -> Generation | None:
        (name,) = await self._pipe.execute([("GET", self._layout.current())])
        if name is None:
            return None
        (meta,) = await self._pipe.execute([("GET", self._layout.of(name.decode(), "meta"))])
        self._forget()
        self._generation = None if meta is None else _generation(orjson.loads(meta))
        return self._generation

    def _forget(self) -> None:
        self._generation = None
        self._containers = {}


def _generation(meta: Mapping[str, Any]) -> Generation:
    if meta.get("format") != FORMAT:
        raise SpeedSilent(f"the speed state has format {meta.get('format')!r}, this API reads {FORMAT}")
    return Generation.from_json(meta)


def _within(containers: Iterable[int], wanted: _Fields) -> list[int]:
    width = container_width(wanted.view.width)
    return sorted(at for at in containers if wanted.start < at + width and at < wanted.end)


def _buckets(wanted: _Fields, hashes: Sequence[Any]) -> list[Bucketed]:
    found, unpack = list[Bucketed](), wanted.view.codec.unpack
    for name, value in _pairs(hashes):
        segment, bucket = parse_field(name)
        if segment >= wanted.boundary and wanted.start <= bucket < wanted.end:
            found.append((bucket, unpack(unseal(value)[1])))
    return found


def _pairs(hashes: Sequence[Any]) -> Iterable[tuple[bytes, bytes]]:
    for flat in hashes:
        yield from zip(flat[::2], flat[1::2], strict=True)


def _reading(
    generation: Generation,
    lease: bytes | None,
    progress: bytes | None,
    stamp: Sequence[bytes | None] = (),
    buckets: Sequence[Bucketed] | None = None,
    hashes: Sequence[Any] = (),
) -> SpeedReading:
    consumed = Progress.from_json(orjson.loads(progress)) if progress else None
    batch, floor = (None if value is None else int(value) for value in stamp or (None, None))
    return SpeedReading(
        generation=generation,
        progress=consumed,
        lease=Lease(**orjson.loads(lease)) if lease else None,
        stamps=(batch,) if stamp else (),
        floor=max(floor or 0, consumed.floor if consumed else 0),
        buckets=buckets,
        fields=sum(len(flat) // 2 for flat in hashes),
    )
