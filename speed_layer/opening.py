"""Which generation a start writes: the one of the last run if all of it agrees, else a new one."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import uuid4

from conf.settings import Settings
from core.application import BoundSource
from core.errors import FormatRefused, StateLost
from core.folders import Folders
from core.handoff import Generation, Progress, check_same_log
from core.logs import Logger
from speed_layer.checkpoint import Checkpoint
from speed_layer.deriving import unknown_at_start
from speed_layer.generations import Found, Wanted, beginning, objection, usable
from speed_layer.log import Log
from speed_layer.resolutions import Resolutions
from speed_layer.state import SpeedState

__all__ = ["Opening"]


@dataclass(frozen=True)
class Opening:
    """Reads what the last run left in Redis, in the checkpoint and in the registry."""

    settings: Settings
    bound: BoundSource
    source: Log
    state: SpeedState
    folders: Folders
    log: Logger

    def open(self, condemned: Mapping[str, str]) -> tuple[Generation, Progress]:
        """The generation to write and where it stands; one that is `condemned` is not resumed.

        Raises `ForeignLog` if the topic is not the log that the platform saw first.
        """
        wanted = self._wanted()
        resumed = self._resumed(self.state.writing(), wanted, condemned)
        return resumed or self._promoted(wanted, condemned) or self._begin(wanted)

    def follow(self, condemned: Mapping[str, str]) -> tuple[Generation, Progress]:
        """The generation that is rebuilt beside the one that is written, and where it stands."""
        wanted = self._wanted()
        resumed = self._resumed(self.state.following(), wanted, condemned)
        return resumed or self._begun(wanted, following=True)

    def checkpoint(self, generation: str) -> Checkpoint:
        return Checkpoint(self.folders.checkpoint(generation), self.bound.source.topic)

    @property
    def resolutions(self) -> Resolutions:
        return Resolutions(self.folders)

    def resolution(self) -> str:
        """That of the version that readers use now."""
        manifest = self.folders.publications().resolve()
        return manifest.resolution if manifest else ""

    def _wanted(self) -> Wanted:
        identity, manifest = self.source.identity(), self.folders.publications().resolve()
        if manifest is not None:
            archived = (manifest.cluster_id, manifest.topic_id)
            check_same_log(archived, (identity.cluster, identity.topic_id), identity.topic)
        origin = self.folders.losses().origin(identity, self.source.begins())
        return Wanted(
            source=self.bound.source.name,
            semantics=self.bound.semantics(self.settings.dedupe_window),
            shards=self.settings.shards,
            window=self.settings.dedupe_window,
            log=identity,
            boundary=manifest.boundary if manifest else 0,
            origin=origin,
            resolution=manifest.resolution if manifest else "",
            version=manifest.version if manifest else 0,
        )

    def _resumed(
        self, generation: str | None, wanted: Wanted, condemned: Mapping[str, str]
    ) -> tuple[Generation, Progress] | None:
        """A generation that was written before, claimed for this job; None if it cannot go on."""
        if generation is None:
            return None
        try:
            reason = condemned.get(generation) or self._objection(wanted, generation)
        except FormatRefused as error:
            reason = str(error)
        if reason:
            self.log.info("generation_not_resumed", generation=generation, reason=reason)
            return None
        meta, progress = self.state.meta(generation), self.state.progress(generation)
        if meta is None or progress is None:
            return None
        self.log.info(
            "generation_resumed", generation=generation, batch=progress.batch, start_cut=meta.start_cut
        )
        return meta, progress

    def _promoted(self, wanted: Wanted, condemned: Mapping[str, str]) -> tuple[Generation, Progress] | None:
        """The one that was rebuilt already takes the place of one that cannot go on."""
        former, promoted = self.state.writing(), self._resumed(self.state.following(), wanted, condemned)
        if former is None or promoted is None:
            return None
        self.state.lead(former, promoted[0].id, use=not self._current_is_usable(wanted))
        return promoted

    def _objection(self, wanted: Wanted, generation: str) -> str | None:
        meta = self.state.meta(generation)
        if meta is not None:
            self.state.claim(meta)  # before its progress is read: whoever wrote it may not be dead yet
        progress = self.state.progress(generation)
        if meta is None or progress is None:
            return "Redis lost what it was and how far it had come"
        if self.resolutions.lacks(meta.resolution):
            return "the resolution of ids by which it counts is gone"
        checkpoint = self.checkpoint(generation)
        try:
            end = checkpoint.end(progress.batch) if progress.batch >= 0 else None
        except StateLost as error:
            return str(error)
        stamps = self.state.stamps(meta)
        found = Found(meta, progress, stamps, checkpoint.newest(), checkpoint.committed(), end)
        return objection(wanted, found, len(self.folders.cuts().all()))

    def _begin(self, wanted: Wanted) -> tuple[Generation, Progress]:
        generation, progress = self._begun(wanted)
        if not self._current_is_usable(wanted):
            self.state.use(generation.id)
        return generation, progress

    def _begun(self, wanted: Wanted, *, following: bool = False) -> tuple[Generation, Progress]:
        self._keep_resolution(wanted)
        generation, progress = beginning(
            wanted, uuid4().hex[:12], self.folders.cuts().all(), self.source.begins()
        )
        unknown = unknown_at_start(self.bound.declarations, self.folders, generation)
        progress = replace(progress, lost=progress.lost or unknown)
        self.state.begin(generation, progress, following=following)
        self.log.info(
            "generation_begun",
            generation=generation.id,
            following=following,
            start_cut=generation.start_cut,
            reads_from=dict(progress.end),
            lost=progress.lost,
        )
        return generation, progress

    def _keep_resolution(self, wanted: Wanted) -> None:
        """Before the generation is announced, for it cannot be written without."""
        if wanted.resolution:
            self.resolutions.keep(wanted.version, wanted.resolution, self._resolutions_in_use())

    def _resolutions_in_use(self) -> set[str]:
        found = set[str]()
        for generation in self.state.kept():
            with suppress(FormatRefused):
                meta = self.state.meta(generation) if generation else None
                found |= {meta.resolution} if meta else set()
        return found

    def _current_is_usable(self, wanted: Wanted) -> bool:
        current = self.state.current()
        if current is None:
            return False
        try:
            meta, progress = self.state.meta(current), self.state.progress(current)
        except FormatRefused:
            return False
        return usable(meta, progress, self.state.stamps(meta) if meta else (), wanted.semantics)
