"""One batch run of a source: drain, boundary, recompute, index, manifest, pointer."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from batch_layer import index
from batch_layer.archive import Archive
from batch_layer.boundary import Speed, choose
from batch_layer.events import Events, read_events
from batch_layer.ledger import Ledger, read_ledger
from batch_layer.log import KafkaLog
from batch_layer.publish import clean, publish, vacuum
from batch_layer.recompute import Written, write_view
from conf.settings import Settings
from core.application import BoundSource
from core.cuts import Cut, reaches
from core.errors import LeaseHeld
from core.folders import Folders
from core.leases import hold
from core.logs import Logger
from core.manifest import Manifest
from core.topics import LogIdentity
from core.views import CompiledView

__all__ = ["BatchRun"]

_VIEWS_AT_ONCE = 2
_ROWS_PER_TASK = 500_000
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

    def run(self, force: bool = False) -> Manifest | None:
        """Publishes all that the log held when this began; None if readers have it already.

        Raises LeaseHeld if another batch job of this source runs.
        """
        with hold(self.folders.leases / "batch", f"the batch job of {self.bound.source.name}"):
            clean(self.folders, self.settings.versions_kept, self.log)
            return self._run(force)

    def archive_once(self) -> Ledger:
        """Drains the log. Raises LeaseHeld if another process archives this source."""
        with hold(self.folders.leases / "archive", f"the archiver of {self.bound.source.name}"):
            return self.archive.drain(self.kafka, self.clock)

    def _run(self, force: bool) -> Manifest | None:
        began, publications = self.clock(), self.folders.publications()
        parent, current = publications.current(), publications.resolve()
        boundary = self._boundary(parent.boundary if parent else 0)
        if current and not force and self._same(current, boundary):
            self.log.info("nothing_to_publish", boundary=boundary.number, version=current.version)
            return None
        self.log.info("recompute_began", boundary=boundary.number, offsets=dict(boundary.offsets))
        manifest = self._build(boundary, publications.next_version())
        publish(publications, manifest, parent, self.now())
        clean(self.folders, self.settings.versions_kept, self.log)
        vacuum(self.spark, self.folders, self.bound.views, self.settings.versions_kept, self.now())
        self.log.info(
            "published",
            version=manifest.version,
            boundary=boundary.number,
            counts=manifest.counts,
            seconds=round(self.clock() - began, 1),
        )
        return manifest

    def _boundary(self, at_least: int) -> Cut:
        archived = self._covering().end
        return choose(
            self.folders.cuts(), archived, at_least, self.speed, self.log, lambda: self._covering().end
        )

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

    def _build(self, boundary: Cut, version: int) -> Manifest:
        ledger, cuts = read_ledger(self.folders.master), self.folders.cuts().all()[: boundary.number]
        try:
            events = read_events(self.spark, self.folders.master, ledger, boundary, cuts, self.bound.contract)
            self.log.info("events_read", **events.counts.entry())
            views = self._index(events, version)
        finally:
            self.spark.catalog.clearCache()
        identity = _identity(ledger, self.kafka)
        return Manifest(
            version=version,
            source=self.bound.source.name,
            boundary=boundary.number,
            offsets=dict(boundary.offsets),
            cluster_id=identity.cluster,
            topic_id=identity.topic_id,
            archive_version=ledger.version,
            semantics=self.semantics,
            created_at=self.now().isoformat(),
            views={view.name: view.entry() for view in views},
            index={f"{file.view}/{file.number}.mdb": file.sha256 for view in views for file in view.files},
            counts=events.counts.entry(),
        )

    def _index(self, events: Events, version: int) -> list["_Built"]:
        tasks = max(2, -(-events.counts.valid // _ROWS_PER_TASK))
        self.spark.conf.set("spark.sql.shuffle.partitions", str(tasks))
        staged = index.staging(self.folders, version)
        views = self._views(events, version, staged)
        index.install(staged, self.folders.index(version))
        return views

    def _views(self, events: Events, version: int, staged: Path) -> list["_Built"]:
        """All views, some at once, so that no core waits while one of them plans or commits."""

        def build(view: CompiledView) -> _Built:
            return self._view(events.frame, view, version, staged)

        with ThreadPoolExecutor(_VIEWS_AT_ONCE) as pool:
            return list(pool.map(build, self.bound.views.values()))

    def _view(self, events: DataFrame, view: CompiledView, version: int, staged: Path) -> "_Built":
        began, partitions = self.clock(), self.settings.index_partitions
        written = write_view(events, view, self.folders.table(view.name), version, partitions)
        middle = self.clock()
        files = index.write_parts(self.spark, index.parts_of(view, written.commit, partitions, staged))
        self.log.info(
            "view_built",
            view=view.name,
            rows=written.rows,
            table_seconds=round(middle - began, 1),
            index_seconds=round(self.clock() - middle, 1),
        )
        return _Built(written, files)


@dataclass(frozen=True)
class _Built:
    table: Written
    files: list[index.IndexFile]

    @property
    def name(self) -> str:
        return self.table.view

    def entry(self) -> dict[str, object]:
        return {
            "version": self.table.commit.version,
            "rows": self.table.rows,
            "checksum": index.checksum(self.files),
        }


def _identity(ledger: Ledger, kafka: KafkaLog) -> LogIdentity:
    return ledger.last.identity(kafka.topic) if ledger.last else kafka.identity()
