"""Several keys of the past, where a source declares something: what each of them is answered alone."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.repeatable import repeatable
from serving_layer.gathering import KeysDesk
from serving_layer.key_answers import compose_page, compose_query, compose_ranking
from serving_layer.listings import parse_page, parse_ranking
from serving_layer.queries import parse_query
from serving_layer.rendering import to_json
from tests.past_kit import Made
from tests.unit import test_past_corrections, test_past_persons, test_past_visits


def desk_of(made: Made, until: dict[int, int]) -> KeysDesk:
    return KeysDesk(made.desks.desk(made.moment(until)), 1000)


def keys_at(made: Made, name: str, until: dict[int, int]) -> dict[str, Any]:
    page = parse_page(repeatable(made.bound.view(name)), [("limit", "1000")], lambda: 0.0)
    return asyncio.run(_of(made, until, lambda desk: _page(desk, page)))


def top_of(made: Made, name: str, until: dict[int, int]) -> dict[str, Any]:
    ranking = parse_ranking(repeatable(made.bound.view(name)), [("by", "n"), ("n", "100")], lambda: 0.0)
    return asyncio.run(_of(made, until, lambda desk: _rank(desk, ranking)))


def many(made: Made, name: str, keys: list[dict[str, Any]], until: dict[int, int]) -> dict[str, Any]:
    query = parse_query(repeatable(made.bound.view(name)), to_json({"keys": keys}), lambda: 0.0)
    return asyncio.run(_of(made, until, lambda desk: _query(desk, query)))


async def _of(made: Made, until: dict[int, int], ask: Callable[[KeysDesk], Any]) -> dict[str, Any]:
    return made.moment(until).tell(await ask(desk_of(made, until)))


async def _page(desk: KeysDesk, page: Any) -> dict[str, Any]:
    return await compose_page(page, await desk.page(page))


async def _rank(desk: KeysDesk, ranking: Any) -> dict[str, Any]:
    return await compose_ranking(ranking, await desk.rank(ranking))


async def _query(desk: KeysDesk, query: Any) -> dict[str, Any]:
    return await compose_query(query, await desk.ask(query))


@pytest.mark.parametrize(
    ("module", "name", "part"),
    [
        (test_past_visits, "by_entry", "entry"),
        (test_past_corrections, "by_page", "page"),
        (test_past_persons, "by_person", "person"),
    ],
)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_lists_say_of_each_key_what_it_is_answered_alone(
    module: Any, name: str, part: str, data: st.DataObject
) -> None:
    given_ = data.draw(module.chunks)
    with TemporaryDirectory() as folder:
        made = module.filled(Path(folder), given_, data.draw(st.integers(0, len(given_))))
        until = dict(made.master.end)
        page, top = keys_at(made, name, until), top_of(made, name, until)
        listed = {one["key"][part]: one["rows"][0] for one in page["results"]}
        alone = {key: made.answer(name, {part: key}, until) for key in listed}
        asked = many(made, name, [{part: key} for key in listed] or [{part: "nobody"}], until)
        assert page["complete"] == asked["complete"]
        # a ranking by a count reads nothing that cannot be subtracted from
        assert top["complete"] is (page["complete"] or module is test_past_corrections)
        assert page["complete"] is all(one["complete"] for one in alone.values()) or not listed
        for key, answer in zip(listed, asked["results"], strict=False):
            assert answer["rows"] == alone[key]["rows"]
            assert part == "person" or listed[key] == alone[key]["rows"][0]
        ranked = {row["key"][part]: row["measures"]["n"] for row in top["rows"]}
        alone |= {key: made.answer(name, {part: key}, until) for key in ranked.keys() - alone.keys()}
        assert ranked == {key: alone[key]["rows"][0]["measures"]["n"] for key in ranked}
        whole = made.recomputed(name, until)
        assert sum(ranked.values()) == sum(made.shown(name, one)["n"] for one in whole.values())
