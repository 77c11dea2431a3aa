"""The step that takes events back: what a correction takes back goes on once more beside it, with sign -1."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc

from core.chains import NOTHING, Chain, Link, Named, asked, is_matched, taken_back
from core.contracts import Contract
from core.corrections import Corrections, EventCodec
from core.decoded import arrow_type
from core.layout import Layout
from speed_layer.clients import RedisAddress
from speed_layer.decode_step import OFFSET_BITS
from speed_layer.event_chains import EventChains, History, Kept
from speed_layer.notes import Notes
from speed_layer.plan import NOTE, POSITION, SEGMENT, SIGN
from speed_layer.scripts import Fence

__all__ = ["CorrectStep", "Taken"]


class _Event(NamedTuple):
    """An event of the micro-batch that corrects another one: its own chain, and the one that it names."""

    segment: int
    offset: int
    own: bytes
    target: bytes


class Taken(NamedTuple):
    """An event that is taken back: the segment of the correction, and the values that were kept of it."""

    segment: int
    values: tuple[Any, ...]


@dataclass(frozen=True)
class CorrectStep:
    """For `mapInArrow` over decoded events of one partition, in order, and their notes.

    Gives on the events that count with sign 1, those that are taken back with sign -1, their own time, key
    and values, and the segment of the correction. `kept` are the columns that are kept of each event.
    """

    corrections: Corrections
    contract: Contract
    kept: Mapping[str, str]
    redis: RedisAddress
    layout: Layout
    generation: str
    fence: Fence
    shards: int
    window: int
    count_from: int
    history: History | None

    @property
    def schema(self) -> str:
        """What comes out, as Spark DDL."""
        events = [f"`{name}` {kind.replace('long', 'bigint')}" for name, kind in self.kept.items()]
        return ", ".join([f"{SEGMENT} bigint", f"{NOTE} string", *events, f"{SIGN} int"])

    @property
    def _arrow(self) -> pa.Schema:
        columns = {column.name: column for column in self.contract.columns}
        events = [(name, arrow_type(columns[name])) for name in self.kept]
        return pa.schema([(SEGMENT, pa.int64()), (NOTE, pa.string()), *events, (SIGN, pa.int32())])

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        notes, schema = Notes(), self._arrow
        for batch in batches:
            for note in pc.drop_null(batch.column(NOTE)).to_pylist():
                notes.add_text(note)
            events = batch.filter(pc.is_null(batch.column(NOTE)))
            if events.num_rows:
                began = time.perf_counter()
                counted, taken = self._corrected(events, notes)
                notes.add(correct_seconds=time.perf_counter() - began)
                yield self._counting(counted, schema)
                yield self._taken(taken, schema)
        yield pa.RecordBatch.from_pylist([{NOTE: notes.text()}], schema)

    def _counting(self, events: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        signs = pa.array([1] * events.num_rows, pa.int32())
        columns = [events.column(name) for name in schema.names[:-1]]
        return pa.RecordBatch.from_arrays([*columns, signs], schema=schema)

    def _taken(self, taken: Sequence[Taken], schema: pa.Schema) -> pa.RecordBatch:
        columns = zip(*(one.values for one in taken), strict=True) if taken else [()] * len(self.kept)
        events = [pa.array(column, schema.field(place + 2).type) for place, column in enumerate(columns)]
        segments = pa.array([one.segment for one in taken], pa.int64())
        notes, signs = pa.nulls(len(taken), pa.string()), pa.array([-1] * len(taken), pa.int32())
        return pa.RecordBatch.from_arrays([segments, notes, *events, signs], schema=schema)

    def _corrected(self, events: pa.RecordBatch, notes: Notes) -> tuple[pa.RecordBatch, list[Taken]]:
        """The events that count, and what their corrections take back."""
        links = self._links(events)
        taken = self.take_back(events.column(SEGMENT).to_pylist(), links, notes)
        counts = pa.array([not link.retracts for link in links])
        return events.filter(counts), taken

    def take_back(self, segments: Sequence[int], links: Sequence[Link], notes: Notes) -> list[Taken]:
        """What those of the events that correct take back; `links` are in the order of the log.

        Keeps all of them first, and may be done any number of times. Raises as `EventChains` does.
        """
        chains, kept = self._chains(), Kept(self.shards, self.window)
        for segment, link in zip(segments, links, strict=True):
            kept.link(segment, link)
        chains.keep(kept)
        named = [
            _Event(segment, link.offset, link.digest, link.target)
            for segment, link in zip(segments, links, strict=True)
            if link.target is not None
        ]
        taken = self._takes(chains, named, notes) if named else []
        notes.add(retractions=sum(link.retracts for link in links), corrected=len(taken))
        return taken

    def _chains(self) -> EventChains:
        return EventChains(
            self.redis.shared(), self.layout, self.generation, self.fence, self.shards, self.window,
            self.count_from, self.history,
        )  # fmt: skip

    def _links(self, events: pa.RecordBatch) -> list[Link]:
        """Each event as it is kept: what views read of it, and what it corrects."""
        pack = EventCodec(self.kept).packer()
        return [
            self._link(position, event_id, target, b"" if retracts else pack(values), retracts)
            for position, event_id, target, values, retracts in zip(
                events.column(POSITION).to_pylist(),
                events.column(self.contract.event_id).to_pylist(),
                events.column(self.corrections.target).to_pylist(),
                zip(*(_plain(events.column(name)) for name in self.kept), strict=True),
                self._retracting(events),
                strict=True,
            )
        ]

    def _retracting(self, events: pa.RecordBatch) -> list[bool]:
        reads, retracts = self.corrections.reads, self.corrections.retracting()
        rows = zip(*(_plain(events.column(name)) for name in reads), strict=True)
        return [retracts(dict(zip(reads, row, strict=True))) for row in rows]

    def _link(self, position: int, event_id: str, target: str | None, values: bytes, retracts: bool) -> Link:
        partition, offset = position >> OFFSET_BITS, position & ((1 << OFFSET_BITS) - 1)
        return Link.of(partition, offset, event_id, target, retracts, values)

    def _takes(self, chains: EventChains, named: Sequence[_Event], notes: Notes) -> list[Taken]:
        last = max(event.segment for event in named)
        first_copies = chains.look((event.own for event in named), last)
        # a copy that came beyond the window corrects nothing: the one before it did
        true = [event for event in named if not _is_copy(event, first_copies[event.own])]
        kept = Kept(self.shards, self.window)
        for event in true:
            kept.named(event.segment, event.target, Named(event.offset, event.own))
        chains.keep(kept)
        known = chains.look((event.target for event in true), last)
        more = {digest for event in true for digest in asked(event.offset, known[event.target])}
        known |= chains.look(more - set(known), last)
        notes.add(unmatched=sum(not is_matched(event.offset, known[event.target]) for event in true))
        unpack = EventCodec(self.kept).unpacker()
        return [
            Taken(event.segment, unpack(link.values))
            for event in true
            for link in taken_back(event.offset, event.target, lambda digest: known.get(digest, NOTHING))
        ]


def _is_copy(event: _Event, chain: Chain) -> bool:
    return chain.link is not None and chain.link.offset < event.offset


def _plain(column: pa.Array) -> list[Any]:
    """Values as a decoder gives them."""
    plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return cast(list[Any], plain.to_pylist())
