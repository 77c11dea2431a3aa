"""Losses: found, declared, carried; and which log a source is of."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ForeignLog, RecordsLost
from core.folders import Folders
from core.losses import Gap, Loss, Losses, gaps, lost_from, require_accepted, unaccepted
from core.topics import LogIdentity

LOG = LogIdentity("cluster", "orders", "topic")
GAPS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(1, 6)).map(
        lambda each: Gap(each[0], each[1], each[1] + each[2])
    ),
    max_size=5,
)


@pytest.fixture
def losses(tmp_path: Path) -> Losses:
    return Folders(tmp_path, "orders").losses()


def positions(gaps: list[Gap]) -> set[tuple[int, int]]:
    return {(gap.partition, offset) for gap in gaps for offset in range(gap.start, gap.end)}


def test_a_gap_lies_between_what_is_expected_and_where_the_log_begins() -> None:
    assert gaps({0: 5, 1: 4}, {0: 5, 1: 9, 2: 3}) == [Gap(1, 4, 9), Gap(2, 0, 3)]


@given(GAPS, GAPS)
def test_what_nobody_accepted_is_a_difference_of_sets(found: list[Gap], accepted: list[Gap]) -> None:
    left = unaccepted(found, accepted)
    assert positions(left) == positions(found) - positions(accepted)
    assert all(gap.start < gap.end for gap in left)


def test_a_loss_that_nobody_accepted_is_an_error_that_names_it_and_the_way_out() -> None:
    require_accepted([Gap(0, 4, 9)], [Gap(0, 0, 6), Gap(0, 6, 20)])
    with pytest.raises(
        RecordsLost, match=r"partition 1: archived up to 4, but the log begins at 9"
    ) as caught:
        require_accepted([Gap(1, 4, 9)], [Gap(0, 0, 20)])
    assert caught.value.lost == ((1, 4, 9),)
    assert "offsets 4 to 8" in str(caught.value) and "batch_layer.losses accept" in str(caught.value)


def test_losses_are_kept_in_the_order_in_which_they_were_accepted(losses: Losses, tmp_path: Path) -> None:
    assert losses.accepted() == []
    losses.accept([Gap(0, 5, 7), Gap(1, 0, 2)], "monday", "a full disk")
    losses.accept([Gap(0, 9, 10)], "tuesday", "")
    wanted = [Loss(0, 5, 7, "monday", "a full disk"), Loss(1, 0, 2, "monday", "a full disk")]
    assert Folders(tmp_path, "orders").losses().accepted() == [*wanted, Loss(0, 9, 10, "tuesday")]


def test_a_manifest_carries_what_is_lost_below_its_boundary(losses: Losses) -> None:
    losses.accept([Gap(0, 5, 9), Gap(1, 0, 2)], "monday", "why")
    assert losses.below({0: 5}) == ()
    (loss,) = losses.below({0: 7})
    assert loss == {"partition": 0, "start": 5, "end": 7, "at": "monday", "note": "why"}
    assert [loss["end"] for loss in losses.below({0: 99, 1: 1})] == [9, 1]


def test_a_log_begins_where_it_was_first_seen(losses: Losses, tmp_path: Path) -> None:
    assert losses.known() is None
    assert losses.origin(LOG, {0: 3, 1: 0}) == {0: 3, 1: 0}
    assert Folders(tmp_path, "orders").losses().origin(LOG, {0: 8, 1: 4, 2: 0}) == {0: 3, 1: 0}
    assert losses.known() == ("cluster", "topic")


@pytest.mark.parametrize("other", [replace(LOG, topic_id="new"), replace(LOG, cluster="new")])
def test_another_log_under_the_same_name_is_refused(losses: Losses, other: LogIdentity) -> None:
    losses.origin(LOG, {0: 0})
    with pytest.raises(ForeignLog, match="give the new log a source of its own"):
        losses.origin(other, {0: 0})


def test_segments_with_a_loss_cannot_be_counted_again() -> None:
    lost = [Loss(1, 10, 20, "now").report()]
    assert lost_from(lost, {0: 50, 1: 20}) is None
    assert lost_from(lost, {0: 50, 1: 15}) == "records of these segments are lost: partition 1 from 10 to 20"
    assert lost_from(lost, {}) is not None
