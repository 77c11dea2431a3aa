"""One batch run of a source: drain, boundary, recompute, index, manifest, pointer."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from batch_layer import contents
from batch_layer.archive import Archive
from batch_layer.base import Base
from batch_layer.boundary import Speed, choose
from batch_layer.contents import Content
from batch_layer.fresh import Archived
from batch_layer.handoff_check import HandoffCheck
from batch_layer.ledger import Ledger, read_ledger
from batch_layer.log import KafkaLog
from batch_layer.publish import clean, publish, vacuum
from batch_layer.speed_state import NoSpeedState, SpeedState
from batch_layer.workshop import Workshop
from conf.settings import Settings
from core.application import BoundSource
from core.cuts import Cut, Offsets, reaches
from core.errors import LeaseHeld, NotExact
from core.folders import Folders
from core.leases import hold
from core.logs import Logger
from core.losses import require_accepted
from core.manifest import Manifest, Pointer
from core.modes import check_not_superseded, incremental_objection
from core.topics import LogIdentity
from core.versions import Versions

__all__ = ["BatchRun"]

_ARCHIVER_SILENT = 300.0


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class BatchRun:
    """A source's batch job. `now` dates manifests, `clock` measures durations."""

    spark: SparkSession
    settings: Settings
    bound: BoundSource
    kafka: KafkaLog
    speed: Speed
    log: Logger
    now: Callable[[], datetime] = _utc
    clock: Callable[[], float] = time.monotonic
    state: SpeedState = field(default_factory=NoSpeedState)

    @property
    def folders(self) -> Folders:
        return Folders(self.settings.data_dir, self.bound.source.name)

    @property
    def archive(self) -> Archive:
        source, contract = self.bound.source.name, self.bound.contract
        return Archive(
            self.spark, self.folders.master, source, contract, self.settings.archive_chunk, self.log
        )

    @property
    def semantics(self) -> str:
        return self.bound.semantics(self.settings.dedupe_window)

    @property
    def handoff(self) -> HandoffCheck:
        return HandoffCheck(
            self.spark, self.settings, self.bound, self.folders, self.state, self.log, self.now, self.clock
        )

    @property
    def workshop(self) -> Workshop:
        return Workshop(self.spark, self.settings, self.bound, self.folders, self.log, self.now, self.clock)

    def run(self, force: bool = False, incremental: bool | None = None) -> Manifest | None:
        """Publishes all that the log held when this began; None if readers have it already.

        `incremental` adds what is new to the last version, if that is exact; by default the settings say.
        Raises LeaseHeld if another batch job of this source runs, Superseded if other definitions were
        promoted over these.
        """
        if incremental is None:
            incremental = self.settings.recompute_mode == "incremental"
        with self.lease():
            clean(self.folders, self.settings.versions_kept, self.log)
            return self._run(force, incremental)

    def lease(self) -> AbstractContextManager[None]:
        """Held while a version is made and published. Entering it raises LeaseHeld if another job does."""
        return hold(self.folders.leases / "batch", f"the batch job of {self.bound.source.name}")

    def archive_once(self) -> Ledger:
        """Drains the log. Raises LeaseHeld if another process archives this source."""
        with hold(self.folders.leases / "archive", f"the archiver of {self.bound.source.name}"):
            return self.drain()

    def drain(self) -> Ledger:
        """What `archive_once` does, for whoever holds the archive's lease."""
        return self.archive.drain(self.kafka, self.folders.losses(), self.clock)

    def _run(self, force: bool, incremental: bool) -> Manifest | None:
        began, publications = self.clock(), self.folders.publications()
        parent, current = publications.current(), publications.resolve()
        check_not_superseded(current, self.semantics)
        boundary = self._boundary(parent.boundary if parent else 0)
        if not force and self._held():
            return None
        if current and not force and self._same(current, boundary):
            self.log.info("nothing_to_publish", boundary=boundary.number, version=current.version)
            return None
        self.log.info("recompute_began", boundary=boundary.number, offsets=dict(boundary.offsets))
        manifest = self._build(parent, current, boundary, incremental)
        self.publish(manifest, parent, began)
        return manifest

    def publish(
        self, manifest: Manifest, parent: Pointer | None, began: float, kind: str = "publish"
    ) -> None:
        """Points readers at a version that is made, and removes what no reader needs any more.

        Before that the speed state that it takes the place of is checked. Raises HandoffUnequal if that may
        block, and EntryTaken if another publisher was faster.
        """
        self.handoff.before(manifest, parent)
        publish(self.folders.publications(), manifest, parent, self.now(), kind)
        clean(self.folders, self.settings.versions_kept, self.log)
        vacuum(self.spark, self.folders, self.bound.views, self.settings.versions_kept, self.now())
        self.log.info(
            "published",
            version=manifest.version,
            mode=manifest.mode,
            boundary=manifest.boundary,
            counts=manifest.counts,
            seconds=round(self.clock() - began, 1),
        )

    def _boundary(self, at_least: int) -> Cut:
        archived = self._covering().end
        return choose(
            self.folders.cuts(), archived, at_least, self.speed, self.log, lambda: self._covering().end
        )

    def _held(self) -> bool:
        """Whether an operator rolled readers back: what is newer must not come back by itself."""
        newest = Versions(self.folders).held()
        if newest is not None:
            self.log.warning(
                "publishing_held",
                reason=f"readers were rolled back from version {newest}",
                way_out="python -m batch_layer.versions rollforward, or a run with --force",
            )
        return newest is not None

    def _same(self, current: Manifest, boundary: Cut) -> bool:
        return (current.boundary, current.semantics) == (boundary.number, self.semantics)

    def _covering(self) -> Ledger:
        """The ledger, once it covers all that the log holds now, whoever archives."""
        wanted = self.kafka.end()
        progressed, stand = self.clock(), Ledger(-1)
        while True:
            try:
                return self.archive_once()
            except LeaseHeld:
                ledger = read_ledger(self.folders.master)
                if ledger.version >= 0 and reaches(ledger.end, wanted):
                    return ledger
                if ledger != stand:
                    progressed, stand = self.clock(), ledger
                if self.clock() - progressed > _ARCHIVER_SILENT:
                    raise
            self.log.info("waiting_for_archiver", archived=stand.end, wanted=wanted)
            time.sleep(1)

    def _build(
        self, parent: Pointer | None, current: Manifest | None, boundary: Cut, incremental: bool
    ) -> Manifest:
        archived = self.archived(boundary)
        try:
            base = self._base(parent, current, boundary) if incremental else None
            content = self._content(archived, base, boundary)
            return self.make(content, archived, current)
        finally:
            self.spark.catalog.clearCache()

    def archived(self, boundary: Cut) -> Archived:
        """The master dataset as it is now, and the cuts up to a boundary."""
        ledger, cuts = read_ledger(self.folders.master), self.folders.cuts().all()[: boundary.number]
        contract, declarations = self.bound.contract, self.bound.declarations
        return Archived(
            self.spark, self.folders.master, ledger, cuts, contract, declarations, self.bound.used
        )

    def make(
        self, content: Content, archived: Archived, current: Manifest | None, superseded: tuple[str, ...] = ()
    ) -> Manifest:
        """The next version, which nobody reads before it is published."""
        self.log.info("events_read", mode=content.mode, **content.counts)
        version, identity = self.folders.publications().next_version(), self.identity(archived.ledger)
        known = superseded or (current.superseded if current else ())
        lost = self._lost(archived.ledger, content.boundary.offsets)
        return self.workshop.make(content, version, archived.ledger, identity, known, lost, current)

    def _lost(self, ledger: Ledger, boundary: Offsets) -> tuple[Any, ...]:
        """What the log dropped below a boundary. Raises RecordsLost unless an operator accepted all of it."""
        losses = self.folders.losses()
        require_accepted(ledger.gaps, losses.accepted())
        return losses.below(boundary)

    def _base(self, parent: Pointer | None, current: Manifest | None, boundary: Cut) -> Base | None:
        """The version to add to; None, with the reason in the log, where only a full recompute is exact."""
        reason = incremental_objection(
            current, parent, self.workshop.meaning, boundary, self.folders.losses().below(boundary.offsets)
        )
        if reason or current is None:
            self.log.warning("incremental_refused", reason=reason, consequence="a full recompute")
            return None
        return Base(self.spark, self.folders, current)

    def _content(self, archived: Archived, base: Base | None, boundary: Cut) -> Content:
        views, partitions = list(self.bound.views.values()), self.settings.index_partitions
        if base:
            try:
                return contents.incremental(archived, base, views, boundary, partitions)
            except NotExact as error:
                self.log.warning("incremental_refused", reason=str(error), consequence="a full recompute")
        return contents.full(archived, views, boundary, partitions)

    def identity(self, ledger: Ledger) -> LogIdentity:
        """The log that was archived; before the first record the one that stands there now."""
        return ledger.last.identity(self.kafka.topic) if ledger.last else self.kafka.identity()
