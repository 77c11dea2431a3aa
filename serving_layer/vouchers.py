"""What a speed state says of itself: its generation, how far it has come, who vouches for it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from core.handoff import FORMAT, Generation, Lease, Progress
from core.layout import Layout
from serving_layer.pipes import Command, Pipe
from serving_layer.ports import SpeedReading, SpeedSilent

__all__ = [
    "current_generation",
    "ends_asked",
    "in_use",
    "reading_of",
    "stamped",
    "vouchers_asked",
]


async def current_generation(pipe: Pipe, layout: Layout) -> Generation | None:
    """The generation that readers use, read now. Raises `SpeedSilent`."""
    (name,) = await pipe.execute([("GET", layout.current())])
    if name is None:
        return None
    (meta,) = await pipe.execute([("GET", layout.of(name.decode(), "meta"))])
    return None if meta is None else _generation_of(orjson.loads(meta))


def vouchers_asked(layout: Layout, generation: Generation) -> list[Command]:
    """What is asked before any field; `reading_of` takes the replies."""
    return [("GET", layout.of(generation.id, what)) for what in ("condemned", "lease", "progress")]


def ends_asked(layout: Layout, generation: Generation, shards: Collection[int]) -> list[Command]:
    """What is asked after all fields: what each shard holds, for `stamped`; for `in_use` the generation."""
    stamps = [("HMGET", layout.stamp(generation.id, shard), "batch", "floor") for shard in shards]
    return [*stamps, ("GET", layout.current())]


def in_use(generation: Generation, current: bytes | None) -> bool:
    """Whether readers still used `generation` when the last of `ends_asked` was answered."""
    return current is not None and current.decode() == generation.id


def _generation_of(meta: Mapping[str, Any]) -> Generation:
    """Raises `SpeedSilent` where its state has a format that this release cannot read."""
    if meta.get("format") != FORMAT:
        raise SpeedSilent(f"the speed state has format {meta.get('format')!r}, this API reads {FORMAT}")
    return Generation.from_json(meta)


def reading_of(
    generation: Generation, condemned: bytes | None, lease: bytes | None, progress: bytes | None
) -> SpeedReading:
    """Without fields, and without stamps."""
    consumed = Progress.from_json(orjson.loads(progress)) if progress else None
    return SpeedReading(
        generation=generation,
        progress=consumed,
        lease=Lease(**orjson.loads(lease)) if lease else None,
        floor=consumed.floor if consumed else 0,
        condemned=condemned.decode() if condemned else None,
    )


def stamped(reading: SpeedReading, stamps: Iterable[Sequence[bytes | None]]) -> SpeedReading:
    """With what the shards say they hold."""
    held = [(batch, int(floor or 0)) for batch, floor in stamps]
    return replace(
        reading,
        stamps=tuple(None if batch is None else int(batch) for batch, _ in held),
        floor=max(reading.floor, *(floor for _, floor in held)),
    )
