"""Closed segments kept by the reader change no answer, whatever is written, cut and published meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.state import speed_commands
from core.cuts import Cut
from core.handoff import Progress
from core.instants import format_instant
from core.layout import Layout
from core.periods import Periods
from serving_layer import key_reading
from serving_layer.closed import closed_segments
from serving_layer.kept import Kept
from serving_layer.speed_state import RedisSpeedStore
from tests.serving_kit import (
    BOUND,
    DAY,
    SEMANTICS,
    FakePipe,
    buckets_of,
    edit,
    fields_of,
    generation,
    lease,
    place,
)  # fmt: skip # isort: skip

LAYOUT = Layout("t", BOUND.source.name)
SPAN = (DAY - 86_400, DAY + 2 * 86_400)
moments = st.integers(-20, 80).map(lambda quarter: format_instant((DAY + quarter * 900) * 1_000_000))
events = st.lists(moments.map(lambda moment: edit(0, event_time=moment)), min_size=1, max_size=6)
ROWS = [
    None,
    Periods("hour"),
    Periods("day"),
    Periods("day", "Asia/Kathmandu"),
    Periods("week", "Asia/Tokyo"),
]
# a step: what a micro-batch brings, whether a cut follows, whether a publish raises the boundary, who asks
steps = st.lists(
    st.tuples(events, st.booleans(), st.booleans(), st.sampled_from(ROWS)),
    min_size=3,
    max_size=14,
)


@pytest.mark.parametrize("name", ["edits_by_channel", "edits_by_user"])
@settings(max_examples=60, deadline=None)
@given(steps=steps, worth=st.sampled_from([1, 3]), many=st.sampled_from([1, 3, 99]))
def test_a_reader_that_remembers_answers_as_one_that_does_not(
    name: str, steps: Any, worth: int, many: int
) -> None:
    view, pipe, cuts, written = BOUND.view(name), FakePipe(), list[Cut](), list[tuple[int, Any]]()
    store = RedisSpeedStore(LAYOUT, pipe, SEMANTICS, lambda: cuts)
    key, boundary = place(view, edit(0))[0], 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_reading, "_WORTH", worth)
        patch.setattr(key_reading, "_MANY", many)
        for batch, (brought, cut, publish, every) in enumerate(steps):
            written += [(len(cuts), event) for event in brought]
            stand = Progress(batch, {0: len(written)}, len(cuts), 0)
            pipe.apply(
                speed_commands(LAYOUT, generation(), stand, lease(batch), [(view, fields_of(view, written))])
            )
            boundary = len(cuts) if publish else boundary
            expected = buckets_of(view, [event for segment, event in written if segment >= boundary])
            for _ in range(2):
                found = asyncio.run(store.read(view, key, SPAN, boundary, every))
                assert rows(view, found.buckets, every) == rows(
                    view, [(bucket, one) for (_, bucket), one in expected.items()], every
                )
            if cut:
                cuts.append(Cut(len(cuts) + 1, {0: len(written)}))


def rows(view: Any, buckets: Sequence[Any] | None, every: Periods | None) -> dict[int, Any]:
    groups: dict[int, list[Any]] = {}
    for bucket, partial in buckets or ():
        groups.setdefault(every.start(bucket) if every else 0, []).append(partial)
    return {row: view.present(view.merge_all(partials)) for row, partials in groups.items()}


def test_what_is_closed_is_not_fetched_again() -> None:
    view, cuts = BOUND.view("wiki"), [Cut(1, {0: 100})]
    brought = [(0, edit(n, event_time=format_instant((DAY + n * 60) * 1_000_000))) for n in range(60)] + [
        (1, edit(99, event_time="2015-09-12T00:00:00Z"))
    ]
    stand = Progress(7, {0: 101}, 1, 0)
    pipe = FakePipe(speed_commands(LAYOUT, generation(), stand, lease(), [(view, fields_of(view, brought))]))
    store = RedisSpeedStore(LAYOUT, pipe, SEMANTICS, lambda: cuts)
    read = [asyncio.run(store.read(view, "", SPAN, 0)) for _ in range(2)]
    assert [each.fields for each in read] == [61, 1]
    assert not any(command[0] == "HGETALL" for command in pipe.pipelines[-1])


def test_much_that_came_at_once_is_not_fetched_again_before_the_next_micro_batch() -> None:
    view = BOUND.view("wiki")
    brought = [(0, edit(n, event_time=format_instant((DAY + n * 60) * 1_000_000))) for n in range(300)]
    pipe = FakePipe()
    store = RedisSpeedStore(LAYOUT, pipe, SEMANTICS)
    read = []
    for batch, upto in ((0, 299), (0, 299), (1, 300), (1, 300)):
        fields = [(view, fields_of(view, brought[:upto]))]
        stand = Progress(batch, {0: upto}, 0, 0)
        pipe.apply(speed_commands(LAYOUT, generation(), stand, lease(batch), fields))
        read.append(asyncio.run(store.read(view, "", SPAN, 0)))
    assert [each.fields for each in read] == [299, 0, 300, 0]
    counts = [view.present(view.merge_all([one for _, one in each.buckets or ()]))["edits"] for each in read]
    assert counts == [299, 299, 300, 300]


def test_a_segment_is_closed_once_its_cut_is_reached_everywhere() -> None:
    cuts = [Cut(1, {0: 10}), Cut(2, {0: 20, 1: 5}), Cut(3, {0: 30, 1: 9})]
    assert closed_segments(cuts, Progress(1, {0: 25, 1: 9}, 3, 0)) == 2
    assert closed_segments(cuts, Progress(1, {0: 25, 1: 9}, 1, 0)) == 1
    assert closed_segments(cuts, Progress(1, {0: 5}, 3, 0)) == 0
    assert closed_segments(cuts, Progress(1, {0: 25, 1: 9}, 9, 0)) == 2, "cuts this process has not read"
    assert closed_segments(cuts, None) == 0


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    kept: Kept[int, bytes] = Kept(3000, len)
    for number in range(4):
        kept.put(number, b"x" * 900)
        kept.get(0)
    assert [kept.get(number) is not None for number in range(4)] == [True, False, True, True]
