"""The first step: raw records in; valid events out, once each, with their segment."""

import gc
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.columns import Column
from core.contracts import Contract
from core.decoded import arrow_type
from core.decoding import Decoded
from core.faults import reach
from core.layout import Layout
from core.readers import Value
from speed_layer.clients import RedisAddress
from speed_layer.marks import Marks
from speed_layer.notes import Notes
from speed_layer.plan import NOTE, POSITION, SEGMENT
from speed_layer.scripts import Fence

__all__ = ["DecodeStep", "Segments"]

SPARK = {"long": "bigint"}
OFFSET_BITS = 48  # of a position, below the partition


@dataclass(frozen=True)
class Segments:
    """Segments of the records of one micro-batch: `base` and the offsets of the cuts that may divide it."""

    base: int
    dividing: Mapping[int, Sequence[int]]

    def of(self, partition: int, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        cuts = np.asarray(self.dividing.get(partition, ()), np.int64)
        return self.base + np.searchsorted(cuts, offsets, side="right").astype(np.int64)


@dataclass(frozen=True)
class DecodeStep:
    """For `mapInArrow` over value, partition and offset; a task has records of one partition, in order.

    Events of segments before `count_from` are marked as seen, and not given on. The last row is a note. With
    `positions` each event has its place in the log, which orders those of one partition.
    """

    contract: Contract
    columns: tuple[str, ...]
    segments: Segments
    count_from: int
    redis: RedisAddress
    layout: Layout
    generation: str
    fence: Fence
    shards: int
    window: int
    positions: bool = False

    @property
    def schema(self) -> str:
        """What comes out, as Spark DDL."""
        events = [f"`{column.name}` {SPARK.get(column.type, column.type)}" for column in self._kept]
        places = [f"{POSITION} bigint"] if self.positions else []
        return ", ".join([f"{SEGMENT} bigint", f"{NOTE} string", *events, *places])

    @property
    def _kept(self) -> list[Column]:
        return [column for column in self.contract.columns if column.name in self.columns]

    @property
    def _arrow(self) -> pa.Schema:
        events = [(column.name, arrow_type(column)) for column in self._kept]
        places = [(POSITION, pa.int64())] if self.positions else []
        return pa.schema([(SEGMENT, pa.int64()), (NOTE, pa.string()), *events, *places])

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        gc.disable()  # rows are tuples without cycles, and looking for some costs as much as decoding
        notes, schema = Notes(), self._arrow
        kept = [place for place, c in enumerate(self.contract.columns) if c.name in self.columns]
        try:
            for piece in _by_partition(batches):
                began = time.perf_counter()
                segments, rows, places = self._counted(piece, notes)
                columns = [
                    pa.array([row[p] for row in rows], schema.field(n + 2).type) for n, p in enumerate(kept)
                ]
                if self.positions:
                    columns.append(pa.array(places, pa.int64()))
                arrays = [pa.array(segments, pa.int64()), pa.nulls(len(rows), pa.string()), *columns]
                notes.add(decode_seconds=time.perf_counter() - began)
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        finally:
            gc.enable()
        yield pa.RecordBatch.from_pylist([{NOTE: notes.text()}], schema)

    def _counted(
        self, piece: pa.RecordBatch, notes: Notes
    ) -> tuple[list[int], list[tuple[Value, ...]], list[int]]:
        """Segments, values and positions of the events that count."""
        decode = self.contract.decoder().decode
        decoded = [decode(value) for value in piece.column("value").to_pylist()]
        partition = piece.column("partition")[0].as_py()
        offsets = piece.column("offset").to_numpy()
        segments: list[int] = self.segments.of(partition, offsets).tolist()
        valid = [place for place, row in enumerate(decoded) if row.reason is None]
        copies = self._copies(decoded, valid, segments, partition, offsets.tolist())
        kept = [place for place in valid if place not in copies and segments[place] >= self.count_from]
        notes.add(
            records=len(decoded), refused=len(decoded) - len(valid), duplicates=len(copies), counted=len(kept)
        )
        asked = kept if self.positions else []
        positions = [(partition << OFFSET_BITS) + int(offsets[place]) for place in asked]
        return [segments[place] for place in kept], [decoded[place].values for place in kept], positions

    def _copies(
        self,
        decoded: Sequence[Decoded],
        valid: Sequence[int],
        segments: Sequence[int],
        partition: int,
        offsets: Sequence[int],
    ) -> set[int]:
        """The places of events that are copies of an earlier one."""
        identity = next(
            place for place, c in enumerate(self.contract.columns) if c.name == self.contract.event_id
        )
        marks = Marks(self.redis.shared(), self.layout, self.generation, self.fence, self.shards, self.window)
        found = marks.duplicates(
            [str(decoded[place].values[identity]) for place in valid],
            [segments[place] for place in valid],
            partition,
            [offsets[place] for place in valid],
        )
        reach("speed.marks.after")
        return {valid[place] for place in found}


def _by_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Records of one partition of the log at a time."""
    for batch in batches:
        partitions = batch.column("partition").to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(partitions)) + 1).tolist(), len(partitions)]
        for start, end in itertools.pairwise(edges):
            if end > start:
                yield batch.slice(start, end - start)
