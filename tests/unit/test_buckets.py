"""Buckets and tiles: any range splits exactly, into the fewest tiles."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.buckets import DAY, HOUR, MINUTE, ceil, floor, parse_bucket, split, steps, tiles_of
from core.errors import DefinitionError

BUCKETS = [MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY]
SOME = settings(max_examples=200, deadline=None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1 minute", 60), ("15 minutes", 900), ("1 hour", 3600), (" 6 hours ", 21600), ("1 day", DAY)],
)
def test_a_bucket_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_bucket(text) == seconds


@pytest.mark.parametrize("text", ["", "0 hours", "7 minutes", "5 hours", "2 days", "hour", "² hours"])
def test_a_bucket_that_no_tile_can_be_made_of_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="write N minutes"):
        parse_bucket(text)


def test_tiles_are_the_bucket_and_all_coarser_ones() -> None:
    assert tiles_of(900) == (900, HOUR, DAY)
    assert tiles_of(6 * HOUR) == (6 * HOUR, DAY)
    assert tiles_of(DAY) == (DAY,)


@given(st.integers(-(10**12), 10**12), st.sampled_from(BUCKETS))
def test_floor_and_ceil_enclose_a_moment_also_before_1970(moment: int, width: int) -> None:
    assert floor(moment, width) <= moment <= ceil(moment, width)
    assert floor(moment, width) % width == ceil(moment, width) % width == 0
    assert ceil(moment, width) - floor(moment, width) in (0, width)


@SOME
@given(st.sampled_from(BUCKETS), st.integers(-5000, 5000), st.integers(0, 5000))
def test_tiles_of_a_range_are_disjoint_and_cover_it_exactly(width: int, first: int, count: int) -> None:
    start, end = first * width, (first + count) * width
    at = start
    for run in split(start, end, tiles_of(width)):
        assert run.start == at and run.end > run.start
        assert run.start % run.width == run.end % run.width == 0
        at = run.end
    assert at == end


@SOME
@given(st.integers(-200, 200), st.integers(0, 150))
def test_tiles_of_a_range_are_the_fewest(first: int, count: int) -> None:
    widths = (1, 5, 20)
    runs = split(first, first + count, widths)
    assert sum(run.count for run in runs) == fewest(first, first + count, widths)


def fewest(start: int, end: int, widths: tuple[int, ...]) -> int:
    """By trying every tile at every place."""

    @cache
    def best(at: int) -> int:
        if at == end:
            return 0
        fits = [w for w in widths if at % w == 0 and at + w <= end]
        return 1 + min(best(at + width) for width in fits)

    for at in range(end, start, -1):
        best(at)
    return best(start)


def test_a_reversed_range_has_no_tiles() -> None:
    assert split(HOUR, 0, (MINUTE, HOUR)) == []


def test_steps_end_at_multiples_of_the_width() -> None:
    assert list(steps(-30, 130, 60)) == [(-30, 0), (0, 60), (60, 120), (120, 130)]
