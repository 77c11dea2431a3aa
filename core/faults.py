"""Named points at which a test strikes a process. Without LAMBDA_FAULTS_DIR they do nothing.

A fault that waits is a file of that folder, named as its point; what stands in it is done to the first
process that gets there, and to that one only. `docs/faults.md` lists the points.
"""

import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.errors import UnknownName

__all__ = ["FOLDER", "POINTS", "STATUS", "Action", "Point", "plant", "reach", "struck", "struck_at"]

FOLDER = "LAMBDA_FAULTS_DIR"
STATUS = 70  # exit status of a process that was aborted
_STRUCK = ".struck"


class Action(StrEnum):
    """`abort`: this process ends at once, with nothing tidied. `hold`: it stands here until it is killed.

    `full`: it gets the error of a disk that is full.
    """

    ABORT = "abort"
    HOLD = "hold"
    FULL = "full"


@dataclass(frozen=True)
class Point:
    """Which process gets there, what is durable then; a `task` may die and its driver live on."""

    process: str
    what: str
    task: bool = False


POINTS: Mapping[str, Point] = {
    "archive.commit.before": Point("batch", "records of the log are read, none of them is archived"),
    "archive.commit.after": Point("batch", "a chunk is in the master dataset, and not verified yet"),
    "view.commit.before": Point("batch", "a view is to be written"),
    "view.commit.after": Point("batch", "a view's table is newer than any manifest"),
    "index.shard.middle": Point("batch", "an index file is half written", task=True),
    "manifest.before": Point("batch", "tables and index are whole, and no manifest names them"),
    "manifest.after": Point("batch", "a manifest is written, and no pointer names it"),
    "pointer.before": Point("batch", "the pointer is about to move"),
    "pointer.after": Point("batch", "readers move to the new version, and nothing was tidied"),
    "speed.intent.before": Point("speed", "Spark has planned a micro-batch, and Redis knows nothing of it"),
    "speed.intent.after": Point("speed", "an intent is stored, and nothing is written"),
    "speed.marks.after": Point("speed", "events are marked as seen, and not counted", task=True),
    "speed.fields.before": Point("speed", "a task is about to write its shards", task=True),
    "speed.fields.within": Point("speed", "new fields are written, those to be merged are not", task=True),
    "speed.fields.after": Point("speed", "a task's fields are written, and its stamps are old", task=True),
    "speed.stamps.before": Point("speed", "all fields are written, and all stamps are old"),
    "speed.progress.before": Point("speed", "all is stamped, and the progress is old"),
    "speed.progress.after": Point("speed", "a micro-batch is committed, and Spark does not know it"),
    "speed.cut.before": Point("speed", "a cut is about to be made"),
    "speed.cut.after": Point("speed", "a cut is registered, and Redis does not know it"),
    "speed.floor.after": Point("speed", "shards have a new floor, and the progress has the old one"),
    "speed.expiry.before": Point("speed", "segments are to be dropped, and all of them are still there"),
    "speed.expiry.within": Point("speed", "one shard has dropped a segment, the others have not"),
    "api.answer": Point("api", "both layers were read, and nothing was answered"),
}

_folder = os.environ.get(FOLDER)


def reach(point: str) -> None:
    """Says that this process is at `point`; what a test planted there happens now."""
    if _folder is not None:
        _strike(Path(_folder) / point)


def plant(folder: Path, point: str, action: Action) -> None:
    """Lets the next process at `point` be struck, once. Raises UnknownName."""
    if point not in POINTS:
        raise UnknownName("fault point", point, POINTS)
    folder.mkdir(parents=True, exist_ok=True)
    struck_at(folder, point).unlink(missing_ok=True)
    draft = folder / f".{point}"
    draft.write_text(action)
    draft.rename(folder / point)


def struck(folder: Path, point: str) -> bool:
    """Whether the fault planted at `point` has happened."""
    return struck_at(folder, point).exists()


def struck_at(folder: Path, point: str) -> Path:
    """The file that a fault becomes once it happened: its time is when, its text whose process it struck."""
    return folder / f"{point}{_STRUCK}"


def _strike(planted: Path) -> None:
    if not planted.exists():
        return
    claimed = struck_at(planted.parent, planted.name)
    try:
        planted.rename(claimed)
    except FileNotFoundError:  # another process was faster
        return
    action = Action(claimed.read_text())
    claimed.write_text(str(os.getpid()))
    _ACTIONS[action](planted.name)


def _abort(_point: str) -> None:
    os._exit(STATUS)


def _hold(_point: str) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(STATUS)


def _full(point: str) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), point)


_ACTIONS = {Action.ABORT: _abort, Action.HOLD: _hold, Action.FULL: _full}
