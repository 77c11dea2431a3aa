"""Desks that answer about the past of one source: a retained version, and what the master dataset adds."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from core.application import BoundSource
from core.cuts import Cut, CutRegistry, Offsets, offsets_to, reaches
from core.folders import Folders
from core.identity import identity_of
from core.repeatable import repeatable
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.kept import Kept, weight
from serving_layer.live_pairs import LivePairs
from serving_layer.master_events import Limits, MasterEvents
from serving_layer.master_log import MasterLog, Stand
from serving_layer.past import Past
from serving_layer.past_store import Between, PastStore
from serving_layer.ports import Snapshot, Versions
from serving_layer.problems import Problem
from serving_layer.questions import Question
from serving_layer.rendering import iso
from serving_layer.retained import Retained

__all__ = ["Moment", "PastDesks"]

_KEPT = 8 << 20  # bytes of merged tiles


@dataclass(frozen=True)
class Moment:
    """A position of the log: `base` covers all of it but what lies `between`. `cut` is its number, if it has
    one; it is `settled` once no cut will be made below it, which orders copies on several partitions.
    """

    asked: Past
    base: Snapshot
    between: Between
    cut: int | None
    settled: bool

    def tell(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer about this moment: all of the log up to it is in these parts."""
        read = {**answer["read"], "fields": 0, "events": answer["read"]["fields"]}
        return {**_archive_named(answer), "past": self.report(), "read": read}

    def report(self) -> dict[str, Any]:
        """Which moment it is, and what of the log lies between it and the version that was read."""
        return {
            "asked": {self.asked.field: self.asked.text},
            "cut": self.cut,
            "offsets": offsets_to(self.between.until),
            "version": self.base.manifest.version if self.base.manifest else None,
            "archive": {"from": offsets_to(self.between.since), "to": offsets_to(self.between.until),
                        "records": self.between.records},
            "settled": self.settled,
        }  # fmt: skip


class _Fixed(Versions):
    """One version, whatever is published."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def current(self) -> Snapshot:
        return self._snapshot

    @property
    def trouble(self) -> str | None:
        return None

    async def renew(self) -> Snapshot:
        return self._snapshot


@dataclass(frozen=True)
class PastDesks:
    """Answers about the past of one source. `interval` is how many seconds lie between batch runs."""

    bound: BoundSource
    semantics: str
    folders: Folders
    limits: Limits
    interval: float
    clock: Callable[[], float]
    events: MasterEvents = field(init=False, repr=False)
    master: MasterLog = field(init=False, repr=False)
    cuts: CutRegistry = field(init=False, repr=False)
    _retained: Retained = field(init=False, repr=False)
    _merged: Any = field(init=False, repr=False, default_factory=lambda: Kept(_KEPT, lambda k: weight(k[1])))
    # one at a time: reading many records takes a while, in which every other request is slower
    turn: asyncio.Semaphore = field(init=False, repr=False, default_factory=lambda: asyncio.Semaphore(1))

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", MasterEvents(self.bound, self.limits))
        object.__setattr__(self, "master", MasterLog(self.folders.master))
        object.__setattr__(self, "cuts", self.folders.cuts())
        object.__setattr__(self, "_retained", Retained(self.folders, self.semantics))

    async def answer(self, past: Past, question: Question) -> dict[str, Any]:
        """The answer as of a moment. Raises `Problem` and `IndexBroken`."""
        moment = await self.moment(past)
        steady = replace(question, view=repeatable(question.view))
        return moment.tell(compose(steady, await self.desk(moment).ask(steady)))

    async def moment(self, past: Past) -> Moment:
        """Where the moment lies. Raises `Problem` if it is unknown, gone or not archived yet."""
        return await asyncio.to_thread(self._moment, past)

    def due(self, stand: Stand) -> int:
        """When the next batch run archives what it finds, if they keep to their interval."""
        runs = max(1, math.ceil((self.clock() - stand.at) / self.interval))
        return math.ceil(stand.at + runs * self.interval)

    def desk(self, moment: Moment) -> Desk:
        """What answers questions about views made by `repeatable`."""
        store = PastStore(self.bound, self.events, moment.base, moment.between, self.turn)
        pairs = LivePairs(self.bound, store, self.folders) if identity_of(self.bound.declarations) else None
        return Desk(self.bound, self.semantics, _Fixed(moment.base), store, pairs, merged=self._merged)

    def _moment(self, past: Past) -> Moment:
        cuts, stand = self.cuts.all(), self.master.look()
        if past.version is not None:
            base = self._retained.version(past.version)
            assert base.manifest is not None
            return self._at(past, base, base.manifest.offsets, base.boundary, cuts, stand)
        number, offsets = past.cut, past.offsets if past.offsets is not None else _of_cut(past, cuts)
        self._require_archived(past, offsets, stand)
        base = self._retained.newest(offsets, lambda manifest: number is None or manifest.boundary <= number)
        return self._at(past, base, offsets, number, cuts, stand)

    def _at(
        self, past: Past, base: Snapshot, until: Offsets, cut: int | None, cuts: list[Cut], stand: Stand
    ) -> Moment:
        since = base.manifest.offsets if base.manifest else {}
        between = Between(stand, since, until, cuts)
        if between.records > self.limits.records:
            raise self._too_many(past, between, base)
        settled = reaches(cuts[-1].offsets if cuts else {}, until)
        return Moment(past, base, between, cut, settled)

    def _too_many(self, past: Past, between: Between, base: Snapshot) -> Problem:
        before = f"version {base.manifest.version}" if base.manifest else "the beginning of the log"
        most = self.limits.records
        return Problem.of_field(
            "too-many-records", past.field, past.text,
            f"at most {most} records behind a retained version (LAMBDA_AS_OF_RECORDS)",
            f"{between.records} records lie between {before} and that position, at most {most} are read: "
            "GET /v1/versions lists the versions there are; ask for a position nearer behind one of them",
        )  # fmt: skip

    def _require_archived(self, past: Past, offsets: Offsets, stand: Stand) -> None:
        behind = {p: offset for p, offset in offsets.items() if offset > stand.end.get(p, 0)}
        if not behind:
            return
        partition, offset = next(iter(sorted(behind.items())))
        due, held = self.due(stand), ",".join(f"{p}:{end}" for p, end in sorted(stand.end.items()))
        raise Problem(
            "not-archived",
            f"partition {partition} is in the master dataset up to offset {stand.end.get(partition, 0)}, and "
            f"{past.field} asks for all up to {offset}. Batch runs archive the log every {self.interval:g} "
            f"s: if the log holds it, ask again from {iso(due)} on",
            field=past.field, value=past.text, allowed=f"positions up to {held or 0}",
            available_from=iso(due), headers={"Retry-After": str(max(1, math.ceil(due - self.clock())))},
        )  # fmt: skip


def _of_cut(past: Past, cuts: list[Cut]) -> Offsets:
    if past.cut is None or past.cut > len(cuts):
        raise Problem.of_field("unknown-cut", past.field, past.text, f"a number from 0 to {len(cuts)}")
    return cuts[past.cut - 1].offsets if past.cut else {}


def _archive_named(found: Any) -> Any:
    """What stands in the speed layer's place is the archive's: rows say so."""
    if isinstance(found, list):
        return [_archive_named(each) for each in found]
    if isinstance(found, dict) and "measures" in found and "speed" in found:
        return {**found, "speed": None, "archive": found["speed"]}
    if isinstance(found, dict) and ("rows" in found or "results" in found):
        return {name: _archive_named(held) for name, held in found.items()}
    return found
