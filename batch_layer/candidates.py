"""Changed definitions, computed beside those that readers use in a folder of their own until promoted.

A candidate is known by the hash of its meaning. Its folder has tables, index, manifests and a pointer log as
the data folder has; the master dataset and the cuts are those of the platform.
"""

import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batch_layer import contents
from batch_layer.base import Base
from batch_layer.contents import Content
from batch_layer.fresh import Archived
from batch_layer.publish import clean, publish
from batch_layer.run import BatchRun
from core.cuts import Cut
from core.errors import CandidateError, NotExact
from core.folders import Folders
from core.leases import hold
from core.manifest import Manifest
from core.modes import Mode, incremental_objection, superseded_by

__all__ = ["Candidate", "candidates", "drop"]

_KEPT = 2


@dataclass(frozen=True)
class Candidate:
    """The candidate of a batch run whose definitions, contract or settings are not those of readers."""

    run: BatchRun

    @property
    def folders(self) -> Folders:
        parent = _parent(self.run.folders)
        return Folders(parent / self.run.semantics, self.run.folders.source)

    def build(self) -> Manifest:
        """Computes it at the boundary that readers use; only what is new, where that is exact.

        Batch runs go on meanwhile. Raises CandidateError if readers use these definitions already.
        """
        with self._lease():
            current = self._others()
            began, boundary = self.run.clock(), Cut(current.boundary, current.offsets)
            archived = self.run.archived(boundary)
            try:
                manifest = self._made(self._content(archived, boundary), archived, current)
            finally:
                self.run.spark.catalog.clearCache()
            publications = self.folders.publications()
            publish(publications, manifest, publications.current(), self.run.now())
            clean(self.folders, _KEPT, self.run.log)
            seconds = round(self.run.clock() - began, 1)
            self.run.log.info(
                "candidate_built", candidate=manifest.semantics, mode=manifest.mode, seconds=seconds
            )
            return manifest

    def manifest(self) -> Manifest:
        """What was built last. Raises CandidateError if nothing was."""
        found = self.folders.publications().resolve()
        if found is None:
            raise _unknown(self.run.folders, self.run.semantics, candidates(self.run.folders))
        return found

    def base(self) -> Base:
        return Base(self.run.spark, self.folders, self.manifest())

    def beside(self) -> Base:
        """The version of readers that it was built beside: both end at the same boundary."""
        version = self.manifest().origin["beside"]
        return Base(self.run.spark, self.run.folders, self.run.folders.publications().manifest(version))

    def promote(self) -> Manifest:
        """Publishes it, brought up to the boundary that readers use now, and removes its folder.

        From here on runs of the replaced definitions are refused. Raises CandidateError, or LeaseHeld while a
        batch job runs.
        """
        with self.run.lease(), self._lease():
            self._sweep()
            began, parent = self.run.clock(), self.run.folders.publications().current()
            current = self._others()
            archived = self.run.archived(Cut(current.boundary, current.offsets))
            try:
                content = self._promoted(archived, current)
                superseded = superseded_by(current, self.run.semantics)
                manifest = self.run.make(content, archived, current, superseded)
            finally:
                self.run.spark.catalog.clearCache()
            self.run.publish(manifest, parent, began, "promote")
            _remove(self.folders.data)
            return manifest

    def _lease(self) -> AbstractContextManager[None]:
        return _lease(self.run.folders)

    def _sweep(self) -> None:
        clean(self.run.folders, self.run.settings.versions_kept, self.run.log)

    def _others(self) -> Manifest:
        """The version that readers use, which has another meaning."""
        current = self.run.folders.publications().resolve()
        if current is None:
            raise CandidateError(
                f"{self.folders.source!r} has no version yet: publish one; nothing is replaced"
            )
        if current.semantics == self.run.semantics:
            raise CandidateError(
                f"version {current.version}, which readers use, has these definitions ({current.semantics}); "
                "name the changed ones with LAMBDA_APPLICATION or LAMBDA_CONTRACTS_DIR"
            )
        return current

    def _content(self, archived: Archived, boundary: Cut) -> Content:
        publications, views = self.folders.publications(), list(self.run.bound.views.values())
        base, partitions = publications.resolve(), self.run.settings.index_partitions
        meaning, parent = self.run.workshop.meaning, publications.current()
        if incremental_objection(base, parent, meaning, boundary, self._losses(boundary)) or base is None:
            _remove(self.folders.data)
            return contents.full(archived, views, boundary, partitions)
        return self._newer(archived, Base(self.run.spark, self.folders, base), boundary)

    def _newer(self, archived: Archived, base: Base, boundary: Cut) -> Content:
        """A candidate brought up to a boundary: by what is new where that is exact, else made anew."""
        views, partitions = list(self.run.bound.views.values()), self.run.settings.index_partitions
        try:
            return contents.incremental(archived, base, views, boundary, partitions)
        except NotExact as error:
            self.run.log.warning("incremental_refused", reason=str(error), consequence="a full recompute")
            return contents.full(archived, views, boundary, partitions)

    def _made(self, content: Content, archived: Archived, current: Manifest) -> Manifest:
        workshop = replace(self.run.workshop, folders=self.folders)
        origin = {**content.origin, "beside": current.version}
        version, identity = self.folders.publications().next_version(), self.run.identity(archived.ledger)
        losses = self._losses(content.boundary)
        return workshop.make(replace(content, origin=origin), version, archived.ledger, identity, (), losses)

    def _losses(self, boundary: Cut) -> tuple[Any, ...]:
        return self.run.folders.losses().below(boundary.offsets)

    def _promoted(self, archived: Archived, current: Manifest) -> Content:
        base, views = self.base(), list(self.run.bound.views.values())
        boundary, partitions = Cut(current.boundary, current.offsets), self.run.settings.index_partitions
        content = (
            self._newer(archived, base, boundary)
            if base.manifest.boundary < current.boundary
            else contents.taken(base, views, partitions)
        )
        origin = {"candidate": base.manifest.semantics, "replaces": current.version}
        return replace(content, mode=Mode.PROMOTED, origin=origin)


def candidates(folders: Folders) -> dict[str, Manifest]:
    """What was built and neither promoted nor dropped, by the hash of its meaning."""
    parent = _parent(folders)
    found = {path.name: Folders(path, folders.source).publications().resolve() for path in parent.glob("*")}
    return {name: manifest for name, manifest in sorted(found.items()) if manifest}


def drop(folders: Folders, semantics: str) -> None:
    """Removes a candidate. Raises CandidateError if there is none of that hash."""
    with _lease(folders):
        parent = _parent(folders)
        known = {path.name: path for path in parent.glob("*")}
        if semantics not in known:
            raise _unknown(folders, semantics, known)
        _remove(known[semantics])


def _unknown(folders: Folders, semantics: str, known: Iterable[str]) -> CandidateError:
    return CandidateError(
        f"there is no candidate {semantics} of {folders.source!r}, there is {', '.join(known) or 'none'}; "
        "build it, with LAMBDA_APPLICATION naming the changed definitions"
    )


def _lease(folders: Folders) -> AbstractContextManager[None]:
    return hold(folders.leases / "candidate", f"work on a candidate of {folders.source}")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _parent(folders: Folders) -> Path:
    return folders.data / "candidates" / folders.source
