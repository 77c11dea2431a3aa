"""What the archive reads next, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_layer.chunks import check_kept, next_chunk, remaining
from core.errors import PositionError

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


def test_records_dropped_before_they_were_archived_are_an_error_that_names_them() -> None:
    check_kept({0: 5}, {0: 5}, {0: 5})
    with pytest.raises(
        PositionError, match=r"partition 1: archived up to 4, but the log begins at 9: offsets 4 to 8"
    ):
        check_kept({0: 5, 1: 4}, {0: 5, 1: 9}, {0: 5, 1: 12})


def test_a_log_shorter_than_its_archive_is_an_error() -> None:
    with pytest.raises(PositionError, match="partition 0: archived up to 5, the log ends at 3"):
        check_kept({0: 5}, {0: 0}, {0: 3})
