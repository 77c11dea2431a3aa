"""A master dataset and published versions made by hand, and what a recompute of them would give, naively."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bench.state import manifest_of, publish
from core.application import BoundSource
from core.contracts import Contract
from core.cuts import Cut, Offsets, offsets_to, segment_of
from core.decoded import decode_column
from core.folders import Folders
from core.measures import Partial
from core.repeatable import repeatable
from core.views import CompiledView
from tests.serving_kit import BOUND, SEMANTICS, buckets_of, counts, lifted, place

__all__ = ["Master"]

Record = Mapping[str, Any] | bytes
Place = tuple[int, int]
WRITTEN = 1_795_370_759.0  # when the newest commit was written


@dataclass
class Master:
    """Records as they are appended, by their position; files as the archive writes them."""

    data: Path
    bound: BoundSource = BOUND
    records: dict[Place, bytes] = field(default_factory=dict)
    end: dict[int, int] = field(default_factory=dict)
    commits: int = 0

    @property
    def folders(self) -> Folders:
        return Folders(self.data, self.bound.source.name)

    def append(self, *parts: Sequence[Record], contract: Contract | None = None, int96: bool = False) -> None:
        """The next records of each partition, one commit."""
        actions, contract = [], contract or self.bound.contract
        for partition, part in enumerate(parts):
            start = self.end.get(partition, 0)
            raw = [each if isinstance(each, bytes) else orjson.dumps(dict(each)) for each in part]
            self.records |= {(partition, start + n): value for n, value in enumerate(raw)}
            self.end[partition] = start + len(raw)
            if raw:
                actions.append(self._write(partition, start, raw, contract, int96))
        said = {"archive": 1, "end": offsets_to(self.end)}
        info = {"timestamp": WRITTEN * 1000, "userMetadata": json.dumps(said)}
        self._commit([{"commitInfo": info}, *({"add": each} for each in actions)])

    def cut(self, **offsets: int) -> Cut:
        """A cut at p0, p1, ..., by default at the end."""
        given = {int(name[1:]): offset for name, offset in offsets.items()}
        return self.folders.cuts().make(given or self.end, "test")

    def publish(self, cut: Cut) -> int:
        """A version of all views up to a cut; its number."""
        publications = self.folders.publications()
        manifest = replace(
            manifest_of(BOUND.source.name, SEMANTICS, cut.number, publications.next_version()),
            offsets=cut.offsets,
        )
        events = self.counted(cut.offsets)
        views = [repeatable(view) for view in BOUND.views.values()]
        publish(self.folders, manifest, [(view, buckets_of(view, events)) for view in views])
        return manifest.version

    def counted(self, until: Offsets) -> list[dict[str, Any]]:
        """The events below a position, each id once: the first in the order of segment and position."""
        return [event for _, event in self.placed(until)]

    def placed(self, until: Offsets) -> list[tuple[tuple[int, int, int], dict[str, Any]]]:
        """The same with segment, partition and offset of each."""
        cuts, decode = self.folders.cuts().all(), self.bound.contract.decoder().decode
        found = dict[str, tuple[tuple[int, int, int], dict[str, Any]]]()
        for (partition, offset), raw in self.records.items():
            if offset >= until.get(partition, 0) or decode(raw).reason is not None:
                continue
            event, rank = orjson.loads(raw), (segment_of(partition, offset, cuts), partition, offset)
            if event["event_id"] not in found or rank < found[event["event_id"]][0]:
                found[event["event_id"]] = (rank, event)
        return list(found.values())

    def measures(self, view: CompiledView, key: str, span: tuple[int, int], until: Offsets) -> dict[str, Any]:
        """What an answer shows as of a position."""
        return view.present(view.merge_all(list(self._partials(view, key, span, until))))

    def _partials(
        self, view: CompiledView, key: str, span: tuple[int, int], until: Offsets
    ) -> Iterable[Partial]:
        for event in self.counted(until):
            text, bucket = place(view, event)
            if text == key and span[0] <= bucket < span[1] and counts(view, event):
                yield lifted(view, event)

    def _write(self, partition: int, start: int, raw: list[bytes], contract: Contract, int96: bool) -> Any:
        reasons, events = decode_column(iter(raw), contract)
        name = f"partition={partition}/part-{self.commits}-{partition}.parquet"
        path = self.folders.master / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table({
            "offset": pa.array(range(start, start + len(raw)), pa.int64()),
            "log_time": pa.array([datetime.now(UTC)] * len(raw), pa.timestamp("us", "UTC")),
            "value": pa.array(raw, pa.binary()), "contract": pa.array([contract.fingerprint] * len(raw)),
            "reason": reasons, "event": events,
        })  # fmt: skip
        pq.write_table(table, path, row_group_size=40, use_deprecated_int96_timestamps=int96)
        stats = {"numRecords": len(raw), "minValues": {"offset": start},
                 "maxValues": {"offset": start + len(raw) - 1}}  # fmt: skip
        return {"path": name, "partitionValues": {"partition": str(partition)}, "stats": json.dumps(stats)}

    def _commit(self, actions: list[dict[str, Any]]) -> None:
        log = self.folders.master / "_delta_log"
        log.mkdir(parents=True, exist_ok=True)
        (log / f"{self.commits:020d}.json").write_text("\n".join(map(json.dumps, actions)))
        self.commits += 1
