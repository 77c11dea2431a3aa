"""The last step: partials of whole shards in, written to Redis; out comes one note a task."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from core.faults import reach
from core.layout import Layout
from speed_layer.clients import RedisAddress
from speed_layer.fields import FieldWriter, Partial
from speed_layer.notes import STATUS, Notes
from speed_layer.plan import ViewPlan
from speed_layer.scripts import Fence

__all__ = ["WriteStep"]

_SCHEMA = pa.schema([("note", pa.string())])


@dataclass(frozen=True)
class WriteStep:
    """For `mapInArrow` over `PARTIALS`, shuffled so that all parts of a field are in one task."""

    redis: RedisAddress
    layout: Layout
    generation: str
    fence: Fence
    views: tuple[ViewPlan, ...]

    schema = "note string"

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        notes, partials = Notes(), list[Partial]()
        for batch in batches:
            for partial in map(Partial, *(column.to_pylist() for column in batch.columns)):
                if partial.view == STATUS:
                    notes.add_text(partial.key)
                else:
                    partials.append(partial)
        began = time.perf_counter()
        reach("speed.fields.before")
        fields, merged = self._writer().write(partials)
        reach("speed.fields.after")
        notes.add(fields=fields, merged=merged, write_seconds=time.perf_counter() - began)
        yield pa.RecordBatch.from_pylist([{"note": notes.text()}], _SCHEMA)

    def _writer(self) -> FieldWriter:
        return FieldWriter(self.redis.shared(), self.layout, self.generation, self.fence, self.views)
