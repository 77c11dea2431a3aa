"""Redis: plain keys of a generation, and shards, each of which changes by one script at a time."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from core.errors import StateLost
from core.handoff import Generation, Intent, Lease, Progress
from core.layout import seal, unseal
from core.rebuilds import RebuildRequest

Merge = Callable[["Name", bytes | None, Any], bytes]


class Name(NamedTuple):
    """Of a field; the key is its text."""

    view: str
    key: str
    segment: int
    bucket: int


@dataclass
class Shard:
    """Fields hold the micro-batch that wrote them; the stamp is the newest one that wrote here."""

    stamp: int | None = None
    floor: int = 0
    fields: dict[Name, bytes] = field(default_factory=dict)
    touched: dict[int, set[Name]] = field(default_factory=lambda: defaultdict(set))
    marks: dict[tuple[int, bytes], tuple[int, int]] = field(default_factory=dict)  # by block and digest

    def write(
        self, batch: int, changes: Mapping[Name, Any], marks: Mapping[tuple[int, bytes], Any], merge: Merge
    ) -> None:
        """One script: the list of touched fields before the fence, then fields, marks and stamp together."""
        self.check_stamp(batch)
        self.touch(changes)
        for name, change in changes.items():
            held, packed = unseal(self.fields[name]) if name in self.fields else (-1, None)
            if self.is_new(batch, held):
                self.fields[name] = seal(batch, merge(name, packed, change))
        self.marks.update(marks)
        self.stamp = batch

    def check_stamp(self, batch: int) -> None:
        if self.stamp not in (batch - 1, batch):
            raise StateLost(f"shard at {self.stamp}, micro-batch {batch} must follow {batch - 1}")

    def is_new(self, batch: int, held: int) -> bool:
        return held < batch

    def touch(self, changes: Mapping[Name, Any]) -> None:
        for name in changes:
            self.touched[name.segment].add(name)

    @property
    def stale(self) -> list[int]:
        return [segment for segment in self.touched if segment < self.floor]

    def drop(self) -> None:
        """Forget the segments below the floor, found by what they touched."""
        for segment in self.stale:
            for name in self.touched.pop(segment):
                self.fields.pop(name, None)


@dataclass
class Redis:
    current: str | None = None
    writing: str | None = None
    following: str | None = None
    rebuild: RebuildRequest | None = None
    condemned: dict[str, str] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    intents: dict[str, Any] = field(default_factory=dict)
    progresses: dict[str, Any] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    shards: dict[str, list[Shard]] = field(default_factory=dict)
    snapshots: list[tuple[str | None, int, Shard]] = field(default_factory=list)

    def generation(self, name: str | None) -> Generation | None:
        return Generation.from_json(self.meta[name]) if name in self.meta else None

    def intent(self, name: str | None) -> Intent | None:
        return Intent.from_json(self.intents[name]) if name in self.intents else None

    def progress(self, name: str | None) -> Progress | None:
        return Progress.from_json(self.progresses[name]) if name in self.progresses else None

    def condemn(self, name: str, reason: str) -> None:
        """No answer of it is complete from now on, and it is to be rebuilt."""
        self.condemned[name] = reason
        self.rebuild = self.rebuild or RebuildRequest(name, reason)

    def forget(self, name: str) -> None:
        for kept in (self.meta, self.intents, self.progresses, self.leases, self.shards):
            kept.pop(name, None)

    def save(self, name: str | None, place: int) -> None:
        if name in self.shards:
            self.snapshots.append((name, place, deepcopy(self.shards[name][place])))

    def rewind(self, which: int) -> None:
        """A shard comes back as it was."""
        name, place, shard = self.snapshots[which]
        if name in self.shards:
            self.shards[name][place] = deepcopy(shard)
