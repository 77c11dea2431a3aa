"""Visits: the rule against lists of visits, whatever the cuts and however often a micro-batch is written."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_layer.visit_rules import _EVENT, _STATE, _of_one, _Row
from core import Count, Source, View, Visits
from core.application import BoundSource
from core.contracts import Contract
from core.errors import DefinitionError, UnknownName
from core.visits import (
    LATER,
    SECOND,
    START,
    Followed,
    Visit,
    bounce_rate,
    bounces,
    follow,
    in_order,
    visit_length,
    visits,
)
from tests.speed_kit import CONTRACT
from tests.visits import Placed, told, visits_of

COLUMNS = {"user": "string", "page": "string", "size": "long", "robot": "boolean", "x": "double"}
GAP = 10_000_000
SECONDS = st.integers(-40, 40)
EVENTS = st.lists(st.tuples(st.sampled_from("abc"), SECONDS, st.sampled_from(["p", "q", None])), max_size=25)


def placed(events: Sequence[tuple[str, int, str | None]]) -> list[Placed]:
    return [
        (0, n, {"event_id": str(n), "event_time": at * 1_000_000 + n, "user": user, "page": page})
        for n, (user, at, page) in enumerate(events)
    ]


def followed(some: Sequence[Placed], states: dict[str, Visit]) -> dict[str, Followed]:
    """The rule event by event; `states` go on."""
    found = {}
    for _, _, event in some:
        user = event["user"]
        found[event["event_id"]], states[user] = follow(
            states.get(user), event["event_time"], (event["page"],), GAP
        )
    return found


@given(EVENTS)
def test_events_in_the_order_of_their_times_are_what_lists_of_visits_say(
    events: list[tuple[str, int, str | None]],
) -> None:
    some = placed(sorted(events, key=lambda event: event[1]))
    wanted = {
        event_id: Followed(role, step, (first["page"],))
        for event_id, (role, step, first) in told(some, GAP, 1_000_000).items()
    }
    assert followed(some, {}) == wanted


@given(EVENTS, st.lists(st.integers(0, 25), max_size=4))
def test_counts_of_roles_add_up_under_any_cut_and_replay(
    events: list[tuple[str, int, str | None]], cuts: list[int]
) -> None:
    some, states, found = placed(events), dict[str, Visit](), dict[str, Followed]()
    whole = followed(some, {})
    edges = [0, *sorted(min(cut, len(some)) for cut in cuts), len(some)]
    for start, end in pairwise(edges):
        before = dict(states)
        first = followed(some[start:end], states)
        again, replayed = dict(before), followed(some[start:end], before)
        assert (replayed, before) == (first, states) and again.keys() <= before.keys()
        found |= first
    assert found == whole


@given(EVENTS)
def test_in_any_order_every_event_has_one_role_and_the_last_time_never_falls(
    events: list[tuple[str, int, str | None]],
) -> None:
    states, last = dict[str, Visit](), dict[str, int]()
    for one in placed(events):
        found = followed([one], states)[one[2]["event_id"]]
        user, at = one[2]["user"], one[2]["event_time"]
        assert found.role in (START, SECOND, LATER) and found.step >= 0
        assert states[user].last == max(at, last.get(user, at))
        last[user] = states[user].last


@pytest.mark.parametrize(
    ("visit", "at", "role", "step", "after"),
    [
        (None, 5, START, 0, Visit(5, 5, True)),
        (Visit(5, 5, True), 15, SECOND, 10, Visit(5, 15, False)),
        (Visit(5, 15, False), 25, LATER, 10, Visit(5, 25, False)),
        (Visit(5, 15, False), 26, START, 0, Visit(26, 26, True)),
        (Visit(5, 15, False), 9, LATER, 0, Visit(5, 15, False)),
        (Visit(5, 5, True), -5, SECOND, 0, Visit(5, 5, False)),
        (Visit(5, 5, True), -6, START, 0, Visit(5, 5, True)),
    ],
)
def test_the_rule_at_its_edges(visit: Visit | None, at: int, role: str, step: int, after: Visit) -> None:
    second = 1_000_000
    given_visit = visit and visit._replace(first=visit.first * second, last=visit.last * second)
    found, left = follow(given_visit, at * second, (), GAP)
    assert (found.role, found.step) == (role, step)
    assert left == after._replace(first=after.first * second, last=after.last * second)


def test_order_is_certain_on_one_partition_and_by_time_alone() -> None:
    assert in_order(None, []) and in_order(Visit(0, 5, True), [(0, 5), (0, 5), (0, 9)])
    assert not in_order(Visit(0, 6, True), [(0, 5)])
    assert not in_order(None, [(0, 5), (1, 6)])
    assert not in_order(None, [(0, 6), (0, 5)])


@settings(deadline=None)
@given(EVENTS, st.integers(0, 3), st.booleans())
def test_the_check_follows_in_the_same_way_and_lists_what_it_cannot_know(
    events: list[tuple[str, int, str | None]], start: int, ordered: bool
) -> None:
    given_events = sorted(events, key=lambda event: event[1]) if ordered else events
    some = [(p, o, {**event, "user": "a"}) for p, o, event in placed(given_events)]
    visits_ = Visits(carry=["page"]).bind(COLUMNS)
    before = Visit(-100_000_000, -90_000_000, True, ("z",))
    state = _Row("a", _STATE, 0, 0, 0, False, ("z",), (before.first, before.last, 1))
    rows = [
        _Row("a", _EVENT, o // 5, e["event_time"], o, False, (e["page"],), (None,) * 3) for _, o, e in some
    ]
    rows.sort(key=lambda row: (row.segment, row.at, row.position))
    found = list(_of_one([state, *rows], visits_, start))
    visit: Visit | None = before
    wanted = []
    for row in rows:
        one, visit = follow(visit, row.at, row.carried, visits_.gap_micros)
        if row.segment >= start:
            wanted.append((row.position, one.role, one.step, *one.carried))
    assert [row[:4] for row in found if not row[4]] == wanted
    times = [e["event_time"] for _, _, e in some]
    assert all(row[5] == (times != sorted(times)) for row in found)
    maybe = {row[:2] + row[3:4] for row in found if row[4]}
    if times == sorted(times):
        assert not maybe
    else:
        pages = {"z", *(row.carried[0] for row in rows)}
        late = [row.position for row in rows if row.segment >= start]
        assert maybe == {(p, role, page) for p in late for role in (START, SECOND, LATER) for page in pages}


def test_a_visit_is_packed_with_what_it_carries() -> None:
    declared = Visits(carry=["page", "size", "robot"]).bind(COLUMNS)
    for visit in (Visit(-5, 2**60, True, ("p", 3, True)), Visit(0, 1, False, (None, None, None))):
        assert declared.unpack(b"head" + declared.pack(visit), 4) == visit
    assert Visits().bind(COLUMNS).unpack(Visits().bind(COLUMNS).pack(Visit(1, 2, True))) == Visit(1, 2, True)


def test_views_take_its_columns_and_its_measures() -> None:
    source = Source("site", contract="visits", declares=[Visits(carry=["page"])])
    measures = {
        "n": Count(), "visits": visits(), "bounces": bounces(), "rate": bounce_rate(), "long": visit_length(),
    }  # fmt: skip
    view = View("entries", source, key={"entry": "visit_page"}, where="visit_role <> 'x'", measures=measures)
    bound = BoundSource.of(source, Contract.load(CONTRACT), {"entries": view})
    compiled = bound.views["entries"]
    assert bound.derived == {"visit_role": "string", "visit_step": "long", "visit_page": "string"}
    assert set(bound.derived_in(compiled)) == {"visit_role", "visit_step", "visit_page"}
    assert compiled.columns[-2:] == ["long__numerator", "long__denominator"]
    assert compiled.present(compiled.zero)["rate"] is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"user": "usr"}, "unknown column 'usr'; did you mean 'user'?"),
        ({"carry": ["pages"]}, "unknown column 'pages'; did you mean 'page'?"),
        ({"user": "robot"}, "user='robot' is boolean; a user is string or long"),
        ({"carry": ["x"]}, "carry of 'x' is double; a visit carries string, long, boolean"),
        ({"carry": "page"}, "write carry=('page',)"),
        ({"gap": "half an hour"}, "gap='half an hour': write N seconds, N minutes"),
        ({"gap": "0 minutes"}, "write N seconds, N minutes"),
    ],
)
def test_a_wrong_declaration_names_the_way_out(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((DefinitionError, UnknownName)) as caught:
        Visits(**wrong).bind(COLUMNS)
    assert message in str(caught.value)


def test_a_gap_means_the_same_however_it_is_written() -> None:
    assert Visits(gap="30 minutes").meaning == Visits(gap="1800 seconds").meaning
    assert Visits(gap="1 hour").meaning != Visits(gap="1 day").meaning
    assert len(visits_of([], GAP)) == 0


@given(EVENTS, st.sets(st.sampled_from("abc")))
def test_persons_have_no_fewer_visits_and_bounces_apart_than_joined(
    events: list[tuple[str, int, str | None]], joined: set[str]
) -> None:
    some = placed(events)
    one = [(p, o, {**e, "user": "a" if e["user"] in joined else e["user"]}) for p, o, e in some]
    apart, together = visits_of(some, GAP), visits_of(one, GAP)
    assert len(together) <= len(apart)
    assert sum(len(visit) == 1 for visit in together) <= sum(len(visit) == 1 for visit in apart)
