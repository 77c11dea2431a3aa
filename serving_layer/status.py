"""Where every process stands: the log, the archive, the batch views, the speed state.

What has to be asked of Kafka is asked in the background, at most every two seconds and only while somebody
wants to know; a status never waits for it longer than a moment.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.cuts import CutRegistry, Offsets, offsets_to
from core.errors import LambdaError
from core.folders import Folders
from core.handoff import Progress
from core.handoffs import Handoffs, summary
from serving_layer.archive_position import archived
from serving_layer.asking import Desk
from serving_layer.event_log import EventLog, LogRefuses, LogSilent
from serving_layer.ports import (
    IndexBroken,
    Snapshot,
    SpeedReading,
    SpeedSilent,
)
from serving_layer.rendering import iso

__all__ = ["Status", "behind"]

_FRESH, _PATIENCE = 2.0, 1.0


@dataclass(frozen=True)
class _Slow:
    """What takes a while to find out: where log and archive end, how many cuts there are."""

    ends: Mapping[int, int] | None = None
    archive: Mapping[int, int] | None = None
    cuts: int | None = None
    handoff: Mapping[str, Any] | None = None
    reasons: tuple[str, ...] = ("where the log ends is not known yet: Kafka was asked",)
    at: float = 0.0


class Status:
    """The status of one source. `clock` gives seconds since 1970."""

    def __init__(self, desk: Desk, folders: Folders, log: EventLog, clock: Callable[[], float]) -> None:
        self._desk, self._folders, self._log, self._clock = desk, folders, log, clock
        self._cuts: CutRegistry = folders.cuts()
        self._handoffs = folders.handoffs()
        self._slow = _Slow()
        self._asking: asyncio.Task[None] | None = None

    @property
    def handoffs(self) -> Handoffs:
        """The checks of this source."""
        return self._handoffs

    async def report(self) -> dict[str, Any]:
        """One source, ready to be rendered; `reasons` say what could not be found out."""
        await self._refresh()
        speed, silence = await self._speed()
        snapshot, broken = self._snapshot()
        bound, slow = self._desk.bound, self._slow
        reasons = [reason for reason in (*slow.reasons, silence, broken) if reason]
        return {
            "source": bound.source.name,
            "semantics": self._desk.semantics,
            "log": {
                "topic": bound.source.topic,
                "ends": _offsets(slow.ends),
                "checked_at": iso(slow.at or None),
            },
            "cuts": slow.cuts,
            "archive": _stand(slow.ends, slow.archive),
            "batch": self._batch(snapshot),
            "speed": self._speed_report(speed),
            "handoff": summary(slow.handoff) if slow.handoff else None,
            "reasons": reasons,
        }

    async def _refresh(self) -> None:
        """Ask again if what we know is old; wait for it only a moment."""
        if self._clock() - self._slow.at < _FRESH:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait([self._asking], timeout=_PATIENCE)

    async def _ask(self) -> None:
        self._slow = await asyncio.to_thread(self._look)

    def _look(self) -> _Slow:
        reasons, ends = list[str](), None
        try:
            ends = self._log.ends(self._desk.bound.source.topic)
        except (LogSilent, LogRefuses) as error:
            reasons.append(str(error))
        try:
            return _Slow(
                ends,
                archived(self._folders.master),
                self._cuts.latest().number,
                self._handoffs.newest(),
                tuple(reasons),
                self._clock(),
            )
        except (LambdaError, OSError, ValueError, KeyError) as error:
            return _Slow(ends, None, None, None, (*reasons, str(error)), self._clock())

    async def _speed(self) -> tuple[SpeedReading, str | None]:
        try:
            return await self._desk.speed.state(), None
        except SpeedSilent as error:
            return SpeedReading(), str(error)

    def _snapshot(self) -> tuple[Snapshot, str | None]:
        try:
            return self._desk.versions.current(), self._desk.versions.trouble
        except IndexBroken as error:
            return Snapshot(), str(error)

    def _batch(self, snapshot: Snapshot) -> dict[str, Any] | None:
        manifest, pointer = snapshot.manifest, snapshot.pointer
        if manifest is None or pointer is None:
            return None
        seconds = self._clock() - datetime.fromisoformat(manifest.created_at).timestamp()
        return {
            "version": manifest.version,
            "mode": manifest.mode,
            "origin": manifest.origin,
            "vouched": manifest.vouched,
            "pointer": pointer.number,
            "kind": pointer.kind,
            "boundary": manifest.boundary,
            "created_at": manifest.created_at,
            "archive_version": manifest.archive_version,
            "semantics": manifest.semantics,
            "counts": manifest.counts,
            "losses": manifest.losses,
            **_stand(self._slow.ends, manifest.offsets),
            "lag_seconds": round(seconds, 1),
        }

    def _speed_report(self, speed: SpeedReading) -> dict[str, Any] | None:
        if speed.generation is None:
            return None
        progress, lease = speed.progress, speed.lease
        return {
            "generation": speed.generation.id,
            "start_cut": speed.generation.start_cut,
            "semantics": speed.generation.semantics,
            "batch": progress.batch if progress else None,
            "cuts": progress.cuts if progress else None,
            "floor": progress.floor if progress else None,
            "lost": progress.lost if progress else None,
            "condemned": speed.condemned,
            **_stand(self._slow.ends, progress.end if progress else None),
            "as_of": iso(lease.as_of) if lease else None,
            "lag_seconds": round(self._clock() - lease.as_of, 2) if lease else None,
            "lease_age_seconds": round(self._clock() - lease.at, 2) if lease else None,
            "trouble": lease.trouble if lease else None,
            "rebuild": self._rebuild(speed.successor),
        }

    def _rebuild(self, successor: tuple[str, Progress | None] | None) -> dict[str, Any] | None:
        """How far the generation has come that is to take the place of the one that answers."""
        if successor is None:
            return None
        generation, progress = successor
        return {"generation": generation, **_stand(self._slow.ends, progress.end if progress else None)}


def behind(ends: Offsets | None, end: Offsets | None) -> int | None:
    """Records between where a process stands and the end of the log; None where one is not known."""
    if ends is None or end is None:
        return None
    return sum(max(0, last - end.get(partition, 0)) for partition, last in ends.items())


def _stand(ends: Offsets | None, end: Offsets | None) -> dict[str, Any]:
    return {"end": _offsets(end), "lag_records": behind(ends, end)}


def _offsets(offsets: Offsets | None) -> dict[str, int] | None:
    return None if offsets is None else offsets_to(offsets)
