"""When the leading job makes a cut, and when it must not."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from core.entries import EntryLog
from core.folders import Folders
from core.handoff import Generation, Intent, Progress
from core.logs import get_logger
from speed_layer.micro_batches import MicroBatches
from speed_layer.state import SpeedState

CONSUMED = {0: 10}


class FakeState(SpeedState):
    """Redis after a job has intended some micro-batch."""

    def __init__(self, intended: int) -> None:
        self.intended = intended

    def intent(self, generation: str) -> Intent | None:
        return Intent(self.intended, CONSUMED, {0: 15}, 0, "abc")

    def advance(self, generation: str, progress: Progress) -> None:
        return


def _cuts_after_a_look(folder: Path, intended: int) -> int:
    """How many cuts there are once a job that stands behind micro-batch 3 has looked around."""
    folders = Folders(folder, "edits")
    generation = Generation("g", "edits", 0, {}, "abc", 1, "c", "t")
    unused: Any = None
    batches = MicroBatches(
        generation, Progress(3, CONSUMED, 0, 0), FakeState(intended), unused, unused, folders.cuts(),
        folders.publications(), 30, get_logger("test"), Event(),
    )  # fmt: skip
    batches.maintain()
    return EntryLog(folder / "registry" / "edits" / "cuts").latest()


@pytest.mark.parametrize(("intended", "cuts"), [(3, 1), (4, 0)])
def test_no_cut_is_made_behind_a_micro_batch_that_a_job_had_begun_when_it_died(
    tmp_path: Path, intended: int, cuts: int
) -> None:
    assert _cuts_after_a_look(tmp_path, intended) == cuts
