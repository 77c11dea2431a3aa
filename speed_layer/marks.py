"""Dedupe marks: event id -> the position of the copy that counts, for some segments of the log.

A copy counts if the mark holds its own position, so that a replay knows what it marked itself. A block is the
marks of `window` neighbouring segments; a look-up reads two, so a copy is known for one to two windows.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from core.layout import Layout, event_digest, mark_shard
from speed_layer.faults import naming
from speed_layer.scripts import MARK, Fence, run, unpacked

__all__ = ["Marks", "position"]

_POSITION = struct.Struct("<IQ")
_CHUNK = 1000


def position(partition: int, offset: int) -> bytes:
    """A place in the log, in 12 bytes."""
    return _POSITION.pack(partition, offset)


@dataclass
class _Chunk:
    shard: int
    block: int
    places: list[int] = field(default_factory=list)
    items: list[bytes | int] = field(default_factory=list)


@dataclass(frozen=True)
class Marks:
    """The marks of one generation, as one micro-batch sets them, that of `fence`."""

    client: Redis
    layout: Layout
    generation: str
    fence: Fence
    shards: int
    window: int

    def duplicates(
        self, ids: Sequence[str], segments: Sequence[int], partition: int, offsets: Sequence[int]
    ) -> list[int]:
        """The places in `ids` of events that are copies of an event at another position.

        Events are given in the order of the log, for of copies never seen the first one given counts.
        Raises `RedisAway`, `RedisFull`, `StateLost` or `Superseded`.
        """
        chunks = self._chunks(ids, segments, partition, offsets)
        with naming():
            answers = run(self.client, MARK, [self._call(chunk) for chunk in chunks])
        return sorted(
            chunk.places[at] for chunk, answer in zip(chunks, answers, strict=True) for at in answer
        )

    def _chunks(
        self, ids: Sequence[str], segments: Sequence[int], partition: int, offsets: Sequence[int]
    ) -> list[_Chunk]:
        done: list[_Chunk] = []
        open_: dict[tuple[int, int], _Chunk] = {}
        for place, (event_id, segment, offset) in enumerate(zip(ids, segments, offsets, strict=True)):
            digest = event_digest(event_id)
            where = mark_shard(digest, self.shards), segment // self.window
            chunk = open_.get(where)
            if chunk is None or len(chunk.places) == _CHUNK:
                chunk = open_[where] = _Chunk(*where)
                done.append(chunk)
            chunk.places.append(place)
            chunk.items += (digest, position(partition, offset))
        return done

    def _call(self, chunk: _Chunk) -> tuple[list[Any], list[Any]]:
        stamp = self.layout.stamp(self.generation, chunk.shard)
        blocks = [self.layout.marks(self.generation, chunk.shard, chunk.block - back) for back in (0, 1)]
        return [stamp, *blocks], [*self.fence.arguments, unpacked(chunk.items)]
