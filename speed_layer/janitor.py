"""Deletes what no reader needs: segments below the floor, old marks, old generations. In small steps."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from core.faults import reach
from core.handoff import Generation
from core.logs import Logger
from speed_layer.faults import naming
from speed_layer.scripts import DROP, run
from speed_layer.state import SpeedState
from speed_layer.visit_state import forget

__all__ = ["Janitor"]

_HASHES = 100  # in one script, so that Redis is never held up for long
_KEYS = 500


class Janitor:
    """Of one source. Whatever is interrupted is done again; nothing is forgotten."""

    def __init__(self, state: SpeedState, checkpoints: Path, log: Logger) -> None:
        self.state, self.checkpoints, self.log = state, checkpoints, log
        self._dropped: dict[str, int] = {}
        self._unmarked: dict[str, int] = {}
        self._uncorrected: dict[str, int] = {}
        self._alone: set[str | None] | None = None

    def drop_segments(self, generation: Generation, floor: int) -> None:
        """Delete the fields of segments below `floor`. It must be in progress and stamps before."""
        first = self._dropped.get(generation.id, generation.start_cut)
        if first < floor:
            reach("speed.expiry.before")
        for segment in range(first, floor):
            for shard in range(generation.shards):
                self._drop(generation, shard, segment, floor)
                reach("speed.expiry.within")
            self._dropped[generation.id] = segment + 1
        if first < floor:
            self._drop_containers(generation, floor)
            self._forget_visits(generation, floor)
            self.log.info("segments_dropped", below=floor)

    def _drop(self, generation: Generation, shard: int, segment: int, floor: int) -> None:
        layout, client = self.state.layout, self.state.client
        touched = layout.touched(generation.id, shard, segment)
        head = layout.shard(generation.id, shard) + ":f:"
        while names := self._some(touched):
            keys = [touched, *(head.encode() + name for name in names)]
            with naming():
                run(client, DROP, [(keys, [floor, len(head)])])

    def _drop_containers(self, generation: Generation, floor: int) -> None:
        """Forget the containers in which nothing is left.

        A reader whose boundary lies at or beyond the floor misses nothing, and any other one reads the floor
        after the containers.
        """
        names = self._containers(generation.id)
        with naming():
            for name in names:
                self.state.client.zremrangebyscore(name, "-inf", f"({floor}")

    def _forget_visits(self, generation: Generation, floor: int) -> None:
        """Of users of whom nothing is held any more the index of a version knows all."""
        for shard in range(generation.shards):
            forget(self.state.client, self.state.layout.visits(generation.id, shard), floor)
            reach("speed.expiry.within")

    def _containers(self, generation: str) -> list[bytes]:
        pattern = self.state.layout.containers(generation, "*")
        with naming():
            return list(self.state.client.scan_iter(pattern, count=_KEYS))

    def _some(self, touched: str) -> list[bytes]:
        with naming():
            return cast(list[bytes], self.state.client.srandmember(touched, _HASHES))

    def drop_marks(self, generation: Generation, window: int, segment: int) -> None:
        """Delete the marks that no record from `segment` on looks up."""
        needed = segment // window - 1
        first = self._unmarked.get(generation.id, max(0, generation.start_cut - window) // window)
        for block in range(first, needed):
            keys = [
                self.state.layout.marks(generation.id, shard, block) for shard in range(generation.shards)
            ]
            self._unlink(keys)
        self._unmarked[generation.id] = max(first, needed)

    def drop_events(self, generation: Generation, window: int, floor: int) -> None:
        """Delete the events of blocks that lie below `floor`: a published version holds them."""
        first, needed = self._uncorrected.get(generation.id, generation.start_cut // window), floor // window
        for block in range(first, needed):
            shards = range(generation.shards)
            self._unlink([self.state.layout.events(generation.id, shard, block) for shard in shards])
        self._uncorrected[generation.id] = max(first, needed)

    def drop_generations(self) -> None:
        """Delete every generation that is neither read nor written nor rebuilt; once while those stay."""
        kept = self.state.kept()
        if self._alone == kept:
            return
        for generation in self.state.generations():
            self._drop_unless_kept(generation)
        for folder in list(self.checkpoints.iterdir()) if self.checkpoints.is_dir() else ():
            if folder.name not in self.state.kept():
                shutil.rmtree(folder, ignore_errors=True)
        self._alone = kept

    def _drop_unless_kept(self, generation: str) -> None:
        """Asked for each: one that was there before the question is announced by now, or never will be."""
        if generation not in self.state.kept():
            self._drop_generation(generation)

    def _drop_generation(self, generation: str) -> None:
        shards = self.state.layout.shard(generation, 0).rpartition(".")[0] + ".*"
        # whoever still writes is refused from here on, and leaves nothing behind
        self._unlink([self.state.layout.of(generation, "writer")])
        self._unlink_all(shards + "}:stamp")
        self._unlink_all(shards)
        # what says that there is a generation goes last
        meta = self.state.layout.of(generation, "meta")
        self._unlink_all(self.state.layout.of(generation, "*"), but=meta)
        self._unlink([meta])
        self.log.info("generation_deleted", generation=generation)

    def _unlink_all(self, pattern: str, but: str | None = None) -> None:
        client = self.state.client
        with naming():
            found: list[str | bytes] = []
            for key in client.scan_iter(pattern, count=_KEYS):
                if key != (but or "").encode():
                    found.append(key)
                if len(found) >= _KEYS:
                    client.unlink(*found)
                    found = []
        self._unlink(found)

    def _unlink(self, keys: Sequence[str | bytes]) -> None:
        if keys:
            with naming():
                self.state.client.unlink(*keys)
