"""The speed state held against a fold of the log: what is equal, what differs where, and why."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from datasketches import frequent_strings_sketch
from hypothesis import given, settings
from hypothesis import strategies as st

from core import Count, Max, Quantiles, Source, Sum, Top, Uniques, View
from core.copies import Copy, judge
from core.cuts import Cut
from core.equality import (
    Cause,
    Difference,
    Place,
    Tally,
    attributed,
    compare,
    findings,
    identity_findings,
    merged,
)
from core.handoff import Generation, Progress
from core.manifest import Pointer
from core.measures import Measure, Partial
from core.standing import Standing, chosen_shards, counted_lost, objection
from core.views import CompiledView
from tests.measures import BOUND, folded

SOME = settings(max_examples=60, deadline=None)
COLUMNS = {
    "event_time": "timestamp",
    "user": "string",
    "page": "string",
    "size": "decimal(10,2)",
    "n": "long",
}
VIEW: CompiledView = View(
    "edits",
    Source("edits", "edits"),
    {"edits": Count(), "n": Sum("n"), "most": Max("n"), "users": Uniques("user"), "sizes": Quantiles("n"),
     "pages": Top("page")},
    key=("page",),
).compile(COLUMNS)  # fmt: skip
Event = tuple[int, str, str]  # n, user, page
events = st.lists(st.tuples(st.integers(-9, 9), st.sampled_from("abcd"), st.sampled_from("xyz")), max_size=12)
places = st.tuples(st.sampled_from(["1:x", "1:y"]), st.integers(3, 5), st.sampled_from([0, 3600]))
sides = st.dictionaries(places, events.filter(bool), max_size=6)


def fold(seen: Sequence[Event]) -> Partial:
    return VIEW.merge_all(
        [
            VIEW.lift({"edits": 1, "n": n, "most": n, "users": user, "sizes": n, "pages": page})
            for n, user, page in seen
        ]
    )


def folds(side: Mapping[Place, Sequence[Event]]) -> dict[Place, Partial]:
    return {place: fold(seen) for place, seen in side.items()}


# --- measures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("measure", "values"), BOUND, ids=[repr(m) for m, _ in BOUND])
def test_a_measure_is_the_same_however_its_values_are_split_and_ordered(
    measure: Measure, values: Any
) -> None:
    @SOME
    @given(st.lists(st.none() | values, max_size=30), st.integers(0, 30), st.randoms())
    def law(seen: list[Any], cut: int, dice: random.Random) -> None:
        mixed = dice.sample(seen, len(seen))
        parts = [folded(measure, mixed[:cut]), folded(measure, mixed[cut:])]
        whole = folded(measure, seen)
        assert measure.same(whole, measure.merge_all(parts))
        assert measure.figure(whole) == measure.figure(measure.merge_all(parts))

    law()


@pytest.mark.parametrize("size", [1, 5, 9, 50, 400, 3000])
@pytest.mark.parametrize("name", ["users", "sizes", "pages"])
def test_a_sketch_that_misses_a_value_is_another_one(name: str, size: int) -> None:
    measure = VIEW.measures[name]
    values: list[Any] = [float(n) for n in range(size)] if name == "sizes" else [f"v{n}" for n in range(size)]
    whole, backwards = folded(measure, values), folded(measure, values[::-1])
    assert measure.same(whole, backwards)
    # of the two thousand values that 4096 registers hold some are covered by others
    assert not measure.same(whole, folded(measure, values[size // 2 + 1 :]))


@pytest.mark.parametrize("name", ["users", "sizes", "pages"])
def test_no_sketch_and_a_sketch_of_nothing_are_the_same(name: str) -> None:
    measure = cast(Any, VIEW.measures[name])
    value = 1.0 if name == "sizes" else "a"
    for nothing in ((b"",), (None,), (measure._empty(),)):
        assert measure.same(nothing, measure.zero) and measure.same(measure.zero, nothing)
        assert measure.figure(nothing) == 0
        assert not measure.same(nothing, measure.lift(value)) and not measure.same(
            measure.lift(value), nothing
        )


def test_a_full_sketch_of_top_values_is_held_to_its_bounds() -> None:
    measure, dice = Top("text", capacity=8).bind({"text": "string"}), random.Random(1)
    values = [f"v{min(dice.randrange(40), dice.randrange(40))}" for _ in range(2000)]
    whole = _top(values)
    assert measure.same(whole, _top(values[::-1]))
    assert measure.same(whole, measure.merge(_top(values[:999]), _top(values[999:])))
    assert not measure.same(whole, _top(values[1:]))
    assert not measure.same(whole, _top([f"v{n % 3}" for n in range(2000)]))


def _top(values: Sequence[str]) -> Partial:
    sketch = frequent_strings_sketch(4)
    for value in values:
        sketch.update(value)
    return (bytes(sketch.serialize()),)


def test_an_estimate_of_quantiles_may_differ_by_chance_and_not_by_values() -> None:
    measure, dice = VIEW.measures["sizes"], random.Random(1)
    values = [dice.random() for _ in range(20_000)]
    pieces = [folded(measure, values[at : at + 1000]) for at in range(0, 20_000, 1000)]
    assert measure.same(folded(measure, values), measure.merge_all(pieces))
    other = [value * value for value in values]
    other[values.index(min(values))], other[values.index(max(values))] = min(values), max(values)
    assert not measure.same(folded(measure, values), folded(measure, other))


# --- comparison -------------------------------------------------------------------------------------------


@SOME
@given(sides, st.dictionaries(places, st.just(Cause.OUT_OF_ORDER), max_size=2))
def test_equal_sides_have_no_difference(
    side: dict[Place, list[Event]], contested: dict[Place, Cause]
) -> None:
    backwards = {place: seen[::-1] for place, seen in side.items()}
    tally = compare(VIEW, folds(side), folds(backwards), contested)
    assert tally.places == len(side) and not tally.differing
    for finding in findings(VIEW, tally):
        assert (finding.cause, finding.differing, finding.keys) == (None, 0, ())
        assert finding.expected == finding.found


@SOME
@given(sides, sides, st.dictionaries(places, st.just(Cause.OUT_OF_ORDER), max_size=3))
def test_what_differs_is_what_a_loop_over_the_events_finds(
    left: dict[Place, list[Event]], right: dict[Place, list[Event]], contested: dict[Place, Cause]
) -> None:
    tally = compare(VIEW, folds(left), folds(right), contested)
    naive = _naive(left, right)
    for finding in findings(VIEW, tally):
        wrong = naive[finding.measure]
        unknown = sorted(place for place in wrong if place not in contested)
        assert finding.differing == len(wrong)
        assert finding.cause == (Cause.UNKNOWN if unknown else Cause.OUT_OF_ORDER if wrong else None)
        shown = [(key.key, key.segment, key.bucket) for key in finding.keys]
        assert shown == (unknown or sorted(wrong))[:10]
    edits = next(finding for finding in findings(VIEW, tally) if finding.measure == "edits")
    assert edits.difference == sum(map(len, right.values())) - sum(map(len, left.values()))


_SEEN: dict[str, Any] = {
    "edits": len,
    "n": lambda seen: sum(n for n, _, _ in seen),
    "most": lambda seen: max(n for n, _, _ in seen),
    "users": lambda seen: {user for _, user, _ in seen},
    "sizes": lambda seen: sorted(n for n, _, _ in seen),
    "pages": lambda seen: sorted(page for _, _, page in seen),
}


def _naive(left: Mapping[Place, list[Event]], right: Mapping[Place, list[Event]]) -> dict[str, set[Place]]:
    """The places where a measure differs, from the events themselves."""
    found: dict[str, set[Place]] = defaultdict(set)
    for place in {*left, *right}:
        for measure, value in _SEEN.items():
            if place not in left or place not in right or value(left[place]) != value(right[place]):
                found[measure].add(place)
    return found


@SOME
@given(st.lists(st.tuples(sides, sides), max_size=4))
def test_tallies_of_parts_merge_to_the_tally_of_the_whole(parts: list[tuple[Any, Any]]) -> None:
    left, right, tallies = dict[Place, Any](), dict[Place, Any](), list[Tally]()
    for number, (one, other) in enumerate(parts):
        apart = [{(f"{number}{p[0]}", p[1], p[2]): seen for p, seen in side.items()} for side in (one, other)]
        left, right = left | apart[0], right | apart[1]
        tallies.append(compare(VIEW, folds(apart[0]), folds(apart[1])))
    whole, together = compare(VIEW, folds(left), folds(right)), merged(VIEW, tallies)
    assert (together.places, together.differing, together.keys) == (
        whole.places, whole.differing, whole.keys,
    )  # fmt: skip
    assert findings(VIEW, together) == findings(VIEW, whole)


def test_a_value_that_cannot_be_read_differs_and_stops_nothing() -> None:
    place, good = ("1:x", 3, 0), fold([(1, "a", "x")])
    torn = (*good[:3], b"\xff\xff", *good[4:])
    tally = compare(VIEW, {place: good}, {place: torn})
    assert tally.differing == {("users", Cause.UNKNOWN): 1}
    assert tally.keys["users", Cause.UNKNOWN] == [Difference("1:x", 3, 0, 1.0, None)]
    unreadable = compare(VIEW, {place: good}, {place: None})
    assert {measure for measure, _ in unreadable.differing} == set(VIEW.measures)
    assert unreadable.found == VIEW.zero


def test_late_copies_are_told_where_they_show() -> None:
    batch, speed = fold([(5, "a", "x")]), fold([(5, "a", "x"), (5, "a", "x")])
    lines = attributed(VIEW, batch, speed, 1, [("1:x", 40, 0)], Cause.DUPLICATE)
    assert [(f.measure, f.expected, f.found, f.difference) for f in lines] == [
        ("edits", 1, 2, 1), ("n", 5, 10, 5), ("sizes", 1, 2, 1), ("pages", 1, 2, 1),
    ]  # fmt: skip
    assert {f.cause for f in lines} == {Cause.DUPLICATE} and lines[0].keys[0].segment == 40


# --- copies -----------------------------------------------------------------------------------------------

copies = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1), st.integers(0, 99), st.booleans()))


@given(copies.map(lambda seen: sorted(Copy(*copy) for copy in seen)), st.integers(1, 6))
def test_copies_count_as_a_look_into_blocks_of_marks_says(seen: list[Copy], window: int) -> None:
    marks, verdicts = set[int](), list(judge(seen, window))
    for copy, verdict in zip(seen, verdicts, strict=True):
        block = copy.segment // window
        counted = copy.read and block - 1 not in marks and block not in marks
        marks |= {block} if counted else set()
        assert verdict.counted == counted
        assert verdict.contested == (len({copy.partition for copy in seen}) > 1)
    assert [v.late for v in verdicts] == [v.counted and n > 0 for n, v in enumerate(verdicts)]


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 20))
def test_a_copy_within_the_window_is_known_and_one_beyond_two_windows_is_not(
    first: int, later: int, window: int
) -> None:
    counted = [v.counted for v in judge([Copy(first, 0, 0), Copy(first + later, 0, 1)], window)]
    assert counted[0] and not (later <= window and counted[1])
    assert counted[1] or later < 2 * window


# --- whether it can be checked ----------------------------------------------------------------------------

GENERATION = Generation("g1", "edits", 2, {}, "abc", 2, "cluster", "topic")
STANDING = Standing(GENERATION, Progress(7, {0: 90, 1: 40}, 6, 3), True, None, (7, 8), (3, 3))
BOUNDARY = Cut(5, {0: 90, 1: 30})


def test_what_a_generation_may_have_counted_of_a_loss_is_told_and_what_lay_before_it_is_not() -> None:
    standing = replace(STANDING, generation=replace(GENERATION, offsets={0: 50}))
    assert counted_lost(standing, ({"partition": 0, "start": 40, "end": 50},)) is None
    told = counted_lost(standing, ({"partition": 0, "start": 50, "end": 52},))
    assert told is not None and "partition 0 from 50 to 52" in told


def test_a_speed_state_that_passed_the_boundary_can_be_checked() -> None:
    assert objection(STANDING, "abc", 3, BOUNDARY) is None


@pytest.mark.parametrize(
    ("changed", "start", "reason"),
    [
        ({"generation": replace(GENERATION, semantics="old")}, 3, "runs other definitions"),
        ({"condemned": "differs"}, 3, "is condemned: differs"),
        ({"progress": Progress(7, {0: 90, 1: 40}, 6, 3, "ring")}, 3, "lost events: ring"),
        ({"generation": replace(GENERATION, start_cut=4)}, 3, "starts at cut 4, beyond boundary 3"),
        ({}, 2, "dropped segments below 3"),
        ({"floors": (3, 4)}, 3, "dropped segments below 4"),
        ({"progress": Progress(7, {0: 90, 1: 40}, 4, 3)}, 3, "has not passed boundary 5"),
        ({"progress": Progress(7, {0: 89, 1: 40}, 6, 3)}, 3, "has not passed boundary 5"),
        ({"stamps": (7, 6)}, 3, "older than its job says"),
        ({"stamps": (None, 7)}, 3, "older than its job says"),
    ],
)
def test_every_reason_why_it_cannot_be_checked(changed: dict[str, Any], start: int, reason: str) -> None:
    told = objection(replace(STANDING, **changed), "abc", start, BOUNDARY)
    assert told is not None and reason in told


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_until_the_pointer_moves_no_segment_that_is_compared_is_dropped(
    previous: int, start: int, more: int
) -> None:
    """The speed layer drops below the pointer's floor, and no further, wherever readers came from."""
    pointer = Pointer(2, 2, start, previous, "publish", "")
    cut = Cut(start + more, {0: 90})
    progress = Progress(7, {0: 90}, cut.number, pointer.floor)
    standing = replace(STANDING, progress=progress, floors=(pointer.floor,) * 2)
    assert (
        objection(replace(standing, generation=replace(GENERATION, start_cut=0)), "abc", start, cut) is None
    )
    moved = Pointer(3, 3, cut.number, start, "publish", "")
    assert moved.floor == start


@given(st.integers(1, 64), st.integers(0, 10**7), st.integers(1, 10**6), st.integers(0, 100))
def test_a_share_of_the_shards_is_checked_where_there_are_too_many_events(
    shards: int, seen: int, limit: int, turn: int
) -> None:
    chosen = chosen_shards(shards, seen, limit, turn)
    assert chosen and set(chosen) <= set(range(shards))
    assert len(chosen) == shards if seen <= limit else len(chosen) < shards or shards == 1
    turns = {shard for at in range(shards) for shard in chosen_shards(shards, seen, limit, turn + at)}
    assert turns == set(range(shards))


def test_what_other_persons_make_of_a_view_is_told_of_every_measure() -> None:
    speed, batch = fold([(1, "a", "x"), (2, "b", "x")]), fold([(1, "a", "x"), (2, "a", "x")])
    lines = {line.measure: line for line in identity_findings(VIEW, batch, speed, 1)}
    assert set(lines) == set(VIEW.measures) and {line.cause for line in lines.values()} == {Cause.IDENTITY}
    assert (lines["edits"].expected, lines["edits"].found, lines["edits"].difference) == (2, 2, 0)
    assert round(lines["users"].difference) == 1 and lines["users"].places == 1
