"""The files of the master dataset, from its own log: which positions each holds, and how far it reaches.

Delta's log is read without a JVM: its commits, or where the first of them were cleaned up, its newest
checkpoint and what follows it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote

import orjson
import pyarrow.parquet as pq

from core.cuts import Offsets, offsets_from
from core.errors import FormatRefused

__all__ = ["MasterFile", "MasterLog", "Stand"]


@dataclass(frozen=True, order=True)
class MasterFile:
    """A data file: rows of one partition, whose offsets lie in [first, end)."""

    partition: int
    first: int
    end: int
    rows: int = field(compare=False)
    path: Path


@dataclass(frozen=True)
class Stand:
    """The master dataset at one moment. `end` is the first position of each partition that is not in it;
    `at` is when that was written, in seconds since 1970, 0 before the first record.
    """

    files: tuple[MasterFile, ...] = ()
    end: Offsets = field(default_factory=dict)
    at: float = 0.0

    def within(self, start: Offsets, end: Offsets) -> list[MasterFile]:
        """The files that may hold positions from `start` to before `end`, in their order."""
        return [
            file
            for file in self.files
            if file.first < end.get(file.partition, 0) and start.get(file.partition, 0) < file.end
        ]


class MasterLog:
    """The log of one table. A look reads what is new; threads may share it."""

    def __init__(self, table: Path) -> None:
        self._table, self._log = table, table / "_delta_log"
        self._files: dict[str, MasterFile] = {}
        self._stand, self._known = Stand(), -1
        self._turn = Lock()

    def look(self) -> Stand:
        """The master dataset as it is now. Raises `FormatRefused` for a log that this code cannot read."""
        with self._turn:
            if self._known < 0 and not self._commit(0).exists():
                self._begin()
            while (commit := self._commit(self._known + 1)).exists():
                self._follow([orjson.loads(line) for line in commit.read_bytes().splitlines()])
                self._known += 1
            return self._stand

    def _commit(self, version: int) -> Path:
        return self._log / f"{version:020d}.json"

    def _begin(self) -> None:
        """Start at the newest checkpoint; nothing to do where there is no table yet."""
        last = self._log / "_last_checkpoint"
        if not last.exists():
            return
        version = int(orjson.loads(last.read_bytes())["version"])
        parts = sorted(self._log.glob(f"{version:020d}.checkpoint*.parquet"))
        for part in parts:
            if "add" not in pq.read_schema(part).names:
                raise FormatRefused(f"{part} is a checkpoint of another kind; write classic ones")
            rows = pq.read_table(part, columns=["add"]).column("add").to_pylist()
            self._follow([{"add": row} for row in rows if row])
        self._known = version

    def _follow(self, actions: list[dict[str, Any]]) -> None:
        for action in actions:
            if "remove" in action:
                self._files.pop(action["remove"]["path"], None)
            if "add" in action:
                self._files[action["add"]["path"]] = self._file(action["add"])
        end, at = self._stand.end, self._stand.at
        for written, when in _said(actions):
            end, at = {**end, **written}, when
        self._stand = Stand(tuple(sorted(self._files.values())), end or self._held(), at)

    def _file(self, add: Mapping[str, Any]) -> MasterFile:
        stats = orjson.loads(add.get("stats") or "{}")
        partition = int(dict(add["partitionValues"])["partition"])
        path = self._table / unquote(add["path"])
        if "offset" not in stats.get("maxValues", {}):
            raise FormatRefused(f"{path} has no statistics of offsets; the archive writes them")
        first, last = stats["minValues"]["offset"], stats["maxValues"]["offset"]
        return MasterFile(partition, first, last + 1, stats["numRecords"], path)

    def _held(self) -> dict[int, int]:
        """The ends of what files hold, where no commit says more."""
        return {
            partition: max(file.end for file in self._files.values() if file.partition == partition)
            for partition in {file.partition for file in self._files.values()}
        }


def _said(actions: list[dict[str, Any]]) -> Iterator[tuple[Offsets, float]]:
    """Where the archive said that a commit ends, and when."""
    for info in (action["commitInfo"] for action in actions if "commitInfo" in action):
        said = orjson.loads(info.get("userMetadata") or "{}")
        if isinstance(said, dict) and "archive" in said:
            yield offsets_from(said["end"]), info["timestamp"] / 1000
