"""What the log dropped before it was archived: found from where the log began, declared by an operator.

The registry keeps two append-only logs of a source: which log it is and where that began when the platform
first saw it, and the losses that were accepted. Whatever lies from that beginning on is archived, or
accepted as lost, or stops every publish.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.cuts import Offsets, offsets_from, offsets_to
from core.entries import EntryLog
from core.errors import EntryTaken, RecordsLost
from core.handoff import check_same_log
from core.topics import LogIdentity

__all__ = ["Gap", "Loss", "Losses", "gaps", "lost_from", "require_accepted", "unaccepted"]


@dataclass(frozen=True, order=True)
class Gap:
    """Offsets [start, end) of a partition that the log has no more."""

    partition: int
    start: int
    end: int


@dataclass(frozen=True, order=True)
class Loss(Gap):
    """A gap that an operator accepted at a time, and a note that says why."""

    at: str
    note: str = ""

    def report(self) -> dict[str, Any]:
        return asdict(self)


def gaps(expected: Offsets, begin: Offsets) -> list[Gap]:
    """Where the log begins beyond the first position that is expected of it."""
    return [
        Gap(p, expected.get(p, 0), first) for p, first in sorted(begin.items()) if first > expected.get(p, 0)
    ]


def unaccepted(found: Iterable[Gap], accepted: Iterable[Gap]) -> list[Gap]:
    """The parts of `found` that no accepted gap covers."""
    left = list(found)
    for loss in accepted:
        left = [part for gap in left for part in _without(gap, loss)]
    return left


def _without(gap: Gap, loss: Gap) -> list[Gap]:
    if gap.partition != loss.partition:
        return [gap]
    parts = [
        Gap(gap.partition, gap.start, min(gap.end, loss.start)),
        Gap(gap.partition, max(gap.start, loss.end), gap.end),
    ]
    return [part for part in parts if part.start < part.end]


def require_accepted(found: Iterable[Gap], accepted: Iterable[Gap]) -> None:
    """Raise `RecordsLost` for what nobody accepted."""
    if left := unaccepted(found, accepted):
        raise RecordsLost([(gap.partition, gap.start, gap.end) for gap in left])


def lost_from(losses: Iterable[Mapping[str, Any]], start: Offsets) -> str | None:
    """Why records from `start` on cannot be counted again: a manifest's losses reach beyond it.

    The speed layer may have counted them before the log dropped them; the master dataset never had them.
    """
    beyond = [f"partition {gap['partition']} from {gap['start']} to {gap['end']}" for gap in losses
              if gap["end"] > start.get(gap["partition"], 0)]  # fmt: skip
    return f"records of these segments are lost: {', '.join(beyond)}" if beyond else None


class Losses:
    """Identity, beginning and accepted losses of one source's log."""

    def __init__(self, logs: EntryLog, losses: EntryLog) -> None:
        self._logs, self._losses = logs, losses

    def known(self) -> tuple[str, str] | None:
        """Cluster id and topic id of the log; None before anybody looked at it."""
        if not self._logs.following(0):
            return None
        entry = self._logs.read(1)
        return entry["cluster_id"], entry["topic_id"]

    def origin(self, identity: LogIdentity, begin: Offsets) -> dict[int, int]:
        """Where the log began when it was first seen; from now on `begin` if this is the first look.

        A partition that was added later begins at 0. Raises `ForeignLog` if it is another log than then.
        """
        if self.known() is None:
            self._note(identity, begin)
        entry = self._logs.read(1)
        known = (entry["cluster_id"], entry["topic_id"])
        check_same_log(known, (identity.cluster, identity.topic_id), identity.topic)
        return offsets_from(entry["begin"])

    def _note(self, identity: LogIdentity, begin: Offsets) -> None:
        entry = {"cluster_id": identity.cluster, "topic_id": identity.topic_id, "begin": offsets_to(begin)}
        try:
            self._logs.append(1, entry)
        except EntryTaken:
            return  # another process looked at the same time, and what it saw counts

    def accepted(self) -> list[Loss]:
        return [Loss(**self._losses.read(number)) for number in self._losses.numbers()]

    def accept(self, lost: Iterable[Gap], at: str, note: str) -> list[Loss]:
        """Declare gaps lost for ever. Raises `EntryTaken` if somebody else does so at this moment."""
        accepted = [Loss(gap.partition, gap.start, gap.end, at, note) for gap in lost]
        for loss in accepted:
            self._losses.append(self._losses.latest() + 1, loss.report())
        return accepted

    def below(self, boundary: Offsets) -> tuple[dict[str, Any], ...]:
        """What a batch view up to `boundary` lacks, as its manifest carries it."""
        cut = [replace(loss, end=min(loss.end, boundary.get(loss.partition, 0))) for loss in self.accepted()]
        return tuple(loss.report() for loss in cut if loss.start < loss.end)
