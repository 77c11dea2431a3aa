"""What the archive reads next, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_layer.chunks import check_long_enough, next_chunk, reading_start, remaining
from core.errors import PositionError
from core.losses import Gap

OFFSETS = st.dictionaries(st.integers(0, 4), st.integers(0, 50), max_size=5)


@given(OFFSETS, OFFSETS, st.integers(1, 60))
def test_chunks_abut_and_end_where_the_log_ends(
    archived: dict[int, int], added: dict[int, int], limit: int
) -> None:
    end = {p: archived.get(p, 0) + added.get(p, 0) for p in {*archived, *added}}
    stand, rounds = dict(archived), 0
    while True:
        start, stop = next_chunk(remaining(stand, {}, end), limit)
        if start == stop:
            break
        assert all(start[p] == stand.get(p, 0) for p in start)
        assert sum(stop[p] - start[p] for p in stop) <= limit + len(end)
        stand, rounds = stop, rounds + 1
    assert rounds <= sum(added.values())
    assert all(stand.get(p, 0) == last for p, last in end.items())


def test_every_partition_that_has_something_left_advances() -> None:
    start, stop = next_chunk({0: (0, 1_000_000), 1: (7, 8)}, 10)
    assert start == {0: 0, 1: 7} and stop[0] > 0 and stop[1] == 8


def test_a_partition_starts_where_the_log_begins() -> None:
    assert remaining({0: 9}, {0: 3, 1: 5}, {0: 10, 1: 8}) == {0: (9, 10), 1: (5, 8)}


def test_a_log_shorter_than_its_archive_is_an_error() -> None:
    check_long_enough({0: 5}, {0: 5})
    with pytest.raises(PositionError, match="partition 0: archived up to 5, the log ends at 3"):
        check_long_enough({0: 5}, {0: 3})


def test_a_partition_is_read_on_behind_what_is_lost_unless_the_loss_is_refused() -> None:
    lost = [Gap(0, 5, 9), Gap(1, 4, 6)]
    assert reading_start({0: 5, 1: 4, 2: 7}, lost, []) == {0: 9, 1: 6, 2: 7}
    assert reading_start({0: 5, 1: 4, 2: 7}, lost, [Gap(1, 5, 6)]) == {0: 9, 1: 4, 2: 7}
