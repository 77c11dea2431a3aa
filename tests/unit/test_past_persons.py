"""Persons as of the past, against groups of ids over all records below the position."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.groups import Pair, pair_of, resolution, standing, stands
from serving_layer.master_events import Limits
from tests.past_kit import PEOPLE, Event, Made, event, words_of

IDS = ["a", "b", "c", "d", "e"]
ids = st.sampled_from(IDS)
# partition, user, the id that it is said to be one with, whether that is taken back, page, size
visits = st.tuples(
    st.integers(0, 1), st.none() | ids, st.none() | ids, st.booleans(), st.sampled_from(["p", "q"]),
    st.integers(1, 9),
)  # fmt: skip
chunks = st.lists(st.lists(visits, max_size=8), min_size=1, max_size=4)


def filled(folder: Path, given: Sequence[Sequence[Any]], base: int) -> Made:
    """A cut behind each chunk, a version at one of them."""
    made, number = Made(folder, PEOPLE), 0
    for place, chunk in enumerate(given, 1):
        parts: list[list[Event | bytes]] = [[b"{"], []]
        for partition, user, same, undone, page, size in chunk:
            number += 1
            more = {"same_as": same, "undone": undone, "size": size}
            parts[partition] += [event(number, user, number % 50, page, **more)] * (1 + number % 2)
        made.master.append(*parts)
        cut = made.master.cut()
        if place == base:
            made.publish(cut)
    return made


class Truth:
    """Who is one person: in the version, with pairs since then, and in all; what was undone since."""

    def __init__(self, made: Made, until: dict[int, int]) -> None:
        self.placed = made.master.placed(until)
        before = [one for one in self.placed if one[0][2] < made.since.get(one[0][1], 0)]
        after = [one for one in self.placed if one[0][2] >= made.since.get(one[0][1], 0)]
        self.published = resolution(standing(words_of(before)))
        words = dict[Pair, str]()
        for one, other, said in words_of(after):
            if (pair := pair_of(one, other)) is not None:
                words[pair] = max(words.get(pair, ""), said)
        joining = [pair for pair, said in words.items() if stands(said)]
        self.now = resolution([*standing(words_of(before)), *joining])
        self.undone = sum(
            1 for pair, said in words.items() if not stands(said) and len({*map(self.of, pair)}) == 1
        )
        self.whole = resolution(standing(words_of(self.placed)))

    def of(self, id_: str) -> str:
        return self.published.get(id_, id_)

    def mine(self, id_: str | None) -> list[Event]:
        """The events of the whole person that an id is of."""
        person = self.now.get(id_, id_) if id_ else None
        return [one for _, one in self.placed if self.now.get(one["user"], one["user"]) == person]


@settings(max_examples=60, deadline=None)
@given(given=chunks, data=st.data())
def test_every_id_is_answered_for_the_person_of_then(given: list[list[Any]], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        made = filled(Path(folder), given, data.draw(st.integers(0, len(given))))
        until = {p: data.draw(st.integers(made.since.get(p, 0), end)) for p, end in made.master.end.items()}
        truth = Truth(made, until)
        for id_ in (*IDS, None):
            answer, mine = made.answer("by_person", {"person": id_}, until), truth.mine(id_)
            measures = answer["rows"][0]["measures"]
            assert (measures["n"], measures["sum"]) == (len(mine), sum(one["size"] for one in mine))
            assert answer["complete"] and answer["identity"]["undone_since"] == truth.undone
            if not truth.undone:
                recomputed = made.recomputed("by_person", until)
                key = made.bound.view("by_person").key_of({"person": truth.whole.get(id_ or "", id_)})
                assert measures == made.shown("by_person", recomputed.get(key))
        for page in ("p", "q"):
            people = {truth.whole.get(o["user"], o["user"]) for _, o in truth.placed if o["page"] == page}
            measures = made.answer("by_page", {"page": page}, until)["rows"][0]["measures"]
            assert measures["people"]["lower"] <= len(people - {None}) <= measures["people"]["upper"]
            assert measures["n"] == sum(one["page"] == page for _, one in truth.placed)


@settings(max_examples=40, deadline=None)
@given(given=chunks, data=st.data())
def test_the_list_has_the_events_of_all_ids_of_the_person_and_adds_up(
    given: list[list[Any]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        made = filled(Path(folder), given, data.draw(st.integers(0, len(given))))
        until = {p: data.draw(st.integers(made.since.get(p, 0), end)) for p, end in made.master.end.items()}
        truth = Truth(made, until)
        for id_ in (*IDS, None):
            answer, mine = made.explain("by_person", {"person": id_}, until), truth.mine(id_)
            counted = [one for one in answer["events"] if one["outcome"] == "counted"]
            assert sorted(one["event_id"] for one in counted) == sorted(one["event_id"] for one in mine)
            assert answer["found"]["counted"] == answer["rows"][0]["measures"]["n"]
            assert {one["values"]["user"] for one in counted} <= {"(personal)", None}
            assert {one["values"]["person"] for one in counted} <= {"(personal)", None}
            tiles = (
                sum(tile["measures"]["n"] for tile in answer["layers"]["batch"]["tiles"]) if made.since else 0
            )
            assert tiles == sum(one["layer"] == "batch" for one in counted)


def test_of_a_person_only_the_events_of_its_ids_are_read(tmp_path: Path) -> None:
    others = [(0, "c", None, False, "p", 1)] * 50
    made = filled(tmp_path, [[*others, (0, "a", "b", False, "p", 2), (1, "b", None, False, "q", 3)]], 1)
    made.desks = replace(made.desks, limits=Limits(10, 10_000))
    told = made.explain("by_person", {"person": "b"}, made.master.end)
    assert [one["event_id"] for one in told["events"] if one["outcome"] == "counted"] == ["e51", "e52"]
    everybody = made.explain("by_person", {"person": "c"}, made.master.end)
    assert everybody["events"] is None and "LAMBDA_AS_OF_RECORDS" in everybody["unlisted"]
