"""Corrected events as of the past, against loops over all records below the position."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from client.decoding import decode
from client.explanations import EventPlace, Explanation
from serving_layer.master_events import Limits
from serving_layer.rendering import to_json
from tests.corrections import Sent, firsts, retracts, stopped_by
from tests.past_kit import CORRECTED, REGIONS, Event, Made, event

VIEWS = ("by_page", "small")
NAMES = [f"e{number}" for number in range(12)]
# partition, id, what it names, whether it only takes back, page, size
orders = st.tuples(
    st.integers(0, 1), st.sampled_from(NAMES), st.none() | st.sampled_from(NAMES), st.booleans(),
    st.sampled_from(["p", "q"]), st.integers(1, 12),
)  # fmt: skip
chunks = st.lists(st.lists(orders, max_size=8), min_size=1, max_size=4)


def filled(folder: Path, given: Sequence[Sequence[Any]], base: int) -> Made:
    """Ids are used more than once, on both partitions; there is a version at one of the cuts."""
    made = Made(folder, CORRECTED)
    for place, chunk in enumerate(given, 1):
        parts: list[list[Event | bytes]] = [[b"{"], []]
        for partition, name, target, cancels, page, size in chunk:
            more = {"event_id": name, "corrects": target, "action": "cancel" if cancels else None}
            parts[partition].append(event(0, "u", size, page, **{**more, "size": size}))
        made.master.append(*parts)
        cut = made.master.cut()
        if place == base:
            made.publish(cut)
    return made


Taken = dict[tuple[int, int], tuple[tuple[int, int], Event, Event]]


def taken(made: Made, until: dict[int, int]) -> Taken:
    """Events that stopped counting, by their places: where the correction is, the event, the correction."""
    found = Taken()
    for partition in (0, 1):
        placed = sorted((o, one) for (_, p, o), one in made.master.placed(until) if p == partition)
        log = [Sent(one["event_id"], one["corrects"], one["action"] == "cancel") for _, one in placed]
        for at in firsts(log):
            by = stopped_by(log, at)
            if by is not None and not retracts(log[at]):
                where = (partition, placed[by][0])
                found[partition, placed[at][0]] = (where, placed[at][1], placed[by][1])
    return found


def position(made: Made, data: st.DataObject) -> dict[int, int]:
    ends = made.master.end
    return {p: data.draw(st.integers(made.since.get(p, 0), end)) for p, end in ends.items()}


@settings(max_examples=60, deadline=None)
@given(given=chunks, data=st.data())
def test_any_position_behind_any_version_is_what_a_recompute_gives_but_for_what_is_named(
    given: list[list[Any]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        made = filled(Path(folder), given, data.draw(st.integers(0, len(given))))
        until = position(made, data)
        since = made.since
        # the pages whose events each answer is about, where it has measures that nothing is subtracted from
        asked: list[tuple[str, dict[str, Any], str | None]] = [
            ("by_page", {"page": "p"}, "p"), ("by_page", {"page": "q"}, "q"), ("small", {}, None),
            ("by_region", {"region": "north"}, "p"), ("by_region", {"region": None}, "q"),
        ]  # fmt: skip
        for name, key, page in asked:
            view, answer = made.bound.view(name), made.answer(name, key, until)
            row, partial = answer["rows"][0], made.recomputed(name, until).get(view.key_of(key))
            named = sum(
                1
                for (partition, offset), ((_, by), one, _) in taken(made, until).items()
                if offset < since.get(partition, 0) <= by and one["page"] == page
            )
            followed = [measure for measure in ("users", "largest") if measure in view.measures]
            kept = dict.fromkeys(followed, named) if named else {}
            assert row.get("uncorrected", {}) == kept and answer["complete"] is not bool(kept)
            assert len(answer["reasons"]) == len(kept)
            wanted = made.shown(name, partial)
            assert {m: row["measures"][m] for m in wanted if m not in kept} == {
                m: wanted[m] for m in wanted if m not in kept
            }


@settings(max_examples=40, deadline=None)
@given(given=chunks, data=st.data())
def test_the_list_of_events_tells_what_took_back_what_and_adds_up(
    given: list[list[Any]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        made = filled(Path(folder), given, data.draw(st.integers(0, len(given))))
        until = position(made, data)
        stopped = taken(made, until)
        took: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for (partition, offset), (by, one, _) in sorted(stopped.items()):
            told = {"partition": partition, "offset": offset, "event_id": one["event_id"]}
            took.setdefault(by, []).append(told)
        for page in ("p", "q"):
            answer = made.explain("by_page", {"page": page}, until)
            measures, found = answer["rows"][0]["measures"], answer["found"]
            counted = [one for one in answer["events"] if one["outcome"] == "counted"]
            assert found["counted"] == measures["n"] == len(counted)
            assert measures["sum"] == sum(one["values"]["size"] for one in counted)
            places = {(one["partition"], one["offset"]): one for one in answer["events"]}
            for place, one in places.items():
                correction = stopped.get(place)
                assert (one["outcome"] == "corrected") is (correction is not None)
                by = one["corrected_by"]
                assert by == (correction and _told(correction[0], correction[2]))
                assert one["took_back"] == took.get(place, [])
            mine = [one for place, one in made.master.placed(until) if one["page"] == page]
            retracting = [one for one in mine if one["action"] == "cancel" and one["corrects"] is not None]
            assert found["retraction"] == len(retracting)
            assert found["corrected"] + found["counted"] + found["retraction"] == len(mine)
            assert found["quarantined"] == 0 and set(found) > {"excluded", "duplicate"}
        north = made.explain("by_region", {"region": REGIONS["p"]}, until)
        assert north["found"]["counted"] == north["rows"][0]["measures"]["n"]
        assert all(one["values"]["region"] == REGIONS["p"] for one in north["events"])


def _told(place: tuple[int, int], one: Event) -> dict[str, Any]:
    return {"partition": place[0], "offset": place[1], "event_id": one["event_id"]}


def test_the_client_reads_what_was_taken_back_by_what(tmp_path: Path) -> None:
    log = [(0, "e1", None, False, "p", 3), (0, "e2", "e1", False, "p", 4), (0, "e3", "e2", True, "p", 1)]
    made = filled(tmp_path, [log[:2], log[2:]], 1)
    told = decode(Explanation, to_json(made.explain("by_page", {"page": "p"}, made.master.end)).decode())
    assert told.events is not None and told.found is not None
    first, second, third = told.events
    assert [one.outcome for one in told.events] == ["corrected", "corrected", "retraction"]
    assert first.corrected_by == EventPlace(0, 2, "e2") and second.corrected_by == EventPlace(0, 4, "e3")
    assert (second.took_back, third.took_back) == ((EventPlace(0, 1, "e1"),), (EventPlace(0, 2, "e2"),))
    assert (second.layer, third.layer, told.found["counted"]) == ("batch", "archive", 0)
    (row,) = told.rows
    assert row.measures["n"] == 0 and row.uncorrected == {"users": 1, "largest": 1}


def test_what_was_corrected_long_ago_is_listed_without_reading_all_records(tmp_path: Path) -> None:
    others = [(0, f"x{number}", None, False, "q", 3) for number in range(50)]
    log = [(0, "e1", None, False, "p", 3), (0, "e2", "e1", False, "p", 4)]
    made = filled(tmp_path, [[*log, *others], [(0, "e3", "e2", True, "q", 1)]], 1)
    made.desks = replace(made.desks, limits=Limits(10, 10_000))
    told = made.explain("by_page", {"page": "p"}, made.master.end)
    assert [one["corrected_by"]["event_id"] for one in told["events"]] == ["e2", "e3"]
    assert told["rows"][0]["measures"]["n"] == told["found"]["counted"] == 0
