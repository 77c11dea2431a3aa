"""Where versions are made: tables of views in one commit each, their index, and the manifest of it all."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from batch_layer import index
from batch_layer.contents import Content
from batch_layer.event_index import write_chains
from batch_layer.folding import fold_views
from batch_layer.folds import foldable
from batch_layer.ledger import Ledger
from batch_layer.person_index import Persons
from batch_layer.recompute import commit_files, write_view
from batch_layer.tile_files import TileFile
from batch_layer.visits import index_visits
from conf.settings import Settings
from core.application import BoundSource
from core.chains import CHAINS_FOLDER
from core.corrections import corrections_of
from core.folders import Folders
from core.layout import VISITS
from core.logs import Logger
from core.manifest import Manifest
from core.semantics import Meaning
from core.topics import LogIdentity
from core.views import CompiledView
from core.visits import declared_visits

__all__ = ["Workshop"]

_VIEWS_AT_ONCE = 2


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class _Made:
    """What a manifest says of a view, and of the files of its index."""

    view: str
    entry: Mapping[str, Any]
    files: Mapping[str, str]


@dataclass(frozen=True)
class Workshop:
    """Makes versions of a source's views in `folders`. `now` dates manifests, `clock` measures durations."""

    spark: SparkSession
    settings: Settings
    bound: BoundSource
    folders: Folders
    log: Logger
    now: Callable[[], datetime] = _utc
    clock: Callable[[], float] = time.monotonic

    @property
    def meaning(self) -> Meaning:
        return self.bound.meaning(self.settings.dedupe_window)

    def make(
        self,
        content: Content,
        version: int,
        ledger: Ledger,
        identity: LogIdentity,
        superseded: tuple[str, ...] = (),
        losses: tuple[Any, ...] = (),
        before: Manifest | None = None,
    ) -> Manifest:
        """A version whose tables and index are durable; nothing points at it yet.

        `before` is what readers use now. Raises NotExact where rows that are taken over count by other
        persons.
        """
        staged = index.staging(self.folders, version)
        persons = Persons(self.folders, content, staged).made(before)
        made, meaning = self._all(content, version, staged), self.meaning
        return Manifest(
            version=version,
            source=self.bound.source.name,
            boundary=content.boundary.number,
            offsets=dict(content.boundary.offsets),
            cluster_id=identity.cluster,
            topic_id=identity.topic_id,
            archive_version=ledger.version,
            semantics=meaning.semantics,
            created_at=self.now().isoformat(),
            mode=content.mode,
            views={view.view: view.entry for view in made if view.view in self.bound.views},
            index={**persons.files, **{name: sha for view in made for name, sha in view.files.items()}},
            counts=content.counts,
            losses=losses,
            contract=meaning.contract,
            origin=content.origin,
            vouched=content.vouched,
            superseded=superseded,
            identity=persons.entry,
        )

    def _all(self, content: Content, version: int, staged: Path) -> list[_Made]:
        """All views, some at once, so that no core waits while one of them plans or commits."""
        self.spark.conf.set("spark.sql.shuffle.partitions", str(content.tasks))
        written, folded = {view.name for view in content.written}, self._folded(content, version)

        def make(view: CompiledView) -> _Made:
            if view.name in written:
                return self._written(content, view, version, staged, folded.get(view.name))
            return _carried(content, view.name, staged)

        with ThreadPoolExecutor(_VIEWS_AT_ONCE) as pool:
            made = list(pool.map(make, self.bound.views.values()))
        made += self._visits(content, version, staged)
        made += self._chains(content, staged)
        index.install(staged, self.folders.index(version))
        return made

    def _chains(self, content: Content, staged: Path) -> list[_Made]:
        """What the speed layer asks about events below the boundary, where they may be corrected."""
        if corrections_of(self.bound.source) is None:
            return []
        if content.chains is None:
            assert content.base is not None
            return [_Made(CHAINS_FOLDER, {}, content.base.carry(CHAINS_FOLDER, staged))]
        began = self.clock()
        files = write_chains(content.chains, staged / CHAINS_FOLDER, self.settings.index_partitions)
        self.log.info("chains_built", files=len(files), seconds=round(self.clock() - began, 1))
        return [_Made(CHAINS_FOLDER, {}, {f"{CHAINS_FOLDER}/{name}": sha for name, sha in files.items()})]

    def _folded(self, content: Content, version: int) -> dict[str, list[TileFile]]:
        """The files of those views that need not be computed by Spark's SQL."""
        views = [view for view in content.written if foldable(view)]
        if content.events is None or not views:
            return {}
        began, scratch = self.clock(), index.staging(self.folders, version)
        try:
            files = fold_views(
                self.spark, content.events, views, self.folders, self.settings.index_partitions, scratch
            )
        finally:
            shutil.rmtree(scratch)
        self.log.info("views_folded", views=len(views), seconds=round(self.clock() - began, 1))
        return files

    def _visits(self, content: Content, version: int, staged: Path) -> list[_Made]:
        """The index of users' newest visits, if the source declares visits."""
        visits = declared_visits(self.bound.declarations)
        if visits is None:
            return []
        if content.history is None:
            assert content.base is not None
            return [_Made(VISITS, {}, content.base.carry(VISITS, staged))]
        scratch = index.staging(self.folders, version)
        event_time, partitions = self.bound.contract.event_time, self.settings.index_partitions
        files = index_visits(content.history, visits, event_time, partitions, staged, scratch)
        self.log.info("visits_indexed", users=sum(file.rows for file in files))
        return [_Made(VISITS, {}, {f"{VISITS}/{file.number}.mdb": file.sha256 for file in files})]

    def _written(
        self,
        content: Content,
        view: CompiledView,
        version: int,
        staged: Path,
        files: Sequence[TileFile] | None,
    ) -> _Made:
        began, partitions, table = self.clock(), self.settings.index_partitions, self.folders.table(view.name)
        if files is None:
            written = write_view(content.rows(view), view, table, version)
        else:
            written = commit_files(self.spark, files, view, table, version)
        middle = self.clock()
        indexed = index.write_parts(self.spark, index.parts_of(view, written.commit, partitions, staged))
        self.log.info(
            "view_built",
            view=view.name,
            rows=written.rows,
            table_seconds=round(middle - began, 1),
            index_seconds=round(self.clock() - middle, 1),
        )
        entry = {
            "version": written.commit.version,
            "rows": written.rows,
            "checksum": index.checksum(indexed),
            "definition": self.meaning.definitions[view.name],
        }
        return _Made(view.name, entry, {f"{view.name}/{file.number}.mdb": file.sha256 for file in indexed})


def _carried(content: Content, view: str, staged: Path) -> _Made:
    assert content.base is not None
    return _Made(view, content.base.manifest.views[view], content.base.carry(view, staged))
