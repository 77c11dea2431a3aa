"""The fields of the speed state, each with its segment: what an explanation shows, and answers merge."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from core.handoff import Generation
from core.keys import shard_of
from core.layout import Layout, container_width, parse_field, unseal
from core.measures import Partial
from core.views import CompiledView
from serving_layer.pipes import Command, Pipe
from serving_layer.ports import SpeedReading, SpeedSilent
from serving_layer.vouchers import current_generation, ends_asked, in_use, reading_of, stamped, vouchers_asked

__all__ = ["Asked", "Field", "RedisSpeedFields", "SpeedFields"]

_TRIES = 3


class Field(NamedTuple):
    """A bucket of a segment, and what it holds."""

    segment: int
    bucket: int
    partial: Partial


@dataclass(frozen=True)
class Asked:
    """A key of a view, buckets in [start, end) seconds, segments from `boundary` on."""

    view: CompiledView
    key: str
    start: int
    end: int
    boundary: int


class SpeedFields(ABC):
    """The speed state of one source, field by field."""

    @abstractmethod
    async def read(self, asked: Asked) -> tuple[SpeedReading, Sequence[Field] | None]:
        """The fields in order, None where there are none that could be read; raises `SpeedSilent`."""


class RedisSpeedFields(SpeedFields):
    """Reads what vouches for the state first, and the stamps last, as questions do; it remembers nothing."""

    def __init__(self, layout: Layout, pipe: Pipe, semantics: str) -> None:
        self._layout, self._pipe, self._semantics = layout, pipe, semantics

    async def read(self, asked: Asked) -> tuple[SpeedReading, Sequence[Field] | None]:
        for _ in range(_TRIES):
            generation = await current_generation(self._pipe, self._layout)
            if generation is None:
                return SpeedReading(), None
            found = await self._read(generation, asked)
            if found is not None:
                return found
        raise SpeedSilent("the speed state changed each time it was read: ask again")

    async def _read(
        self, generation: Generation, asked: Asked
    ) -> tuple[SpeedReading, Sequence[Field] | None] | None:
        """None if another generation took the place of this one meanwhile."""
        layout, shard = self._layout, shard_of(asked.view.name, asked.key, generation.shards)
        registry = layout.containers(generation.id, asked.view.name)
        *vouchers, containers = await self._pipe.execute([
            *vouchers_asked(layout, generation),
            ("ZRANGEBYSCORE", registry, asked.boundary, "+inf"),
        ])  # fmt: skip
        reading = reading_of(generation, *vouchers)
        if generation.semantics != self._semantics:
            # its bytes have another layout: whoever runs those definitions can read them, we cannot
            return reading, None
        hashes: list[Command] = [
            ("HGETALL", layout.fields(generation.id, shard, asked.view.name, at, asked.key))
            for at in sorted(map(int, containers))
            if at < asked.end and asked.start < at + container_width(asked.view.width)
        ]
        ends = ends_asked(layout, generation, [shard])
        *held, stamps, current = await self._pipe.execute([*hashes, *ends])
        if not in_use(generation, current):
            return None
        fields = sorted(_fields(held, asked), key=lambda field: field[:2])
        buckets = [(field.bucket, field.partial) for field in fields]
        return replace(stamped(reading, [stamps]), buckets=buckets, fields=len(fields)), fields


def _fields(held: Sequence[Any], asked: Asked) -> Iterator[Field]:
    for flat in held:
        for name, value in zip(flat[::2], flat[1::2], strict=True):
            segment, bucket = parse_field(name)
            if segment >= asked.boundary and asked.start <= bucket < asked.end:
                yield Field(segment, bucket, asked.view.codec.unpack(unseal(value)[1]))
