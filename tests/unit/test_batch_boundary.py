"""Which cut a batch run computes up to, and when it makes one itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_layer.boundary import Leader, Speed, choose
from core.cuts import CutRegistry, Offsets
from core.entries import EntryLog
from core.errors import BoundaryError
from core.logs import get_logger


class FixedSpeed(Speed):
    """A speed layer that always says the same."""

    def __init__(self, alive: bool = False, intended: Offsets | None = None) -> None:
        self._leader = Leader(alive, intended or {})

    def leader(self) -> Leader:
        return self._leader


def registry(tmp_path: Path, *cuts: dict[int, int]) -> CutRegistry:
    found = CutRegistry(EntryLog(tmp_path / "cuts"))
    for offsets in cuts:
        found.make(offsets, "speed")
    return found


def chosen(
    cuts: CutRegistry,
    archived: Offsets,
    speed: Speed,
    at_least: int = 0,
    redrain: Callable[[], Offsets] | None = None,
) -> int:
    return choose(cuts, archived, at_least, speed, get_logger("test"), redrain or (lambda: archived)).number


def test_without_a_leader_the_run_cuts_at_the_end_of_the_archive(tmp_path: Path) -> None:
    cuts = registry(tmp_path, {0: 5})
    assert chosen(cuts, {0: 9}, FixedSpeed()) == 2
    assert cuts.latest().offsets == {0: 9}


def test_without_anything_new_no_cut_is_made(tmp_path: Path) -> None:
    cuts = registry(tmp_path, {0: 5})
    assert chosen(cuts, {0: 5}, FixedSpeed()) == 1
    assert chosen(registry(tmp_path / "empty"), {}, FixedSpeed()) == 0
    assert chosen(registry(tmp_path / "zero"), {0: 0}, FixedSpeed()) == 0


def test_a_leader_makes_the_cuts(tmp_path: Path) -> None:
    cuts = registry(tmp_path, {0: 5}, {0: 12})
    assert chosen(cuts, {0: 9}, FixedSpeed(alive=True)) == 1
    assert cuts.latest().number == 2


def test_a_cut_lies_at_or_beyond_what_the_last_leader_intended(tmp_path: Path) -> None:
    cuts = registry(tmp_path, {0: 5})
    assert chosen(cuts, {0: 9}, FixedSpeed(intended={0: 11}), redrain=lambda: {0: 15}) == 2
    assert cuts.latest().offsets == {0: 15}


def test_no_cut_is_made_behind_what_the_last_leader_intended(tmp_path: Path) -> None:
    cuts = registry(tmp_path, {0: 5})
    assert chosen(cuts, {0: 9}, FixedSpeed(intended={0: 11})) == 1
    assert cuts.latest().number == 1


def test_an_archive_that_lost_rows_lets_no_boundary_fall(tmp_path: Path) -> None:
    with pytest.raises(BoundaryError, match="covers cut 0, but readers use cut 1"):
        chosen(registry(tmp_path, {0: 5}), {0: 3}, FixedSpeed(), at_least=1)
