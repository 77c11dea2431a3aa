"""Entry logs on a real disk: an entry is whole or absent, and of two writers one wins."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from core.entries import EntryLog
from core.errors import EntryTaken, FormatRefused


@pytest.fixture
def log(tmp_path: Path) -> EntryLog:
    return EntryLog(tmp_path / "log")


def test_an_entry_comes_back_as_it_was_appended(log: EntryLog) -> None:
    log.append(1, {"offsets": {"0": 5}, "by": "é"})
    assert log.read(1) == {"offsets": {"0": 5}, "by": "é"}
    assert (log.latest(), log.numbers(), log.following(0), log.following(1)) == (1, [1], [1], [])


def test_a_log_that_was_never_written_is_empty(log: EntryLog) -> None:
    assert (log.latest(), log.numbers(), log.following(0)) == (0, [], [])
    with pytest.raises(FileNotFoundError):
        log.read(1)


def test_an_entry_is_never_changed(log: EntryLog) -> None:
    log.append(1, {"by": "first"})
    with pytest.raises(EntryTaken, match="entry 1 of log exists"):
        log.append(1, {"by": "second"})
    assert log.read(1) == {"by": "first"}
    assert [path.name for path in log.folder.iterdir()] == ["00000000000000000001.json"]


def test_of_many_writers_one_wins(log: EntryLog) -> None:
    def write(number: int) -> bool:
        try:
            EntryLog(log.folder).append(1, {"by": number, "long": "x" * 10_000})
        except EntryTaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))
    assert won.count(True) == 1
    assert log.read(1)["by"] == won.index(True)


class Crashing(EntryLog):
    """Dies where its number says: before the entry is there, or right after."""

    def __init__(self, folder: Path, after: bool) -> None:
        super().__init__(folder)
        self.after = after

    def _path(self, number: int) -> Path:
        if self.after:
            os.link(next(self.folder.glob(".*")), super()._path(number))
        os._exit(9)


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_leaves_an_entry_whole_or_absent(log: EntryLog, after: bool) -> None:
    victim = get_context("fork").Process(
        target=Crashing(log.folder, after).append, args=(1, {"by": "victim"})
    )
    victim.start()
    victim.join()
    assert victim.exitcode == 9
    assert len(list(log.folder.glob(".*"))) == 1, "the draft lies about"
    assert log.numbers() == ([1] if after else [])
    if after:
        assert log.read(1) == {"by": "victim"}
    log.append(log.latest() + 1, {"by": "next"})
    assert log.read(log.latest()) == {"by": "next"}


def test_a_torn_entry_is_refused_and_not_misread(log: EntryLog) -> None:
    log.append(1, {"by": "somebody"})
    path = log.folder / f"{1:020d}.json"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(FormatRefused, match="torn or not JSON"):
        log.read(1)


def test_another_format_is_refused(log: EntryLog) -> None:
    log.append(1, {})
    (log.folder / f"{2:020d}.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(FormatRefused, match="use the release that wrote it"):
        log.read(2)
