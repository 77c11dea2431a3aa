"""Groups of ids: what union-find makes of pairs is what walking from id to id finds."""

import random
from collections import defaultdict, deque
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.groups import Groups, Pair, joined, pair_of, resolution, standing, stands, word

IDS = ["a", "b", "c", "d", "e", "", "é", "😀", "B"]
ids = st.sampled_from(IDS)
pairs = st.lists(st.tuples(ids, ids).filter(lambda pair: pair[0] < pair[1]), max_size=12)
Said = tuple[str, str, tuple[int, int, int], bool]
said = st.lists(
    st.tuples(ids, ids, st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 9)), st.booleans()),
    max_size=20,
    unique_by=lambda one: one[2],
)


def walked(given_pairs: Sequence[Pair]) -> dict[str, str]:
    """The naive way: from each id to all that can be reached."""
    beside = defaultdict(set)
    for one, other in given_pairs:
        beside[one].add(other)
        beside[other].add(one)
    found = {}
    for start in beside:
        seen, waiting = {start}, deque([start])
        while waiting:
            new = beside[waiting.popleft()] - seen
            seen |= new
            waiting.extend(new)
        found[start] = min(seen)
    return found


def standing_by_hand(events: Sequence[Said]) -> set[Pair]:
    """One event after the other in log order, each of which sets or takes back."""
    found = set[Pair]()
    for one, other, _, undone in sorted(events, key=lambda event: event[2]):
        pair = (min(one, other), max(one, other))
        if one != other:
            (found.discard if undone else found.add)(pair)
    return found


def rows(events: Sequence[Said]) -> list[tuple[str, str, str]]:
    return [(one, other, word(*place, undone)) for one, other, place, undone in events]


@given(pairs)
def test_union_find_finds_what_walking_finds(given_pairs: list[Pair]) -> None:
    assert resolution(given_pairs) == walked(given_pairs)


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_matter(given_pairs: list[Pair], dice: random.Random) -> None:
    shuffled = dice.sample(given_pairs, len(given_pairs))
    assert resolution(shuffled) == resolution(given_pairs)


@given(said)
def test_the_newest_word_in_the_order_of_the_log_decides(events: list[Said]) -> None:
    assert set(standing(rows(events))) == standing_by_hand(events)


@given(said, said)
def test_words_of_two_parts_of_the_log_are_merged_by_their_greatest(one: list[Said], two: list[Said]) -> None:
    """What makes the word a measure: newest words of two parts of the log, and of these again the newest."""
    two = [(a, b, (segment + 4, *rest), undone) for a, b, (segment, *rest), undone in two]  # type: ignore[misc]
    assert set(standing(rows(one + two))) == standing_by_hand(one + two)
    late = {pair_of(a, b) for a, b, _, _ in two}
    assert {pair for pair in standing(rows(one)) if pair not in late} | set(standing(rows(two))) == set(
        standing(rows(one + two))
    )


@pytest.mark.parametrize(
    ("given_pairs", "expected"),
    [
        ([("c", "d"), ("b", "c"), ("a", "b")], {"a": "a", "b": "a", "c": "a", "d": "a"}),
        ([("a", "b"), ("b", "c"), ("a", "c")], {"a": "a", "b": "a", "c": "a"}),
        ([("a", "b"), ("c", "d")], {"a": "a", "b": "a", "c": "c", "d": "c"}),
        ([("a", "b"), ("c", "d"), ("b", "c")], {"a": "a", "b": "a", "c": "a", "d": "a"}),
        ([("B", "a"), ("😀", "￿")], {"B": "B", "a": "B", "￿": "￿", "😀": "￿"}),
    ],
    ids=["chain", "cycle", "two groups", "two groups and one late pair", "by code points"],
)
def test_a_group_is_called_by_its_least_id(given_pairs: list[Pair], expected: dict[str, str]) -> None:
    assert resolution([pair for pair in given_pairs if pair_of(*pair)]) == expected


def test_an_undone_pair_falls_apart_and_can_be_said_again() -> None:
    events = [("a", "b", word(0, 0, 1, False)), ("b", "c", word(0, 0, 2, False))]
    assert standing([*events, ("b", "a", word(0, 1, 0, True))]) == [("b", "c")]
    again = [("b", "a", word(0, 1, 0, True)), ("a", "b", word(1, 0, 3, False))]
    assert standing([*events, *again]) == [("a", "b"), ("b", "c")]


def test_nothing_can_be_said_of_an_id_and_itself() -> None:
    assert pair_of("a", "a") is None and standing([("a", "a", word(0, 0, 0, False))]) == []


def test_a_group_names_its_ids_in_order() -> None:
    assert joined(resolution([("b", "c"), ("a", "c"), ("x", "y")])) == {"a": ["a", "b", "c"], "x": ["x", "y"]}


def test_long_chains_are_walked_without_recursion() -> None:
    chain = [(f"{n:07d}", f"{n + 1:07d}") for n in range(100_000)]
    random.Random(1).shuffle(chain)
    groups = Groups(chain)
    assert {groups.person(id_) for id_ in groups} == {"0000000"}


def test_a_word_tells_whether_it_stands() -> None:
    assert stands(word(1, 2, 3, False)) and not stands(word(1, 2, 3, True))
