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

__all__ = ["Janitor"]

_HASHES = 100  # in one script, so that Redis is never held up for long
_KEYS = 500


class Janitor:
    """Of one source. Whatever is interrupted is done again; nothing is forgotten."""

    def __init__(self, state: SpeedState, checkpoints: Path, log: Logger) -> None:
        self.state, self.checkpoints, self.log = state, checkpoints, log
        self._dropped: dict[str, int] = {}
        self._unmarked: dict[str, int] = {}
        self._alone: str | None = None

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
            self.log.info("segments_dropped", below=floor)

    def _drop(self, generation: Generation, shard: int, segment: int, floor: int) -> None:
        layout, client = self.state.layout, self.state.client
        touched = layout.touched(generation.id, shard, segment)
        head = layout.shard(generation.id, shard) + ":f:"
        while names := self._some(touched):
            keys = [touched, *(head.encode() + name for name in names)]
            with naming():
                run(client, DROP, [(keys, [floor, len(head)])])

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

    def drop_generations(self, used: str) -> None:
        """Delete every generation that is neither read nor written; once for each `used`."""
        if self._alone == used:
            return
        kept = {self.state.current(), self.state.writing()}
        for generation in self.state.generations():
            if generation not in kept:
                self._drop_generation(generation)
        for folder in self.checkpoints.iterdir() if self.checkpoints.is_dir() else ():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        self._alone = used

    def _drop_generation(self, generation: str) -> None:
        shards = self.state.layout.shard(generation, 0).rpartition(".")[0] + ".*"
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
