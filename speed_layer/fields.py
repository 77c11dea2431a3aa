"""The fenced merge into Redis: a micro-batch writes each field once, however often it is tried."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from redis import Redis

from core.buckets import floor
from core.faults import reach
from core.layout import Layout, container_width, field_name, seal, unseal
from core.packing import Codec, fold
from speed_layer.faults import naming
from speed_layer.plan import ViewPlan
from speed_layer.scripts import NAME, PUT, REPLACE, Fence, run, unpacked

__all__ = ["FieldWriter", "Partial"]

_CHUNK = 500


class Partial(NamedTuple):
    """One group's packed partial; `view` is the number of a view in the plan."""

    shard: int
    view: int
    key: str
    segment: int
    bucket: int
    packed: bytes


@dataclass
class _Chunk:
    """Fields of one shard and one segment that go in one script."""

    shard: int
    segment: int
    hashes: dict[bytes, int] = field(default_factory=dict)
    rows: list[tuple[int, bytes, int, bytes]] = field(default_factory=list)  # hash, field, view, packed

    def add(self, key: bytes, name: bytes, view: int, packed: bytes) -> None:
        place = self.hashes.setdefault(key, len(self.hashes))
        self.rows.append((place, name, view, packed))


@dataclass
class FieldWriter:
    """Writes the partials of one micro-batch of a generation, that of `fence`."""

    client: Redis
    layout: Layout
    generation: str
    fence: Fence
    views: Sequence[ViewPlan]
    codecs: list[Codec] = field(init=False)

    def __post_init__(self) -> None:
        self.codecs = [view.codec for view in self.views]

    def write(self, partials: Iterable[Partial]) -> tuple[int, int]:
        """How many fields there were, and how many of them were merged with older ones.

        Raises `RedisAway`, `RedisFull`, `StateLost` or `Superseded`; then any part may have been written, and
        all of it may be tried again.
        """
        whole = list(self._one_a_field(partials))
        chunks = list(self._chunks(whole))
        with naming():
            self._name_containers(whole)
            answers = run(self.client, PUT, [self._put(chunk) for chunk in chunks])
            reach("speed.fields.within")
            older = [(chunk, answer) for chunk, answer in zip(chunks, answers, strict=True) if answer]
            run(self.client, REPLACE, [self._replace(chunk, answer) for chunk, answer in older])
        return len(whole), sum(len(answer) // 2 for _, answer in older)

    def _one_a_field(self, partials: Iterable[Partial]) -> Iterator[Partial]:
        """Tasks that read different partitions of the log bring parts of one field."""
        found: dict[tuple[int, str, int, int], list[Partial]] = {}
        for partial in partials:
            found.setdefault(partial[1:5], []).append(partial)
        for parts in found.values():
            if len(parts) == 1:
                yield parts[0]
            else:
                yield parts[0]._replace(packed=self._merged(parts[0].view, [part.packed for part in parts]))

    def _merged(self, view: int, packed: Sequence[bytes]) -> bytes:
        codec = self.codecs[view]
        return codec.pack(fold(self.views[view].measures, [codec.unpack(part) for part in packed]))

    def _chunks(self, partials: Iterable[Partial]) -> Iterator[_Chunk]:
        open_: dict[tuple[int, int], _Chunk] = {}
        steps = [container_width(view.width) for view in self.views]
        for shard, view, key, segment, bucket, packed in partials:
            chunk = open_.setdefault((shard, segment), _Chunk(shard, segment))
            container = floor(bucket, steps[view])
            name = self.layout.fields(self.generation, shard, self.views[view].name, container, key)
            chunk.add(name.encode(), field_name(segment, bucket), view, packed)
            if len(chunk.rows) == _CHUNK:
                yield open_.pop((shard, segment))
        yield from open_.values()

    def _name_containers(self, partials: Iterable[Partial]) -> None:
        """Before the fields: readers look here for what there is, and for the newest segment in it."""
        steps = [container_width(view.width) for view in self.views]
        found: dict[int, dict[int, int]] = {}
        for _, view, _, segment, bucket, _ in partials:
            newest, container = found.setdefault(view, {}), floor(bucket, steps[view])
            newest[container] = max(segment, newest.get(container, segment))
        calls = [self._name(view, some) for view, newest in found.items() for some in _pieces(newest)]
        run(self.client, NAME, calls)

    def _name(self, view: int, newest: Sequence[tuple[int, int]]) -> tuple[list[Any], list[Any]]:
        texts = (str(number).encode() for container, segment in newest for number in (segment, container))
        keys = [
            self.layout.of(self.generation, "writer"),
            self.layout.containers(self.generation, self.views[view].name),
        ]
        return keys, [self.fence.token, unpacked(texts)]

    def _keys(self, chunk: _Chunk) -> list[Any]:
        return [self.layout.stamp(self.generation, chunk.shard), *chunk.hashes]

    def _fence(self) -> list[Any]:
        return [*self.fence.arguments, seal(self.fence.batch, b"")]

    def _put(self, chunk: _Chunk) -> tuple[list[Any], list[Any]]:
        stamp, *hashes = self._keys(chunk)
        touched = self.layout.touched(self.generation, chunk.shard, chunk.segment)
        head = len(self.layout.shard(self.generation, chunk.shard)) + len(":f:")
        rows = (
            item
            for place, name, _, packed in chunk.rows
            for item in (place, name, seal(self.fence.batch, packed))
        )
        return [stamp, touched, *hashes], [*self._fence(), head, unpacked(rows)]

    def _replace(self, chunk: _Chunk, answer: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        items: list[bytes | int] = []
        for at in range(0, len(answer), 2):
            place, name, view, packed = chunk.rows[answer[at]]
            held = unseal(answer[at + 1])[1]
            items += [place, name, seal(self.fence.batch, self._merged(view, [held, packed]))]
        return self._keys(chunk), [*self._fence(), unpacked(items)]


def _pieces(newest: dict[int, int]) -> Iterator[list[tuple[int, int]]]:
    """A few at a time: a script takes a limited number of values."""
    items = list(newest.items())
    yield from (items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK))
