"""What a lease may claim, and what the checkpoint and failed tasks tell."""

from collections.abc import Mapping
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import ForeignLog, StateLost
from core.handoff import Generation, Progress
from core.logs import get_logger
from speed_layer.checkpoint import Checkpoint
from speed_layer.faults import RedisAway, RedisFull, of_text
from speed_layer.heartbeat import Heartbeat, require_stamps
from speed_layer.log import Log
from speed_layer.notes import Notes

GENERATION = Generation("g", "edits", 0, {}, "hash", 4, "cluster", "log")


class FakeLog(Log):
    """A log with given ends, and records at given times."""

    def __init__(self, ends: dict[int, int], times: dict[int, float], topic_id: str = "log") -> None:
        self._ends, self._times, self.id = ends, times, topic_id

    def topic_id(self) -> str:
        return self.id

    def ends(self) -> dict[int, int]:
        return self._ends

    def times(self, offsets: Mapping[int, int]) -> dict[int, float]:
        return {partition: self._times[partition] for partition in offsets if partition in self._times}


def _as_of(consumed: dict[int, int], log: Log) -> float | None:
    batches: Any = SimpleNamespace(progress=Progress(3, consumed, 0, 0), stop=Event(), generation=GENERATION)
    nothing: Any = None
    heart = Heartbeat(batches, nothing, log, get_logger("test"), nothing, {}, 20, clock=lambda: 100.0)
    return heart.measure()


def test_all_that_was_acknowledged_before_the_check_is_known_if_all_is_consumed() -> None:
    assert _as_of({0: 5, 1: 7}, FakeLog({0: 5, 1: 7}, {})) == 100.0


def test_the_oldest_record_not_yet_consumed_bounds_what_is_known() -> None:
    assert _as_of({0: 5, 1: 6}, FakeLog({0: 9, 1: 7, 2: 0}, {0: 50.0, 1: 42.0})) == 42.0


def test_a_record_whose_time_is_not_known_claims_nothing() -> None:
    assert _as_of({0: 5}, FakeLog({0: 9}, {})) is None


def test_a_log_made_anew_under_the_same_name_does_not_pass_for_one_that_is_consumed() -> None:
    with pytest.raises(ForeignLog):
        _as_of({0: 5}, FakeLog({0: 0}, {}, topic_id="another"))


def test_a_shard_that_holds_less_than_was_written_is_lost() -> None:
    require_stamps([7, 8], 7)
    for stamps in ([7, 6], [None, 7]):
        with pytest.raises(StateLost):
            require_stamps(stamps, 7)


def test_offsets_of_a_micro_batch_are_read_from_the_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "offsets"
    folder.mkdir()
    (folder / "4").write_text('v1\n{"batchWatermarkMs":0}\n{"edits":{"0":12,"1":3}}')
    (folder / ".4.crc").write_text("x")
    checkpoint = Checkpoint(tmp_path, "edits")
    assert (checkpoint.newest(), checkpoint.committed()) == (4, -1)
    assert checkpoint.end(4) == {0: 12, 1: 3}


@pytest.mark.parametrize("text", ["", "v1\n{}", "v2\n{}\n{}", 'v1\n{}\n{"other":{"0":1}}', "v1\n{}\n{"])
def test_a_torn_entry_of_the_checkpoint_is_lost_state(tmp_path: Path, text: str) -> None:
    (tmp_path / "offsets").mkdir()
    (tmp_path / "offsets" / "4").write_text(text)
    with pytest.raises(StateLost):
        Checkpoint(tmp_path, "edits").end(4)


def test_the_gravest_fault_of_a_failed_task_is_read_from_its_text() -> None:
    away = "x:\nspeed_layer.faults.RedisAway: Connection refused\n at y"
    told = of_text(away)
    assert isinstance(told, RedisAway) and str(told) == "Connection refused"
    assert isinstance(of_text(away + "\nspeed_layer.faults.RedisFull: OOM"), RedisFull)
    assert isinstance(of_text(away + "\ncore.errors.StateLost: stamp"), StateLost)
    assert of_text("ValueError: something else") is None


def test_notes_of_tasks_add_up() -> None:
    total = Notes.total(['{"records": 3, "decode_seconds": 0.5}', '{"records": 4}', "{}"])
    assert (total.count("records"), total.count("fields")) == (7, 0)
