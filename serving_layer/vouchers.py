"""What a speed state says of itself: its generation, how far it has come, who vouches for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from core.handoff import FORMAT, Generation, Lease, Progress
from serving_layer.ports import SpeedReading, SpeedSilent

__all__ = ["generation_of", "reading_of", "stamped"]


def generation_of(meta: Mapping[str, Any]) -> Generation:
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
