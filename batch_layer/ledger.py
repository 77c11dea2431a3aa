"""The ledger of the archive: which positions each commit of the master dataset holds.

It stands in the commits themselves, so that rows and ledger are durable together or not at all.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from batch_layer import delta_log
from core.cuts import Offsets, offsets_from, offsets_to
from core.errors import FormatRefused, PositionError
from core.handoff import check_abutting
from core.losses import Gap
from core.topics import LogIdentity

__all__ = ["Chunk", "Ledger", "read_ledger"]

FORMAT = 1
_KEPT = 1000  # commits looked at: each carries the totals of all before it
_OFFSETS = ("start", "end", "rows", "total")


@dataclass(frozen=True)
class Chunk:
    """Commit `number` of the archive: `rows` of each partition in [start, end), and `total` rows so far.

    `lost` is what was left out before `start`, by partition: offsets that an operator accepted as lost.
    """

    source: str
    number: int
    start: Offsets
    end: Offsets
    rows: Mapping[int, int]
    total: Mapping[int, int]
    cluster_id: str
    topic_id: str
    contract: str
    lost: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def to_json(self) -> str:
        plain = {k: offsets_to(v) if k in _OFFSETS else v for k, v in asdict(self).items()}
        plain["lost"] = {str(partition): gap for partition, gap in sorted(self.lost.items())}
        return json.dumps({"archive": FORMAT, **plain}, sort_keys=True)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Chunk":
        plain: dict[str, Any] = dict(entry)
        if plain.pop("archive") != FORMAT:
            raise FormatRefused(
                f"the master dataset's ledger has format {entry['archive']}, this code reads {FORMAT}; "
                "use the release that wrote it"
            )
        lost = {int(p): (start, end) for p, (start, end) in plain.get("lost", {}).items()}
        return cls(**(plain | {name: offsets_from(plain[name]) for name in _OFFSETS} | {"lost": lost}))

    @property
    def gaps(self) -> list[Gap]:
        return [Gap(partition, start, end) for partition, (start, end) in self.lost.items()]

    def identity(self, topic: str) -> LogIdentity:
        return LogIdentity(self.cluster_id, topic, self.topic_id)


@dataclass(frozen=True)
class Ledger:
    """The newest commits of the archive, checked to abut. `version` is the table's newest version."""

    version: int
    chunks: tuple[Chunk, ...] = ()

    @property
    def last(self) -> Chunk | None:
        return self.chunks[-1] if self.chunks else None

    @property
    def end(self) -> dict[int, int]:
        """The first position of each partition that is not archived."""
        return dict(self.last.end) if self.last else {}

    @property
    def total(self) -> dict[int, int]:
        """Rows of each partition."""
        return dict(self.last.total) if self.last else {}

    @property
    def gaps(self) -> list[Gap]:
        """What the chunks leave out."""
        return [gap for chunk in self.chunks for gap in chunk.gaps]

    @property
    def number(self) -> int:
        return self.last.number if self.last else 0


def read_ledger(table: Path) -> Ledger:
    """The ledger of a master dataset; raises PositionError where commits are missing or do not abut."""
    versions = delta_log.versions(table)
    found = [_chunk(table, version) for version in versions[-_KEPT:]]
    chunks = tuple(chunk for chunk in found if chunk)
    ledger = Ledger(versions[-1] if versions else -1, chunks)
    left_out = {(gap.partition, gap.start, gap.end) for gap in ledger.gaps}
    check_abutting([(chunk.start, chunk.end) for chunk in chunks], left_out)
    _check_numbers(chunks)
    return ledger


def _chunk(table: Path, version: int) -> Chunk | None:
    """The ledger entry of a version; None for a commit that adds no rows (making the table, compaction)."""
    metadata = delta_log.commit(table, version).metadata
    if not metadata:
        return None
    entry = json.loads(metadata)
    return Chunk.from_json(entry) if "archive" in entry else None


def _check_numbers(chunks: tuple[Chunk, ...]) -> None:
    for before, after in pairwise(chunks):
        rows = {p: before.total.get(p, 0) + after.rows.get(p, 0) for p in {*before.total, *after.rows}}
        if after.number != before.number + 1 or rows != dict(after.total):
            raise PositionError(
                f"the master dataset's commit {after.number} with {dict(after.total)} rows follows commit "
                f"{before.number} with {dict(before.total)}; commits were lost: restore it"
            )
