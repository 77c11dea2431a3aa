"""What a correction takes back, by chains, is what a loop over the whole log says."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.chains import NOTHING, Chain, Link, Named, asked, chain_digest, is_matched, stopped_at, taken_back
from tests.corrections import Sent, counting, firsts, retracts, stopped_by, unmatched

SOME = settings(max_examples=300, deadline=None)
IDS = st.sampled_from("abcde")
LOGS = st.lists(
    st.builds(Sent, IDS, st.none() | IDS, st.booleans(), st.sampled_from([True, True, True, False])),
    max_size=14,
)


def digest(event_id: str) -> bytes:
    return chain_digest(0, event_id)


def link(log: Sequence[Sent], at: int) -> Link:
    sent = log[at]
    target = None if sent.target is None else digest(sent.target)
    return Link(at, digest(sent.id), target, retracts(sent), b"v%d" % at)


def chains(log: Sequence[Sent], offsets: Sequence[int]) -> dict[bytes, Chain]:
    """All chains of the events at some offsets."""
    links, named = defaultdict[bytes, list[Link]](list), defaultdict[bytes, list[Named]](list)
    for at in offsets:
        one = link(log, at)
        links[one.digest].append(one)
        if one.target:
            named[one.target].append(Named(at, one.digest))
    return {name: Chain.of(links[name], named[name]) for name in {*links, *named}}


def backwards(log: Sequence[Sent], known: Mapping[bytes, Chain]) -> dict[int, int]:
    """Which event is taken back at which correction."""
    return {
        one.offset: at
        for at in firsts(log)
        if (target := log[at].target) is not None
        for one in taken_back(at, digest(target), lambda name: known.get(name, NOTHING))
    }


def truth(log: Sequence[Sent]) -> dict[int, int]:
    ends = {at: stopped_by(log, at) for at in firsts(log) if not retracts(log[at])}
    return {at: end for at, end in ends.items() if end is not None}


@SOME
@given(LOGS)
def test_an_event_is_taken_back_once_where_the_loop_says(log: list[Sent]) -> None:
    assert backwards(log, chains(log, firsts(log))) == truth(log)


@SOME
@given(LOGS)
def test_where_an_event_stops_is_where_the_loop_says(log: list[Sent]) -> None:
    known = chains(log, firsts(log))
    found = {at: stopped_at(link(log, at), lambda name: known.get(name, NOTHING)) for at in firsts(log)}
    assert found == {at: stopped_by(log, at) for at in firsts(log)}


@SOME
@given(LOGS, st.data())
def test_two_places_that_each_know_a_part_know_together_the_same(
    log: list[Sent], data: st.DataObject
) -> None:
    own = firsts(log)
    border = data.draw(st.integers(0, len(log)))
    overlap = data.draw(st.integers(0, border))
    before = chains(log, [at for at in own if at < border])
    after = chains(log, [at for at in own if at >= overlap])
    joined = {name: before.get(name, NOTHING).joined(after.get(name, NOTHING)) for name in {*before, *after}}
    packed = {name: Chain.unpack(name, chain.pack()) for name, chain in joined.items()}
    assert backwards(log, packed) == truth(log)


@SOME
@given(LOGS)
def test_a_correction_asks_for_all_that_decides(log: list[Sent]) -> None:
    known = chains(log, firsts(log))
    for at in firsts(log):
        target = log[at].target
        if target is None:
            continue
        name = digest(target)
        wanted = {name, *asked(at, known.get(name, NOTHING))}
        some = {name: chain for name, chain in known.items() if name in wanted}
        few, all_ = (lambda n, c=c: c.get(n, NOTHING) for c in (some, known))
        assert taken_back(at, name, few) == taken_back(at, name, all_)


@SOME
@given(LOGS, st.data())
def test_what_lies_behind_changes_nothing_of_what_a_replay_finds(
    log: list[Sent], data: st.DataObject
) -> None:
    whole = chains(log, firsts(log))
    at = data.draw(st.integers(0, len(log)))
    early = chains(log, [offset for offset in firsts(log) if offset <= at])
    for offset in firsts(log):
        target = log[offset].target
        if target is not None and offset <= at:
            found = [
                taken_back(offset, digest(target), lambda name, c=some: c.get(name, NOTHING))  # type: ignore[misc]
                for some in (early, whole)
            ]
            assert found[0] == found[1]


@SOME
@given(LOGS, st.data())
def test_sums_are_the_same_under_any_split_into_batch_and_speed(log: list[Sent], data: st.DataObject) -> None:
    border = data.draw(st.integers(0, len(log)))
    batch = sum(1 << at for at in counting(log[:border]))
    known = chains(log, firsts(log))
    added = sum(1 << at for at in firsts(log) if at >= border and not retracts(log[at]))
    taken = sum(1 << at for at, end in backwards(log, known).items() if end >= border)
    assert batch + added - taken == sum(1 << at for at in counting(log))


@SOME
@given(LOGS)
def test_a_correction_that_finds_nothing_is_told_apart(log: list[Sent]) -> None:
    known = chains(log, firsts(log))
    targets = {at: log[at].target for at in firsts(log)}
    found = [
        at
        for at, target in targets.items()
        if target is not None and not is_matched(at, known.get(digest(target), NOTHING))
    ]
    assert found == unmatched(log)


def sums(*log: Sent) -> list[str]:
    return [log[at].id for at in counting(log)]


def test_an_order_edited_twice_may_name_its_first_id_or_the_edit_before() -> None:
    assert sums(Sent("a"), Sent("b", "a"), Sent("c", "a")) == ["c"]
    assert sums(Sent("a"), Sent("b", "a"), Sent("c", "b")) == ["c"]


def test_what_was_taken_back_stays_so_when_its_correction_is_taken_back() -> None:
    assert sums(Sent("a"), Sent("b", "a", retracts=True), Sent("c", "b", retracts=True)) == []


def test_a_retraction_of_what_never_counted_takes_back_nothing() -> None:
    assert sums(Sent("a", valid=False), Sent("b", "a", retracts=True), Sent("d")) == ["d"]
    assert sums(Sent("a"), Sent("a"), Sent("b", "a", retracts=True), Sent("d")) == ["d"]
    assert sums(Sent("b", "a", retracts=True), Sent("d")) == ["d"]


def test_digests_are_of_a_partition() -> None:
    assert chain_digest(1, "1") != chain_digest(11, "") != chain_digest(0, "1")


def subtracts_whatever_is_named(log: Sequence[Sent], at: int) -> list[int]:
    """A planted rule: each correction takes back every valid record that has the id it names."""
    return [other for other in range(at) if log[other].valid and log[other].id == log[at].target]


def subtracts_what_counted_once(log: Sequence[Sent], at: int) -> list[int]:
    """A planted rule: of copies the first alone, without asking what an earlier correction took back."""
    return [other for other in firsts(log) if other < at and log[other].id == log[at].target]


@pytest.mark.parametrize("rule", [subtracts_whatever_is_named, subtracts_what_counted_once])
@pytest.mark.parametrize(
    "log",
    [
        [Sent("a"), Sent("a"), Sent("c", "a", retracts=True)],
        [Sent("a"), Sent("b", "a", retracts=True), Sent("c", "a", retracts=True)],
        [Sent("a"), Sent("b", "a"), Sent("c", "a", retracts=True)],
        [Sent("a"), Sent("b", "a", retracts=True), Sent("b", "a", retracts=True)],
    ],
    ids=["a copy", "twice", "of an edit", "a copy of a correction"],
)
def test_a_rule_that_does_not_ask_what_counts_subtracts_too_much(
    rule: Callable[[Sequence[Sent], int], list[int]], log: list[Sent]
) -> None:
    def left(taken: list[int]) -> int:
        """A bit for each event, so that the sum tells which are in it."""
        return sum(1 << at for at in firsts(log) if not retracts(log[at])) - sum(1 << at for at in taken)

    right = sum(1 << at for at in counting(log))
    assert left(list(backwards(log, chains(log, firsts(log))))) == right
    wrong = [one for at, sent in enumerate(log) if sent.target for one in rule(log, at)]
    if rule is subtracts_whatever_is_named or log[1].id == "b":
        assert left(wrong) != right
