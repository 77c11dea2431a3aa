"""The hand-off as pure functions: one test for each verdict."""

from dataclasses import replace
from typing import Any

import pytest

from core.cuts import ZERO, Cut
from core.errors import BoundaryError, ForeignLog, FormatRefused, IntentMismatch, PositionError
from core.handoff import (
    Generation,
    Intent,
    Lease,
    Progress,
    as_of,
    check_abutting,
    check_intent,
    check_same_log,
    choose_boundary,
    doubts,
    may_cut,
    respects,
    window_start,
)
from core.manifest import Manifest

CUTS = [Cut(1, {0: 5}), Cut(2, {0: 8, 1: 3}), Cut(3, {0: 9, 1: 9})]
GENERATION = Generation("g1", "orders", 2, {0: 8, 1: 3}, "hash", 2, "cluster", "topic")
INTENT = Intent(7, {0: 5}, {0: 8, 1: 2}, 1, "hash")
PROGRESS = Progress(batch=7, end={0: 9, 1: 9}, cuts=3, floor=2)
LEASE = Lease(batch=7, as_of=100.0, at=100.5)
MANIFEST = Manifest(4, "orders", 3, {0: 9, 1: 9}, "cluster", "topic", 12, "hash", "now")


# --- boundary, archive, log ---


@pytest.mark.parametrize(
    ("archived", "boundary"),
    [({}, 0), ({0: 5}, 1), ({0: 8, 1: 2}, 1), ({0: 8, 1: 3}, 2), ({0: 99, 1: 99}, 3)],
)
def test_the_boundary_is_the_newest_cut_that_is_archived_on_every_partition(
    archived: dict[int, int], boundary: int
) -> None:
    assert choose_boundary(CUTS, archived, 0) == [ZERO, *CUTS][boundary]


def test_a_master_dataset_behind_the_boundary_of_readers_is_refused() -> None:
    with pytest.raises(BoundaryError, match="covers cut 1, but readers use cut 2"):
        choose_boundary(CUTS, {0: 8}, at_least=2)


def test_archived_micro_batches_that_abut_give_their_end() -> None:
    chain: list[Any] = [({0: 0}, {0: 5}), ({0: 5}, {0: 8, 1: 3}), ({0: 8, 1: 3}, {0: 8, 1: 4})]
    assert check_abutting(chain) == {0: 8, 1: 4}
    assert check_abutting([]) == {}
    assert check_abutting([({0: 40}, {0: 50})]) == {0: 50}


def test_a_gap_that_was_accepted_may_be_left_out_and_no_other() -> None:
    chain: list[Any] = [({0: 0, 1: 0}, {0: 5, 1: 2}), ({0: 7, 1: 2}, {0: 8, 1: 3})]
    assert check_abutting(chain, {(0, 5, 7)}) == {0: 8, 1: 3}
    for other in ((0, 5, 6), (0, 4, 7), (1, 5, 7), (0, 5, 8)):
        with pytest.raises(PositionError, match="archived up to 5, and then from 7"):
            check_abutting(chain, {other})


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ([({0: 0}, {0: 5}), ({0: 6}, {0: 8})], "archived up to 5, and then from 6"),
        ([({0: 0}, {0: 5}), ({0: 0}, {0: 5})], "two archivers wrote"),
        ([({0: 0}, {0: 5}), ({}, {0: 8})], "a topic that was made anew"),
        ([({0: 5}, {0: 3})], "a topic that was made anew"),
    ],
)
def test_a_hole_an_overlap_or_a_restart_is_refused(chain: Any, message: str) -> None:
    with pytest.raises(PositionError, match=message):
        check_abutting(chain)


def test_another_log_under_the_same_name_is_refused() -> None:
    check_same_log(("c", "t"), ("c", "t"), "orders")
    with pytest.raises(ForeignLog, match="give the new log a source of its own"):
        check_same_log(("c", "t"), ("c", "t2"), "orders")


# --- the speed job ---


def test_a_replay_must_be_what_was_intended() -> None:
    check_intent(INTENT, INTENT)
    check_intent(INTENT, replace(INTENT, cuts=2))
    for changed in (
        replace(INTENT, batch=6),
        replace(INTENT, start={0: 4}),
        replace(INTENT, end={0: 9, 1: 2}),
        replace(INTENT, semantics="other"),
    ):
        with pytest.raises(IntentMismatch, match="micro-batch 7 was intended as"):
            check_intent(INTENT, changed)


def test_a_cut_behind_what_is_consumed_is_not_respected() -> None:
    assert respects(CUTS, 3, {0: 99})
    assert respects(CUTS, 2, {0: 9, 1: 9})
    assert not respects(CUTS, 2, {0: 10, 1: 9})
    assert not respects(CUTS, 1, {0: 9})
    assert not respects(CUTS, 0, {0: 1, 5: 1}), "a partition that the cut does not know"
    assert respects(CUTS, 0, {})


def test_a_leader_cuts_when_something_was_consumed_and_the_interval_has_passed() -> None:
    latest = CUTS[1]
    assert may_cut(latest, {0: 9, 1: 3}, made_at=0, now=30, interval=30)
    assert may_cut(latest, {0: 8, 1: 3, 2: 1}, made_at=0, now=30, interval=30)
    assert not may_cut(latest, {0: 9, 1: 3}, made_at=0, now=29, interval=30)
    assert not may_cut(latest, {0: 8, 1: 3}, made_at=0, now=99, interval=30)
    assert not may_cut(latest, {0: 9}, made_at=0, now=99, interval=30), "it lies behind on one partition"


def test_a_generation_reads_a_window_before_its_start() -> None:
    assert (window_start(30, 20), window_start(5, 20)) == (10, 0)


# --- answers ---


def complete(**changes: Any) -> list[str]:
    facts: dict[str, Any] = {
        "manifest": MANIFEST,
        "semantics": "hash",
        "generation": GENERATION,
        "progress": PROGRESS,
        "lease": LEASE,
        "stamps": [7, 8],
        "floors": [2, 2],
    }
    return doubts(**(facts | changes))


def test_an_answer_without_a_doubt_is_complete() -> None:
    assert complete() == []


def test_before_the_first_publish_the_speed_layer_answers_alone() -> None:
    from_the_start = replace(GENERATION, start_cut=0)
    assert (
        complete(manifest=None, generation=from_the_start, progress=replace(PROGRESS, floor=0), floors=[0])
        == []
    )
    assert complete(manifest=None, semantics="new") != []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"generation": None}, "the speed layer has no state"),
        ({"progress": None}, "the speed layer has no state"),
        ({"generation": replace(GENERATION, semantics="old")}, "other definitions than the batch view"),
        ({"manifest": replace(MANIFEST, semantics="old")}, "other definitions than the batch view"),
        ({"generation": replace(GENERATION, start_cut=4)}, "starts at cut 4, beyond boundary 3"),
        ({"progress": replace(PROGRESS, cuts=2)}, "has not reached boundary 3 yet"),
        ({"progress": replace(PROGRESS, floor=4)}, "dropped segments below 4"),
        ({"floors": [2, 5]}, "dropped segments below 5"),
        ({"progress": replace(PROGRESS, lost="a shard was full")}, "lost events: a shard was full"),
        ({"lease": None}, "its job is down"),
        ({"lease": replace(LEASE, batch=8)}, "older than its job says"),
        ({"stamps": [7, 6]}, "older than its job says"),
        ({"stamps": [7, None]}, "older than its job says"),
    ],
)
def test_each_doubt_is_said(changes: dict[str, Any], reason: str) -> None:
    reasons = complete(**changes)
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_all_doubts_are_said_at_once() -> None:
    assert len(complete(lease=None, stamps=[None], progress=replace(PROGRESS, lost="x"))) == 3


def test_as_of_is_the_time_before_which_nothing_is_missing() -> None:
    assert as_of(100.0, {0: 5, 1: 3}, {0: 5, 1: 3}, {}) == 100.0
    assert as_of(100.0, {0: 5, 1: 3}, {0: 5, 1: 2}, {1: 60.0}) == 60.0
    assert as_of(100.0, {0: 5, 1: 3}, {0: 5}, {1: 70.0}) == 70.0
    assert as_of(100.0, {0: 5, 1: 3}, {0: 4, 1: 2}, {0: 50.0, 1: 60.0}) == 50.0
    assert as_of(100.0, {}, {}, {}) == 100.0


# --- what is stored ---


@pytest.mark.parametrize("stored", [GENERATION, INTENT, PROGRESS], ids=lambda part: type(part).__name__)
def test_what_is_stored_is_read_back(stored: Any) -> None:
    assert type(stored).from_json(stored.to_json()) == stored


def test_what_another_release_stored_is_refused() -> None:
    with pytest.raises(FormatRefused, match="start a new generation"):
        Generation.from_json(GENERATION.to_json() | {"format": 2})
    with pytest.raises(FormatRefused):
        Progress.from_json(PROGRESS.to_json() | {"token": 1})
