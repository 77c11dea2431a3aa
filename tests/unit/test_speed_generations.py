"""When a generation can go on, and where a new one begins."""

from dataclasses import replace

import numpy as np
import pytest

from core.cuts import Cut, segment_of
from core.handoff import Generation, Progress
from core.topics import LogIdentity
from speed_layer.generations import Found, Wanted, beginning, objection, reading_start, usable
from speed_layer.micro_batches import segments_of

CUTS = [Cut(1, {0: 10, 1: 5}), Cut(2, {0: 20, 1: 5}), Cut(3, {0: 20, 1: 30, 2: 4})]
WANTED = Wanted("edits", "abc", 2, 2, LogIdentity("cluster", "edits", "topic"), 1)
META = Generation("g", "edits", 1, {0: 10, 1: 5}, "abc", 2, "cluster", "topic")
PROGRESS = Progress(7, {0: 25, 1: 30}, 3, 1)
FOUND = Found(META, PROGRESS, (7, 7), 7, 7, {0: 25, 1: 30})


def test_a_generation_that_agrees_with_its_checkpoint_goes_on() -> None:
    assert objection(WANTED, FOUND, 3) is None


@pytest.mark.parametrize(
    ("found", "about"),
    [
        (replace(FOUND, planned=8), None),
        (replace(FOUND, planned=8, stamps=(8, 7)), None),
        (replace(FOUND, done=6), None),
        (replace(FOUND, stamps=(8, 7)), "shards"),
        (replace(FOUND, stamps=(7, 6)), "shards"),
        (replace(FOUND, stamps=(None, 7)), "shards"),
        (replace(FOUND, planned=6, done=6), "checkpoint"),
        (replace(FOUND, planned=-1, done=-1), "checkpoint"),
        (replace(FOUND, planned=9, done=8), "checkpoint"),
        (replace(FOUND, end={0: 24, 1: 30}), "other offsets"),
        (replace(FOUND, meta=replace(META, semantics="x")), "definitions"),
        (replace(FOUND, meta=replace(META, shards=4)), "LAMBDA_SHARDS"),
        (replace(FOUND, meta=replace(META, topic_id="x")), "another log"),
        (replace(FOUND, meta=replace(META, start_cut=2)), "readers need 1"),
        (replace(FOUND, progress=replace(PROGRESS, floor=2)), "readers need 1"),
        (replace(FOUND, progress=replace(PROGRESS, cuts=4)), "registry"),
    ],
)
def test_what_ends_a_generation(found: Found, about: str | None) -> None:
    reason = objection(WANTED, found, 3)
    assert reason is None if about is None else reason is not None and about in reason


def test_a_new_generation_starts_at_the_boundary_and_reads_some_segments_before_it() -> None:
    meta, progress = beginning(replace(WANTED, boundary=3), "new", CUTS, {0: 0, 1: 0, 2: 0})
    assert (meta.start_cut, meta.offsets) == (3, {0: 20, 1: 30, 2: 4})
    assert progress == Progress(-1, {0: 10, 1: 5, 2: 0}, 3, 3)


def test_records_that_the_log_dropped_are_declared() -> None:
    _, progress = beginning(replace(WANTED, boundary=2), "new", CUTS, {0: 25, 1: 0})
    assert progress.lost is not None and "partition 0 from 20 to 25" in progress.lost


def test_a_log_that_lost_its_beginning_is_not_whole_when_readers_go_back_to_nothing() -> None:
    _, progress = beginning(replace(WANTED, boundary=0, origin={0: 5}), "new", CUTS, {0: 25, 1: 0})
    assert progress.lost is not None and "partition 0 from 5 to 25" in progress.lost


def test_a_log_read_from_its_beginning_has_lost_nothing() -> None:
    _, progress = beginning(replace(WANTED, boundary=0, origin={0: 25}), "new", [], {0: 25})
    assert progress.lost is None
    assert reading_start(0, 20, [], {0: 25}) == {0: 25}


def test_readers_keep_a_generation_only_if_it_is_whole_and_means_the_same() -> None:
    assert usable(META, PROGRESS, (7, 8), "abc")
    assert not usable(META, PROGRESS, (7, 6), "abc")
    assert not usable(META, PROGRESS, (7, None), "abc")
    assert not usable(META, PROGRESS, (7, 7), "other")
    assert not usable(None, None, (), "abc")


def test_segments_of_many_offsets_are_those_of_each() -> None:
    start, end = {0: 8, 1: 5}, {0: 40, 1: 33, 2: 6}
    segments = segments_of(CUTS, start, end)
    for partition, first, last in ((0, 8, 40), (1, 5, 33), (2, 0, 6)):
        offsets = np.arange(first, last)
        expected = [segment_of(partition, int(offset), CUTS) for offset in offsets]
        assert segments.of(partition, offsets).tolist() == expected
