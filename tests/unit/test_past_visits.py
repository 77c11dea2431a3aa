"""Visits as of the past, against lists of visits over all records below the position."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from core.keys import parse_key
from core.visits import Visit, follow
from serving_layer.master_events import Limits, MasterEvents
from serving_layer.problems import Problem
from tests.past_kit import GAP, SITE, Event, Made, Placed, event
from tests.visits import visits_of

VIEWS = ("by_page", "by_entry", "starts", "plain")
PAGES = ("home", "news", None)
# user, minute, page, whether it is sent twice, and the partition
visitors = st.tuples(
    st.sampled_from(["u0", "u1", "u2", None]), st.integers(0, 150), st.sampled_from(PAGES), st.booleans(),
    st.integers(0, 1),
)  # fmt: skip
chunks = st.lists(st.lists(visitors, max_size=8), min_size=1, max_size=4)


def filled(folder: Path, given: Sequence[Sequence[Any]], base: int) -> Made:
    """A cut behind each chunk, and a version at one of them."""
    made, number = Made(folder, SITE), 0
    for place, chunk in enumerate(given, 1):
        parts: list[list[Event | bytes]] = [[b"{"], []]
        for user, minute, page, twice, partition in chunk:
            number += 1
            one = event(number, user, minute, page)
            parts[partition] += [one] * (1 + twice)
        made.master.append(*parts)
        cut = made.master.cut()
        if place == base:
            made.publish(cut)
    return made


def late(made: Made, until: dict[int, int]) -> dict[str, int]:
    """How many events of each user lie behind the version, and not behind the user's last event in it."""
    since, found, last = made.since, dict[str, int](), dict[str, int]()
    for (_, partition, offset), one in made.master.placed(until):
        if offset < since.get(partition, 0) and one["user"] is not None:
            last[one["user"]] = max(last.get(one["user"], 0), one["event_time"])
    for (_, partition, offset), one in made.master.placed(until):
        if offset >= since.get(partition, 0) and one["event_time"] <= last.get(one["user"], -1):
            found[one["user"]] = found.get(one["user"], 0) + 1
    return found


def newest(placed: Sequence[Placed], user: str) -> Visit | None:
    found = visits_of(((p, o, one) for (_, p, o), one in placed if one["user"] == user), GAP)
    if not found:
        return None
    last = max(found, key=lambda visit: visit[-1][2]["event_time"])
    times = [one["event_time"] * 1000 for _, _, one in last]
    return Visit(times[0], times[-1], len(last) == 1, (last[0][2]["page"],))


def as_counted(made: Made, until: dict[int, int]) -> list[dict[str, Any]]:
    """What the version counts, and behind it what `follow` makes of events in the order they are taken."""
    below, after = list[Placed](), list[Placed]()
    for (segment, partition, offset), one in made.master.placed(until):
        side = below if offset < made.since.get(partition, 0) else after
        side.append(((segment, partition, offset), one))
    found, out_of_order = [dict(one) for one in SITE.count(below)], late(made, until)
    for user in {one["user"] for _, one in after}:
        some = [(place, one) for place, one in after if one["user"] == user]
        some.sort(key=lambda each: (each[0][0] * (user in out_of_order), each[1]["event_time"], each[0][1:]))
        visit = newest(below, user) if user is not None else None
        for _, one in some:
            role: Any = (None, None, (None,))
            if user is not None:
                role, visit = follow(visit, one["event_time"] * 1000, (one["page"],), GAP * 1000)
            found.append({**one, "visit_role": role[0], "visit_step": role[1], "visit_page": role[2][0]})
    return found


@settings(max_examples=60, deadline=None)
@given(given=chunks, data=st.data())
def test_any_position_behind_any_version_is_what_a_recompute_gives(
    given: list[list[Any]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        made = filled(Path(folder), given, data.draw(st.integers(0, len(given))))
        until = {p: data.draw(st.integers(made.since.get(p, 0), end)) for p, end in made.master.end.items()}
        out_of_order = sum(late(made, until).values())
        for name in VIEWS:
            recomputed = made.recomputed(name, until)
            for key in {**recomputed, **made.counted(name, as_counted(made, until))}:
                answer, wanted = made.answer(name, _parts(made, name, key), until), recomputed.get(key)
                shown = made.shown(name, wanted)
                if answer["reasons"]:
                    # nothing can be subtracted from how many different users there are
                    assert name == "by_entry" and out_of_order
                    assert answer["reasons"][0].startswith("users still holds what")
                    del shown["users"], answer["rows"][0]["measures"]["users"]
                assert answer["rows"][0]["measures"] == shown, (name, key)
                assert answer["complete"] is not bool(answer["reasons"])


def unread(*_: Any) -> None:
    raise Problem("too-many-records", "too many")


@settings(max_examples=60, deadline=None)
@given(given=chunks, data=st.data())
def test_where_users_have_too_many_events_they_count_as_they_come_and_that_is_said(
    given: list[list[Any]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder, patch.object(MasterEvents, "having", unread):
        made = filled(Path(folder), given, data.draw(st.integers(0, len(given))))
        until = {p: data.draw(st.integers(made.since.get(p, 0), end)) for p, end in made.master.end.items()}
        out_of_order = sum(late(made, until).values())
        for name in VIEWS:
            counted = made.counted(name, as_counted(made, until))
            for key in counted:
                answer = made.answer(name, _parts(made, name, key), until)
                assert answer["rows"][0]["measures"] == made.shown(name, counted[key]), (name, key)
                reasons = [f"{out_of_order} events came before"] * (out_of_order > 0 and name != "plain")
                assert [reason[: len(reasons[0])] for reason in answer["reasons"]] == reasons
                assert answer["complete"] is not bool(reasons)


def _parts(made: Made, name: str, key: str) -> dict[str, Any]:
    return dict(zip(made.bound.view(name).key, parse_key(key), strict=True))


@settings(max_examples=40, deadline=None)
@given(given=chunks, data=st.data())
def test_the_list_tells_what_each_event_is_and_adds_up(given: list[list[Any]], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        made = filled(Path(folder), given, data.draw(st.integers(0, len(given))))
        until = {p: data.draw(st.integers(made.since.get(p, 0), end)) for p, end in made.master.end.items()}
        counted = {one["event_id"]: one for one in SITE.count(made.master.placed(until))}
        for page in PAGES:
            for name, part in (("by_page", "page"), ("by_entry", "visit_page")):
                answer = made.explain(name, {"page" if name == "by_page" else "entry": page}, until)
                listed = [one for one in answer["events"] if one["outcome"] == "counted"]
                mine = {name: one for name, one in counted.items() if one[part] == page}
                assert {one["event_id"] for one in listed} == mine.keys()
                for one in listed:
                    for column in ("visit_role", "visit_step", "visit_page"):
                        assert one["values"][column] == mine[one["event_id"]][column]
                measures = answer["rows"][0]["measures"]
                assert answer["found"]["counted"] == measures["n"] == len(listed)
                roles = [one["values"]["visit_role"] for one in listed]
                assert roles.count("start") == measures["visits"]
                # a record alone does not tell in which visit a copy would be
                assert name == "by_page" or answer["found"]["duplicate"] == 0


def test_what_the_version_counts_of_a_user_is_restated_where_an_event_comes_before(tmp_path: Path) -> None:
    first = [("u0", 0, "home", False, 0), ("u0", 100, "news", False, 0)]
    made = filled(tmp_path, [first, [("u0", 90, "shop", False, 0)], [("u0", 20, "shop", False, 0)]], 1)
    assert made.since == {0: 3, 1: 0}
    end = made.master.end
    # by time: home 0, shop 20 in one visit, shop 90, news 100 in another
    shop, news = (made.answer("by_page", {"page": page}, end) for page in ("shop", "news"))
    assert shop["rows"][0]["measures"] == {"n": 2, "visits": 1, "bounces": 0, "long": 1200.0}
    assert news["rows"][0]["measures"] == {"n": 1, "visits": 0, "bounces": -1, "long": None}
    assert news["rows"][0]["archive"] == {"n": 0, "visits": -1, "bounces": -2, "long": -600.0}
    assert shop["complete"] and news["complete"]
    listed = made.explain("by_page", {"page": "news"}, end)["events"]
    assert [(one["values"]["visit_role"], one["values"]["visit_step"]) for one in listed] == [("second", 600)]
    entry = made.answer("by_entry", {"entry": "news"}, end)
    assert entry["rows"][0]["measures"]["n"] == 0 and not entry["complete"]
    assert entry["reasons"] == ["users still holds what 1 events were before others came before them"]


def test_where_too_much_lies_below_events_are_not_listed_and_the_number_is_answered(tmp_path: Path) -> None:
    made = filled(
        tmp_path, [[("u0", n, "home", False, 0) for n in range(30)], [("u0", 40, "home", False, 0)]], 1
    )
    made.desks = replace(made.desks, limits=Limits(10, 10_000))
    answer = made.explain("by_page", {"page": "home"}, made.master.end)
    assert answer["events"] is None and "LAMBDA_AS_OF_RECORDS" in answer["unlisted"]
    assert answer["rows"][0]["measures"] == {"n": 31, "visits": 1, "bounces": 0, "long": 2400.0}
