"""Which generation a start writes: the one of the last run if all of it agrees, else a new one."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from conf.settings import Settings
from core.application import BoundSource
from core.errors import FormatRefused, StateLost
from core.folders import Folders
from core.handoff import Generation, Progress, check_same_log
from core.logs import Logger
from speed_layer.checkpoint import Checkpoint
from speed_layer.generations import Found, Wanted, beginning, objection, usable
from speed_layer.log import Log
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

        Raises `ForeignLog` if the topic is not the log that was archived.
        """
        wanted = self._wanted()
        return self._resume(wanted, condemned) or self._begin(wanted)

    def checkpoint(self, generation: str) -> Checkpoint:
        return Checkpoint(self.folders.checkpoint(generation), self.bound.source.topic)

    def _wanted(self) -> Wanted:
        identity, manifest = self.source.identity(), self.folders.publications().resolve()
        if manifest is not None:
            archived = (manifest.cluster_id, manifest.topic_id)
            check_same_log(archived, (identity.cluster, identity.topic_id), identity.topic)
        return Wanted(
            source=self.bound.source.name,
            semantics=self.bound.semantics(self.settings.dedupe_window),
            shards=self.settings.shards,
            window=self.settings.dedupe_window,
            log=identity,
            boundary=manifest.boundary if manifest else 0,
        )

    def _resume(self, wanted: Wanted, condemned: Mapping[str, str]) -> tuple[Generation, Progress] | None:
        writing = self.state.writing()
        if writing is None:
            return None
        try:
            reason = condemned.get(writing) or self._objection(wanted, writing)
        except FormatRefused as error:
            reason = str(error)
        if reason:
            self.log.info("generation_not_resumed", generation=writing, reason=reason)
            return None
        meta, progress = self.state.meta(writing), self.state.progress(writing)
        if meta is None or progress is None:
            return None
        self.log.info(
            "generation_resumed", generation=writing, batch=progress.batch, start_cut=meta.start_cut
        )
        return meta, progress

    def _objection(self, wanted: Wanted, generation: str) -> str | None:
        meta, progress = self.state.meta(generation), self.state.progress(generation)
        if meta is None or progress is None:
            return "Redis lost what it was and how far it had come"
        checkpoint = self.checkpoint(generation)
        try:
            end = checkpoint.end(progress.batch) if progress.batch >= 0 else None
        except StateLost as error:
            return str(error)
        stamps = self.state.stamps(meta)
        found = Found(meta, progress, stamps, checkpoint.newest(), checkpoint.committed(), end)
        return objection(wanted, found, len(self.folders.cuts().all()))

    def _begin(self, wanted: Wanted) -> tuple[Generation, Progress]:
        generation, progress = beginning(
            wanted, uuid4().hex[:12], self.folders.cuts().all(), self.source.begins()
        )
        self.state.begin(generation, progress)
        self.log.info(
            "generation_begun",
            generation=generation.id,
            start_cut=generation.start_cut,
            reads_from=dict(progress.end),
            lost=progress.lost,
        )
        if not self._current_is_usable(wanted):
            self.state.use(generation.id)
        return generation, progress

    def _current_is_usable(self, wanted: Wanted) -> bool:
        current = self.state.current()
        if current is None:
            return False
        try:
            meta, progress = self.state.meta(current), self.state.progress(current)
        except FormatRefused:
            return False
        return usable(meta, progress, self.state.stamps(meta) if meta else (), wanted.semantics)
