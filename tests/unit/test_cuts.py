"""Cuts and segments: who owns a record is a matter of offsets."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cuts import ZERO, Cut, CutRegistry, cuts_within, offsets_from, offsets_to, reaches, segment_of
from core.errors import EntryTaken, PositionError
from tests.model.world import MemoryEntries

SOME = settings(max_examples=300, deadline=None)
PARTITIONS = 3


@st.composite
def growing_cuts(draw: st.DrawFn) -> list[Cut]:
    """Cuts that only grow; a partition may appear between two of them, and two may be equal."""
    offsets: dict[int, int] = {}
    cuts = []
    for number in range(1, draw(st.integers(0, 6)) + 1):
        known = draw(st.integers(1, PARTITIONS))
        offsets |= {p: offsets.get(p, 0) + draw(st.integers(0, 4)) for p in {*offsets, *range(known)}}
        cuts.append(Cut(number, dict(offsets)))
    return cuts


vectors = st.dictionaries(st.integers(0, PARTITIONS - 1), st.integers(0, 15))


def naive_cuts_within(cuts: list[Cut], start: dict[int, int], end: dict[int, int]) -> tuple[int, list[Cut]]:
    """By a look at every cut."""
    behind = [cut for cut in cuts if all(cut.offset(p) <= start.get(p, 0) for p in {*cut.offsets, *end})]
    rest = cuts[len(behind) :]
    return len(behind), [cut for cut in rest if any(cut.offset(p) < last for p, last in end.items())]


@SOME
@given(growing_cuts(), vectors, vectors)
def test_cuts_found_by_halving_are_those_of_a_look_at_each(
    cuts: list[Cut], start: dict[int, int], more: dict[int, int]
) -> None:
    end = {p: start.get(p, 0) + more.get(p, 0) for p in {*start, *more}}
    assert cuts_within(cuts, start, end) == naive_cuts_within(cuts, start, end)
    for partition, offset in end.items():
        assert segment_of(partition, offset, cuts) == sum(cut.offset(partition) <= offset for cut in cuts)


class Counted(Sequence[Cut]):
    """Cuts made when they are asked for; counts how often."""

    looks = 0

    def __len__(self) -> int:
        return 100_000

    def __getitem__(self, at: Any) -> Any:
        found = range(1, 100_001)[at]
        if isinstance(found, range):
            return [self._cut(number) for number in found]
        return self._cut(found)

    def _cut(self, number: int) -> Cut:
        self.looks += 1
        return Cut(number, {0: number * 10})


def test_a_long_life_of_cuts_is_not_walked_through() -> None:
    cuts = Counted()
    assert cuts_within(cuts, {0: 500_000}, {0: 500_015}) == (50_000, [cuts[50_000]])
    assert segment_of(0, 500_000, cuts) == 50_000
    assert 0 < cuts.looks < 100


@SOME
@given(growing_cuts(), vectors, vectors)
def test_segments_by_the_cuts_within_a_range_are_those_by_all_cuts(
    cuts: list[Cut], start: dict[int, int], more: dict[int, int]
) -> None:
    end = {p: start.get(p, 0) + more.get(p, 0) for p in {*start, *more}}
    base, dividing = cuts_within(cuts, start, end)
    for partition, last in end.items():
        for offset in range(start.get(partition, 0), last):
            mine = base + sum(offset >= cut.offset(partition) for cut in dividing)
            assert mine == segment_of(partition, offset, cuts)


@SOME
@given(growing_cuts(), st.integers(0, 6))
def test_records_below_a_cut_are_those_of_the_segments_before_it(cuts: list[Cut], number: int) -> None:
    cut = ([ZERO, *cuts])[min(number, len(cuts))]
    for partition in range(PARTITIONS):
        for offset in range(30):
            assert (offset < cut.offset(partition)) == (segment_of(partition, offset, cuts) < cut.number)


@SOME
@given(growing_cuts())
def test_segments_never_fall_along_a_partition(cuts: list[Cut]) -> None:
    for partition in range(PARTITIONS):
        segments = [segment_of(partition, offset, cuts) for offset in range(30)]
        assert segments == sorted(segments)


def test_a_new_partition_has_offset_0_in_older_cuts() -> None:
    assert segment_of(1, 0, [Cut(1, {0: 5}), Cut(2, {0: 7, 1: 3})]) == 1
    assert segment_of(1, 3, [Cut(1, {0: 5}), Cut(2, {0: 7, 1: 3})]) == 2


def test_offsets_reach_others_on_every_partition() -> None:
    assert reaches({0: 5, 1: 1}, {0: 5}) and reaches({0: 1}, {}) and reaches({}, {1: 0})
    assert not reaches({0: 5}, {0: 5, 1: 1}) and not reaches({0: 4}, {0: 5})


def test_offsets_are_json_with_partitions_as_text() -> None:
    assert offsets_to({10: 1, 2: 3}) == {"2": 3, "10": 1}
    assert offsets_from(offsets_to({10: 1, 2: 3})) == {2: 3, 10: 1}


def test_a_registry_numbers_cuts_from_1_and_reads_what_others_made() -> None:
    entries = MemoryEntries()
    mine, theirs = CutRegistry(entries), CutRegistry(entries)
    assert mine.latest() == mine.get(0) == ZERO
    mine.make({0: 3}, by="speed")
    assert theirs.make({0: 3}, by="batch").number == 2
    assert [cut.number for cut in mine.all()] == [1, 2]
    assert mine.get(2) == Cut(2, {0: 3})


def test_a_cut_that_would_fall_is_refused() -> None:
    registry = CutRegistry(MemoryEntries())
    registry.make({0: 3, 1: 2}, by="speed")
    with pytest.raises(PositionError, match="lies before cut 1"):
        registry.make({0: 9}, by="speed")
    assert registry.latest().number == 1


class StaleRegistry(CutRegistry):
    """A leader that read the registry before another one made a cut."""

    def latest(self) -> Cut:
        return ZERO


def test_of_two_leaders_one_makes_the_cut() -> None:
    entries = MemoryEntries()
    CutRegistry(entries).make({0: 3}, by="one")
    with pytest.raises(EntryTaken):
        StaleRegistry(entries).make({0: 5}, by="other")
    assert CutRegistry(entries).all() == [Cut(1, {0: 3})]
