"""Lists of persons: each whole person once, in its place, whatever was published and joined since."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.state import manifest_of, write_view
from core import Count, View
from core.buckets import Run
from core.folders import Folders
from core.groups import Pair, resolution, word
from core.identity import person_part
from core.keys import index_text, key_text, parse_key
from core.resolutions import Resolved
from core.views import CompiledView
from serving_layer.asking import Desk
from serving_layer.gathering import KeysDesk
from serving_layer.index import LmdbIndex
from serving_layer.key_answers import compose_page
from serving_layer.listings import parse_page
from serving_layer.live_pairs import LivePairs
from serving_layer.person_keys import PersonKeys
from serving_layer.persons import Now, names_person
from serving_layer.ports import Bucketed, Index, Listed
from tests.serving_kit import FakeSpeed
from tests.unit.test_identity import PEOPLE, bound
from tests.unit.test_serving_persons import (
    BOUND,
    BOUNDARY,
    IDS,
    SOME,
    Fields,
    Hall,
    Pairs,
    clock,
    halls,
    listed_key,
)

BOTH = bound(
    PEOPLE,
    View("people", PEOPLE, key=("person",), measures={"n": Count()}),
    View("last", PEOPLE, key=("page", "person"), measures={"n": Count()}),
    View("first", PEOPLE, key=("person", "page"), measures={"n": Count()}),
    View("between", PEOPLE, key=("page", "person", "user"), measures={"n": Count()}),
)
# the index cuts texts of more than 400 bytes to 384 and a digest: parts that end before, at and behind these
LONG = ["h" * 370, "h" * 380, "h" * 384, "h" * 390, *("h" * 450 + end for end in "1234")]
TEXTS = ["", "a", "aa", "b", "-", "1:b", *LONG]
WHO = ["a", "b", "c", "aa", "d", "e", "f", "i", *LONG]
texts = st.sampled_from(TEXTS) | st.sampled_from(LONG[-4:])
views = st.sampled_from(["people", "last", "first", "between"])
STANDS = word(9, 0, 0, undone=False)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[tuple[str, str | None, str]], list[Pair], list[Pair]]:
    """Page, person and user of some keys, of few pages and persons; pairs published, and since."""
    who = st.sampled_from(WHO) | st.sampled_from(LONG[-4:])
    ids = draw(st.lists(who, min_size=2, max_size=5, unique=True))
    first, last = (st.sampled_from(draw(st.lists(texts, min_size=1, max_size=most))) for most in (2, 4))
    pairs = st.lists(st.sampled_from(list(combinations(sorted(ids), 2))), max_size=3)
    keys = st.lists(st.tuples(first, st.none() | st.sampled_from(ids), last), max_size=30)
    return draw(keys), draw(pairs), draw(pairs)


def index_of(folder: Path, view: CompiledView, keys: Iterable[str]) -> LmdbIndex:
    packed = view.codec.pack(view.zero)
    index = write_view(folder, view.name, [(key, 86_400, 0, packed) for key in sorted(keys)])
    manifest = manifest_of(PEOPLE.name, "s", 1)
    return LmdbIndex(folder, manifest.__class__(**{**vars(manifest), "index": index}))


def now_of(published: Iterable[Pair], since: Iterable[Pair]) -> Now:
    persons = Resolved(resolution(published))
    return Now(1, persons, persons, dict.fromkeys(since, STANDS))


def under(view: CompiledView, keys: Iterable[str], joined: Iterable[Pair]) -> set[str]:
    """The keys with each id replaced by the least that is one with it: pair by pair, until nothing moves."""
    least = {id_: id_ for id_ in WHO}
    for _ in WHO:
        for one, other in joined:
            least[one] = least[other] = min(least[one], least[other])
    place, found = person_part(view), set[str]()
    assert place is not None
    for key in keys:
        parts = parse_key(key)
        person = parts[place]
        parts[place] = person if person is None else least[person]
        found.add(key_text(parts))
    return found


def pages(keys: PersonKeys, most: int) -> Iterable[list[Listed]]:
    after = None
    while page := keys.first(after, most):
        yield page
        after = page[-1][0]


def test_pages_of_any_size_hold_each_whole_person_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    @settings(max_examples=300, deadline=None)
    # keys whose digests are in another order than the keys under the other id, or that lie in no order at all
    @example("first", ([("h" * 300 + end, "i", "") for end in "35"], [], [("h" * 370, "i")]), 1, 0)
    @example("first", ([("h" * 450 + end, "b", "") for end in "1234"], [], [("a", "b")]), 1, 0)
    @example(
        "first",
        ([(end, id_, "") for end in "12345" for id_ in LONG[-3:-1]], [], [tuple(LONG[-4:-2])]),
        1,
        0,
    )
    @example("last", ([(LONG[-3], id_, "") for id_ in "bcdefi"], [], [("a", "b")]), 1, 0)
    @given(views, worlds(), st.integers(1, 5), st.integers(0, 3))
    def hold(name: str, world: Any, most: int, named: int) -> None:
        drawn, published, since = world
        view = BOTH.view(name)
        made = [dict(zip(("page", "person", "user"), one, strict=True)) for one in drawn]
        raw = [key_text([one[part] for part in view.key]) for one in made]
        parts = [made[0][part] for part in view.key][:named] if made else []
        prefix = key_text(parts)
        index = index_of(tmp_path_factory.mktemp("index"), view, under(view, raw, published))
        found = list(pages(PersonKeys(index, now_of(published, since), view, prefix), most))
        joined = [*published, *since]
        of = next(iter(under(view, [prefix], joined))) if names_person(view, prefix) else prefix
        wanted = [key for key in under(view, raw, joined) if key.startswith(of)]
        wanted.sort(key=index_text)
        assert [one for page in found for one in page] == [(index_text(key), key) for key in wanted]
        assert all(len(page) == most for page in found[:-1])

    hold()


class Counting(Index):
    """Counts what is read of an index in memory."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._listed = [(index_text(key), key) for key in sorted(keys, key=index_text)]
        self.read_of = 0

    def read(self, view: CompiledView, key: str, runs: Sequence[Run]) -> list[Bucketed]:
        raise NotImplementedError

    def read_many(
        self, view: CompiledView, keys: Collection[str], runs: Sequence[Run]
    ) -> dict[str, list[Bucketed]]:
        raise NotImplementedError

    def keys(self, view: CompiledView, prefix: str, after: bytes | None, most: int) -> list[Listed]:
        behind: list[Listed] = [
            (place, key)
            for place, key in self._listed
            if key.startswith(prefix) and (after is None or place > after)
        ]
        self.read_of += 1 + len(behind[:most])
        return behind[:most]


@pytest.mark.parametrize("name", ["people", "last", "first"])
def test_a_page_reads_what_it_shows_and_what_pairs_join_and_not_all_keys(name: str) -> None:
    view, ids = BOTH.view(name), [f"{n:04}" for n in range(2_000)]
    index = Counting(
        key_text([{"person": id_, "page": page}[part] for part in view.key]) for id_ in ids for page in "pq"
    )
    joined = list(zip(ids[100:130], ids[1_900:1_930], strict=True))
    after = index.keys(view, "", None, 190)[-1][0]
    index.read_of = 0
    found = PersonKeys(index, now_of([], joined), view).first(after, 20)
    assert len(found) == 20 and found[0][0] > after
    assert index.read_of <= 3 * (20 + 1) + 4 * len(joined)


def ask(hall: Hall, view: str, **given: str) -> dict[str, Any]:
    return page_of(hall.desk(), view, **given)


def page_of(desk: Desk, view: str = "by_person", **given: str) -> dict[str, Any]:
    page = parse_page(BOUND.view(view), list(given.items()), clock)

    async def told() -> dict[str, Any]:
        return await compose_page(page, await KeysDesk(desk, 100).page(page))

    return asyncio.run(told())


def listing(hall: Hall, view: str, parts: dict[str, str]) -> list[tuple[str, int]]:
    """Keys and counts in order, of every event by itself; a person is called by any id."""
    persons, found = hall.persons(), dict[str, int]()
    prefix = key_text([persons[part] if name == "person" else part for name, part in parts.items()])
    for id_, segment in hall.events:
        key = listed_key(view, None if id_ is None else persons[id_], segment)
        found[key] = found.get(key, 0) + 1
    return sorted(
        (one for one in found.items() if one[0].startswith(prefix)), key=lambda one: index_text(one[0])
    )


def told_in(page: dict[str, Any], view: str) -> list[tuple[str, int]]:
    key_of = BOUND.view(view).key_of
    return [(key_of(one["key"]), one["rows"][0]["measures"]["n"]) for one in page["results"]]


asked = st.sampled_from(
    [("of_page", {}), ("of_page", {"page": "p"}), ("pages_of", {})]
    + [("pages_of", {"person": id_}) for id_ in IDS]
)


@SOME
@given(halls, asked, st.integers(1, 4))
def test_a_list_counts_each_person_whole_or_is_not_complete(
    hall: Hall, asked: tuple[str, dict[str, str]], limit: int
) -> None:
    view, prefix = asked
    found, more = list[tuple[str, int]](), dict[str, str]()
    while True:
        page = ask(hall, view, limit=str(limit), **prefix, **more)
        found += told_in(page, view)
        if page["cursor"] is None:
            break
        assert len(page["results"]) == limit
        more = {"cursor": page["cursor"]}
    if page["complete"]:
        assert found == listing(hall, view, prefix)
    else:
        (reason,) = page["reasons"]
        assert "counts ids as one person that the batch view has apart" in reason
    assert page["identity"]["resolution"] == (3 if hall.boundary else 0)


@SOME
@given(halls, asked, st.integers(1, 4), st.integers(0, 8))
def test_a_cursor_goes_on_behind_its_key_when_pairs_came_since(
    hall: Hall, asked: tuple[str, dict[str, str]], limit: int, known: int
) -> None:
    view, prefix = asked
    before = [one for one in hall.pairs if one[2][0] < hall.boundary]
    later = [one for one in hall.pairs if one[2][0] >= hall.boundary]
    first = ask(Hall([*before, *later[:known]], hall.events, hall.generation, hall.boundary), view,
                limit=str(limit), **prefix)  # fmt: skip
    if first["cursor"] is None:
        return
    rest = ask(hall, view, limit="100", cursor=first["cursor"], **prefix)
    last = told_in(first, view)[-1][0]
    if "person" in prefix:  # who may be called by another id by now
        last = key_text([hall.persons()[prefix["person"]], *parse_key(last)[1:]])
    if rest["complete"]:
        wanted = listing(hall, view, prefix)
        assert told_in(rest, view) == [one for one in wanted if index_text(one[0]) > index_text(last)]


def test_the_list_of_a_person_goes_on_under_the_id_of_now() -> None:
    events = [("b", 1), ("b", 2), ("b", 3), ("a", 1)]
    before, late = Hall([], events, BOUNDARY), ("a", "b", (9, 0, 1), False)
    first = ask(before, "pages_of", person="b", limit="1")
    assert first["cursor"] and [one["key"]["person"] for one in first["results"]] == ["b"]
    after = Hall([late], events, BOUNDARY)
    rest = ask(after, "pages_of", person="b", cursor=first["cursor"])
    assert [one["key"]["person"] for one in rest["results"]] == ["a"] * len(rest["results"])
    assert told_in(rest, "pages_of") == listing(after, "pages_of", {"person": "b"})[1:] != []


def test_a_list_says_what_was_undone_since() -> None:
    hall = Hall(
        [("a", "b", (0, 0, 1), False), ("a", "b", (6, 0, 2), True), ("c", "d", (7, 0, 3), False)],
        [("a", 1), ("b", 7), ("c", 2), ("d", 8), ("e", 9)], generation=5,
    )  # fmt: skip
    page = ask(hall, "by_person")
    assert page["identity"] == {"resolution": 3, "pairs_since": 1, "undone_since": 1}
    assert told_in(page, "by_person") == [(key_text([id_]), n) for id_, n in (("a", 2), ("c", 2), ("e", 1))]
    assert set(IDS) == {"a", "b", "c", "d", "e"} and page["complete"]


JOINED_SINCE = Hall([("a", "b", (6, 0, 1), False)], [("a", 1), ("b", 2)], generation=0)


def test_without_the_resolution_of_the_generation_a_list_is_joined_and_not_complete() -> None:
    desk = JOINED_SINCE.desk()
    assert isinstance(desk.speed, Fields)
    counted, folders = Fields(desk.speed.rows, "gone"), Folders(Path("/nowhere"), "s")
    page = page_of(replace(desk, speed=counted, pairs=Pairs(BOUND, counted, folders)))
    assert told_in(page, "by_person") == [(key_text(["a"]), 2)]
    assert not page["complete"] and "is gone" in page["reasons"][0]


def test_while_the_speed_state_is_silent_published_persons_are_listed_and_not_complete() -> None:
    desk = JOINED_SINCE.desk()
    silent = FakeSpeed(silence="Redis is away")
    page = page_of(
        replace(desk, speed=silent, pairs=LivePairs(BOUND, silent, Folders(Path("/nowhere"), "s")))
    )
    assert told_in(page, "by_person") == [(key_text(["a"]), 1), (key_text(["b"]), 1)]
    assert (page["complete"], page["reasons"]) == (False, ["Redis is away"]) and "identity" not in page
