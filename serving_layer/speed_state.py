"""The speed state of a source in Redis, read for one key in one pipeline.

The order of the commands is what makes an answer right while the job writes:

    condemned, lease, progress
                            first: whatever they vouch for is in the fields that are read after them
    containers, touched, fields
    stamp, current          last: no segment at or beyond the stamp's floor was dropped before the fields were
                            read, and a generation that is current now was so all the time
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from core.cuts import Cut
from core.handoff import FORMAT, Generation, Lease, Progress
from core.layout import Layout
from core.periods import Periods
from core.views import CompiledView
from serving_layer.closed import ClosedSegments, closed_segments
from serving_layer.key_reading import KeyReading, Wanted
from serving_layer.pipes import Command, Pipe
from serving_layer.ports import SpeedReading, SpeedSilent, SpeedStore

__all__ = ["RedisSpeedStore"]

_TRIES = 5


class RedisSpeedStore(SpeedStore):
    """Remembers the generation and the containers of each view; a pipeline says whether that still holds."""

    def __init__(
        self, layout: Layout, pipe: Pipe, semantics: str, cuts: Callable[[], Sequence[Cut]] = tuple
    ) -> None:
        self._layout, self._pipe, self._semantics, self._cuts = layout, pipe, semantics, cuts
        self._generation: Generation | None = None
        self._containers: dict[str, frozenset[int]] = {}
        self._newest = 0
        self._closed = ClosedSegments()

    async def state(self) -> SpeedReading:
        generation = await self._current()
        if generation is None:
            return SpeedReading()
        following: Command = ("GET", self._layout.following())
        *vouchers, name = await self._pipe.execute([*self._vouchers(generation), following])
        reading = _reading(generation, *vouchers)
        return reading if name is None else replace(reading, successor=await self._successor(name.decode()))

    async def _successor(self, generation: str) -> tuple[str, Progress | None]:
        (progress,) = await self._pipe.execute([("GET", self._layout.of(generation, "progress"))])
        return generation, Progress.from_json(orjson.loads(progress)) if progress else None

    async def read(
        self,
        view: CompiledView,
        key: str,
        span: tuple[int, int],
        boundary: int,
        every: Periods | None = None,
    ) -> SpeedReading:
        wanted = Wanted(view, key, *span, boundary, every)
        for _ in range(_TRIES):
            generation = self._generation or await self._current()
            if generation is None:
                return SpeedReading()
            if generation.semantics != self._semantics:
                # its bytes have another layout: whoever runs those definitions can read them, we cannot
                self._generation = None
                return await self.state()
            reading = await self._read(generation, wanted)
            if reading is not None:
                return reading
        raise SpeedSilent("the speed state changed each time it was read: ask again")

    async def _read(self, generation: Generation, wanted: Wanted) -> SpeedReading | None:
        """None if what we remember no longer holds: then it was forgotten, and the next try reads it anew."""
        chosen = wanted.within(self._containers.get(wanted.view.name, frozenset()))
        one = KeyReading(self._layout, generation, wanted, chosen, self._closed, self._newest)
        condemned, lease, progress, registry, *fields, stamp, current = await self._pipe.execute(
            [*self._vouchers(generation), self._registry(generation, wanted), *one.commands(),
             ("HMGET", self._layout.stamp(generation.id, one.shard), "batch", "floor"),
             ("GET", self._layout.current())]
        )  # fmt: skip
        if current is None or current.decode() != generation.id:
            self._forget()
            return None
        reading = _reading(generation, condemned, lease, progress, stamp)
        if not self._remembered(wanted, registry, reading.progress, chosen):
            return None
        buckets = one.settle(fields, closed_segments(self._cuts(), reading.progress))
        return None if buckets is None else replace(reading, buckets=buckets, fields=one.fields)

    def _remembered(
        self, wanted: Wanted, registry: Sequence[bytes], progress: Progress | None, chosen: list[int]
    ) -> bool:
        """Whether the containers and the newest segment were those we thought; from now on they are."""
        found, newest = frozenset(map(int, registry)), progress.cuts if progress else 0
        same = wanted.within(found) == chosen and newest <= self._newest
        self._containers[wanted.view.name], self._newest = found, newest
        return same

    def _vouchers(self, generation: Generation) -> list[Command]:
        return [("GET", self._layout.of(generation.id, what)) for what in ("condemned", "lease", "progress")]

    def _registry(self, generation: Generation, wanted: Wanted) -> Command:
        """The containers that hold a segment from the boundary on, or did a moment ago."""
        name = self._layout.containers(generation.id, wanted.view.name)
        return ("ZRANGEBYSCORE", name, wanted.boundary, "+inf")

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
        self._closed.clear()


def _generation(meta: Mapping[str, Any]) -> Generation:
    if meta.get("format") != FORMAT:
        raise SpeedSilent(f"the speed state has format {meta.get('format')!r}, this API reads {FORMAT}")
    return Generation.from_json(meta)


def _reading(
    generation: Generation,
    condemned: bytes | None,
    lease: bytes | None,
    progress: bytes | None,
    stamp: Sequence[bytes | None] = (),
) -> SpeedReading:
    consumed = Progress.from_json(orjson.loads(progress)) if progress else None
    batch, floor = (None if value is None else int(value) for value in stamp or (None, None))
    return SpeedReading(
        generation=generation,
        progress=consumed,
        lease=Lease(**orjson.loads(lease)) if lease else None,
        stamps=(batch,) if stamp else (),
        floor=max(floor or 0, consumed.floor if consumed else 0),
        condemned=condemned.decode() if condemned else None,
    )
