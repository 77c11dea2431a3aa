"""The last step of a check: folds of whole shards in, held against Redis; out come tallies.

A task walks through one shard in the order of the hashes' names, a few hundred at a time. What Redis holds is
found by the lists of touched hashes, as it is when it is dropped: a field whose hash stands in no list of its
segment counts as absent.
"""

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, cast

import pyarrow as pa
from redis import Redis
from redis.exceptions import RedisError

from batch_layer.clients import RedisAddress
from core.equality import UNREADABLE, Cause, Place, Tally, compare, merged
from core.layout import Layout, parse_field, unseal
from core.measures import Partial
from core.views import CompiledView

__all__ = ["CompareStep", "outcome"]

_SCHEMA = pa.schema([("view", pa.int32()), ("tally", pa.binary()), ("fault", pa.string())])
_HASHES, _FIELDS = 200, 2_000  # looked at in one round trip, at most about so many


class Folded(NamedTuple):
    """A row of `FIELDS`; its view is -1 where it only says that the shard is to be walked through."""

    shard: int
    view: int
    name: str
    segment: int
    bucket: int
    cause: str | None
    packed: bytes | None


@dataclass
class _Round:
    """Some hashes, and what both sides hold of them, by view."""

    names: dict[str, list[Folded]] = field(default_factory=dict)
    rows: int = 0

    def add(self, name: str, rows: Sequence[Folded]) -> None:
        self.names[name] = list(rows)
        self.rows += len(rows)

    @property
    def full(self) -> bool:
        return len(self.names) >= _HASHES or self.rows >= _FIELDS


@dataclass(frozen=True)
class CompareStep:
    """For `mapInArrow` over `FIELDS`, a shard at a time and sorted by name."""

    redis: RedisAddress
    layout: Layout
    generation: str
    views: tuple[CompiledView, ...]
    start: int
    boundary: int

    schema = "view int, tally binary, fault string"

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = (row for batch in batches for row in map(Folded, *(c.to_pylist() for c in batch.columns)))
        try:
            for shard, some in groupby(rows, lambda row: row.shard):
                for view, tally in self._shard(shard, some):
                    yield _row(view, pickle.dumps(tally), None)
        except RedisError as error:
            yield _row(-1, None, f"{type(error).__name__}: {error}")

    def _shard(self, shard: int, rows: Iterable[Folded]) -> Iterator[tuple[int, Tally]]:
        client, tallies = self.redis.shared(), dict[int, Tally]()
        touched = self._touched(client, shard)
        for some in self._rounds(rows, touched):
            for number, tally in self._compared(client, shard, some, touched):
                known = [tallies[number]] if number in tallies else []
                tallies[number] = merged(self.views[number], [*known, tally])
        yield from tallies.items()

    def _rounds(self, rows: Iterable[Folded], touched: dict[str, set[int]]) -> Iterator[_Round]:
        """What the log says is there, and then what Redis has beyond that."""
        left, some = set(touched), _Round()
        for name, group in groupby(rows, lambda row: row.name):
            if name:
                left.discard(name)
                some.add(name, list(group))
            if some.full:
                yield some
                some = _Round()
        for name in sorted(left):
            some.add(name, ())
            if some.full:
                yield some
                some = _Round()
        yield some

    def _touched(self, client: Redis, shard: int) -> dict[str, set[int]]:
        """The segments in which each hash was touched."""
        found: dict[str, set[int]] = {}
        for segment in range(self.start, self.boundary):
            touched = self.layout.touched(self.generation, shard, segment)
            for name in client.sscan_iter(touched, count=1_000):
                found.setdefault(name.decode(), set()).add(segment)
        return found

    def _compared(
        self, client: Redis, shard: int, some: _Round, touched: dict[str, set[int]]
    ) -> Iterator[tuple[int, Tally]]:
        held = self._held(client, shard, list(some.names), touched)
        by_view: dict[int, list[str]] = {}
        for name in some.names:
            by_view.setdefault(self._view(name), []).append(name)
        for number, names in by_view.items():
            yield number, self._tally(number, {name: some.names[name] for name in names}, held)

    def _tally(
        self, number: int, names: dict[str, list[Folded]], held: dict[str, dict[bytes, bytes]]
    ) -> Tally:
        view = self.views[number]
        expected, found = dict[Place, Partial](), dict[Place, Partial | None]()
        contested = dict[Place, Cause]()
        for name, rows in names.items():
            key = name.split(":", 2)[2]
            for row in rows:
                place = (key, row.segment, row.bucket)
                if row.cause is not None:
                    contested[place] = Cause(row.cause)
                elif row.packed is not None:
                    known = [expected[place]] if place in expected else []
                    expected[place] = view.merge_all([*known, view.codec.unpack(row.packed)])
            found |= {(key, *parse_field(n)): _read(view, value) for n, value in held[name].items()}
        return compare(view, expected, found, contested)

    def _view(self, name: str) -> int:
        wanted = name.partition(":")[0]
        return next(number for number, view in enumerate(self.views) if view.name == wanted)

    def _held(
        self, client: Redis, shard: int, names: Sequence[str], touched: dict[str, set[int]]
    ) -> dict[str, dict[bytes, bytes]]:
        """The fields of our segments, by hash: their names first, for the rest of a hash may be large."""
        head = self.layout.shard(self.generation, shard) + ":f:"
        there = _pipelined(client, [("HKEYS", head + name) for name in names])
        wanted = {
            name: [one for one in ours if parse_field(one)[0] in touched.get(name, ())]
            for name, ours in zip(names, there, strict=True)
        }
        asked = {name: fields for name, fields in wanted.items() if fields}
        values = _pipelined(client, [("HMGET", head + name, *fields) for name, fields in asked.items()])
        found = {
            name: {one: value for one, value in zip(fields, got, strict=True) if value is not None}
            for (name, fields), got in zip(asked.items(), values, strict=True)
        }
        return {name: found.get(name, {}) for name in names}


def _pipelined(client: Redis, commands: Sequence[tuple[str | bytes, ...]]) -> list[list[Any]]:
    pipe = client.pipeline(transaction=False)
    for command in commands:
        cast(Any, pipe).execute_command(*command)
    return cast(list[list[Any]], pipe.execute())


def _read(view: CompiledView, value: bytes) -> Partial | None:
    try:
        return view.codec.unpack(unseal(value)[1])
    except UNREADABLE:
        return None


def _row(view: int, tally: bytes | None, fault: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"view": view, "tally": tally, "fault": fault}], _SCHEMA)


def outcome(rows: Iterable[Any]) -> tuple[dict[int, list[Tally]], str | None]:
    """The tallies of each view that tasks made, and a fault that kept one of them from it."""
    tallies: dict[int, list[Tally]] = {}
    for row in rows:
        if row.fault is not None:
            return {}, row.fault
        tallies.setdefault(row.view, []).append(pickle.loads(row.tally))  # made by our own tasks
    return tallies, None
