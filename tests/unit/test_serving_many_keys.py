"""Several keys at once: named, by page, ranked. What is told is what a fold over all events tells."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.state import manifest_of, publish, speed_commands
from conf.settings import Settings
from core.folders import Folders
from core.keys import index_text
from core.layout import Layout
from core.views import CompiledView
from serving_layer.app import create_app
from serving_layer.asking import Desk
from serving_layer.gathering import KeysDesk
from serving_layer.key_answers import compose_page, compose_query, compose_ranking
from serving_layer.listings import key_of_text, parse_page, parse_ranking
from serving_layer.queries import parse_query
from serving_layer.snapshots import Watch
from serving_layer.speed_state import RedisSpeedStore
from tests.serving_kit import (
    BOUND,
    DAY,
    SEMANTICS,
    AppClient,
    FakePipe,
    buckets_of,
    edit,
    fields_of,
    generation,
    lease,
    place,
    progress,
    segments,
    services,
    silent_logger,
)  # fmt: skip
from tests.unit.test_serving_api import DAYS, Stand
from tests.unit.test_serving_merge import edits

Events = list[dict[str, Any]]
LAYOUT = Layout("t", BOUND.source.name)
FROM, TO = DAY, DAY + 86_400
RANGE = [("from", str(FROM * 1000)), ("to", str(TO * 1000))]


def clock() -> float:
    return DAY + 43_200.0


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    with stand.client:
        yield stand


class Platform:
    """Real index files and the commands of a speed layer, of events that are cut in two anywhere."""

    def __init__(
        self, folder: str, view: CompiledView, events: Events, cuts: list[int], boundary: int
    ) -> None:
        self.view, self._placed = view, list(zip(segments(events, cuts), events, strict=True))
        self._folders = Folders(Path(folder), BOUND.source.name)
        fields = [(view, fields_of(view, self._placed))]
        self.pipe = FakePipe(speed_commands(LAYOUT, generation(), progress(len(cuts)), lease(), fields))
        self._watch = Watch(self._folders, SEMANTICS, silent_logger())
        self.publish(boundary, 1)
        store = RedisSpeedStore(LAYOUT, self.pipe, SEMANTICS)
        self.desk = KeysDesk(Desk(BOUND, SEMANTICS, self._watch, store), 1000)

    def publish(self, boundary: int, version: int) -> None:
        batch = [event for segment, event in self._placed if segment < boundary]
        manifest = manifest_of(BOUND.source.name, SEMANTICS, boundary, version)
        publish(self._folders, manifest, [(self.view, buckets_of(self.view, batch))])
        self._watch.look()

    def query(self, keys: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
        body = json.dumps({"keys": keys, **dict(RANGE), **members}).encode()
        query = parse_query(self.view, body, clock)
        return asyncio.run(self._ask(query))

    async def _ask(self, query: Any) -> dict[str, Any]:
        return await compose_query(query, await self.desk.ask(query))

    def page(self, given: list[tuple[str, str]]) -> dict[str, Any]:
        page = parse_page(self.view, given, clock)

        async def told() -> dict[str, Any]:
            return await compose_page(page, await self.desk.page(page))

        return asyncio.run(told())

    def top(self, given: list[tuple[str, str]]) -> dict[str, Any]:
        ranking = parse_ranking(self.view, given, clock)

        async def told() -> dict[str, Any]:
            return await compose_ranking(ranking, await self.desk.rank(ranking))

        return asyncio.run(told())


def plain(view: CompiledView, events: Events) -> dict[str, Any]:
    """What each key shows of the day, by a fold over all events."""
    groups: dict[str, list[Any]] = {}
    for (key, bucket), partial in buckets_of(view, events).items():
        groups.setdefault(key, []).extend([partial] if FROM <= bucket < TO else [])
    return {key: view.present(view.merge_all(partials)) for key, partials in groups.items()}


def in_range(view: CompiledView, events: Events) -> set[str]:
    return {key for (key, bucket) in buckets_of(view, events) if FROM <= bucket < TO}


drawn = st.tuples(
    st.lists(edits, min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=3), st.integers(0, 3)
)


def platform(folder: str, view: CompiledView, found: Any) -> tuple[Platform, Events]:
    events, cuts, boundary = found[0], sorted(min(cut, len(found[0])) for cut in found[1]), found[2]
    return Platform(folder, view, events, cuts, min(boundary, len(cuts))), events


@pytest.mark.parametrize("name", ["edits_by_page", "edits_by_channel", "edits_by_country"])
@settings(max_examples=25, deadline=None)
@given(found=drawn)
def test_a_query_tells_of_each_key_what_a_fold_over_all_events_tells(name: str, found: Any) -> None:
    view = BOUND.view(name)
    with tempfile.TemporaryDirectory() as folder:
        one, events = platform(folder, view, found)
        truth, absent = plain(view, events), {part: "nowhere" for part in view.key}
        texts = sorted({place(view, event)[0] for event in events})
        told = one.query([*(key_of_text(view, text) for text in texts), absent])
    assert told["complete"], told["reasons"]
    assert [row["rows"][0]["measures"] for row in told["results"]] == [
        *(truth.get(text, view.present(view.zero)) for text in texts),
        view.present(view.zero),
    ]


@pytest.mark.parametrize("name", ["edits_by_page", "robot_edits", "wiki"])
@settings(max_examples=25, deadline=None)
@given(found=drawn, limit=st.integers(1, 4), later=st.integers(0, 3))
def test_pages_hold_each_key_once_also_across_a_publish(
    name: str, found: Any, limit: int, later: int
) -> None:
    view = BOUND.view(name)
    with tempfile.TemporaryDirectory() as folder:
        one, events = platform(folder, view, found)
        truth, given = plain(view, events), [*RANGE, ("limit", str(limit))]
        pages = [one.page(given)]
        one.publish(max(min(later, len(found[1])), min(found[2], len(found[1]))), 2)
        while (cursor := pages[-1]["cursor"]) is not None:
            pages.append(one.page([*given, ("cursor", cursor)]))
    results = [result for page in pages for result in page["results"]]
    assert [len(page["results"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert [view.key_of(result["key"]) for result in results] == sorted(truth, key=index_text)
    assert [result["rows"][0]["measures"] for result in results] == [
        truth[key] for key in sorted(truth, key=index_text)
    ]
    assert [page["version_changed"] for page in pages] == [False, *[True] * (len(pages) - 1)]


@pytest.mark.parametrize("by", ["edits", "added", "last_edit"])
@settings(max_examples=25, deadline=None)
@given(
    found=drawn, most=st.integers(1, 9), order=st.sampled_from(["most", "least"]), name=st.sampled_from("ab")
)
def test_the_first_keys_of_a_prefix_are_those_of_a_sort_over_all(
    by: str, found: Any, most: int, order: str, name: str
) -> None:
    view = BOUND.view("edits_by_page")
    with tempfile.TemporaryDirectory() as folder:
        one, events = platform(folder, view, found)
        events = [event for event in events if event["channel"] == name]
        told = one.top([*RANGE, ("by", by), ("n", str(most)), ("order", order), ("channel", name)])
        truth, ranked = plain(view, events), sorted(in_range(view, events), key=index_text)
    ranked.sort(key=lambda key: truth[key][by], reverse=order == "most")
    assert told["exact"] and told["complete"]
    assert [view.key_of(row["key"]) for row in told["rows"]] == ranked[:most]
    assert [row["measures"] for row in told["rows"]] == [{by: truth[key][by]} for key in ranked[:most]]
    assert told["others"]["keys"] == len(ranked[most:])
    assert told["others"]["bound"] == (truth[ranked[most]][by] if len(ranked) > most else None)
    assert told["read"]["keys"] == len({key for key in truth if key.startswith(f"1:{name}")})


@pytest.mark.parametrize("by", ["editors", "size.0.9", "size.count", "mean_delta"])
@settings(max_examples=15, deadline=None)
@given(found=drawn, most=st.integers(1, 3))
def test_a_ranking_by_an_approximate_measure_says_what_no_other_goes_beyond(
    by: str, found: Any, most: int
) -> None:
    view = BOUND.view("edits_by_channel")
    with tempfile.TemporaryDirectory() as folder:
        one, events = platform(folder, view, found)
        told = one.top([*RANGE, ("by", by), ("n", str(most))])
        truth = plain(view, events)

    def figure(key: str) -> Any:
        name, _, rank = by.partition(".")
        shown = truth[key][name]
        if rank == "0.9":
            return shown["quantiles"][1]["value"] if shown["quantiles"] else None
        return shown["estimate"] if name == "editors" else shown["count"] if rank == "count" else shown

    values = {key: figure(key) for key in in_range(view, events)}
    ranked = sorted((value for value in values.values() if value is not None), reverse=True)
    first = [view.key_of(row["key"]) for row in told["rows"]]
    assert [values[key] for key in first] == ranked[:most]
    assert all(told["others"]["bound"] >= value for value in ranked[most:])


def test_absent_keys_answer_with_zero_and_keys_keep_the_order_of_the_question(stand: Stand) -> None:
    keys = [
        {"channel": "#de.wikipedia", "page": "Ada"},
        {"channel": None, "page": ""},
        {"channel": "#en.wikipedia", "page": "Ada"},
    ]
    told = ask(stand, "edits_by_page", {"keys": keys, **DAYS, "measures": ["added", "edits"]})
    assert [result["key"] for result in told["results"]] == keys
    shown = [result["rows"][0]["measures"] for result in told["results"]]
    assert shown == [{"added": 5, "edits": 1}, {"added": 0, "edits": 0}, {"added": 20, "edits": 4}]
    row = told["results"][2]["rows"][0]
    assert (row["batch"], row["speed"]) == ({"added": 10, "edits": 2}, {"added": 10, "edits": 2})
    assert told["read"] == {"keys": 3, "tiles": 2, "fields": 2}
    assert told["manifest"]["boundary"] == 2 and told["as_of"] == "2015-09-12T12:00:00Z"


def ask(stand: Stand, view: str, body: Any) -> dict[str, Any]:
    answer = stand.client.request("POST", f"/v1/views/{view}/query", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_query_makes_a_series_of_each_key(stand: Stand) -> None:
    keys = [{"channel": "#en.wikipedia"}, {"channel": "none"}]
    told = ask(stand, "edits_by_channel", {"keys": keys, **DAYS, "every": "hour", "measures": ["edits"]})
    counts = [[row["measures"]["edits"] for row in result["rows"]] for result in told["results"]]
    assert counts == [[0] * 6 + [3, 1] + [0] * 16, [0] * 24]


def test_a_speed_state_that_is_away_leaves_the_batch_part_and_a_reason(stand: Stand) -> None:
    stand.speed.silence = "Redis is away"
    told = ask(stand, "edits_by_channel", {"keys": [{"channel": "#en.wikipedia"}], "measures": ["edits"]})
    assert told["results"][0]["rows"][0]["speed"] is None and told["reasons"] == ["Redis is away"]
    page = stand.client.get("/v1/views/edits_by_channel/keys").json()
    assert [result["key"]["channel"] for result in page["results"]] == ["#de.wikipedia", "#en.wikipedia"]
    top = stand.client.get("/v1/views/edits_by_channel/top", by="edits").json()
    assert not top["complete"] and top["rows"][0]["key"] == {"channel": "#en.wikipedia"}


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        ([], "bad-query", "body"),
        ({}, "bad-query", "keys"),
        ({"keys": []}, "bad-query", "keys"),
        ({"keys": [{}] * 1001}, "too-many-keys", "keys"),
        ({"keys": [{"channel": "a"}, {}]}, "missing-key-part", "keys[1].channel"),
        ({"keys": [{"channel": 5}]}, "bad-key-part", "keys[0].channel"),
        ({"keys": [{"channel": "a", "page": "b"}]}, "bad-key-part", "keys[0].page"),
        ({"keys": [["a"]]}, "bad-key-part", "keys[0]"),
        ({"keys": [{"channel": "a"}], "measures": ["edit"]}, "unknown-measure", "measures"),
        ({"keys": [{"channel": "a"}], "measures": []}, "bad-query", "measures"),
        ({"keys": [{"channel": "a"}], "form": "2015-09-12"}, "unknown-parameter", "form"),
        ({"keys": [{"channel": "a"}], "from": "2015-09-12T00:00:30Z"}, "bad-range", "from"),
        ({"keys": [{"channel": "a"}], "from": True}, "bad-query", "from"),
        ({"keys": [{"channel": "a"}], "every": "hour"}, "bad-every", "every"),
        ({"keys": [{"channel": "a"}] * 20, "every": "minute", **DAYS}, "too-many-rows", "every"),
    ],
)
def test_a_wrong_query_is_told_what_is_allowed(stand: Stand, body: Any, kind: str, field: str) -> None:
    answer = stand.client.request("POST", "/v1/views/edits_by_channel/query", json=body)
    told = answer.json()
    assert (answer.status_code, told["type"], told["field"]) == (400, f"/problems#{kind}", field)
    assert told["allowed"]


@pytest.mark.parametrize(
    ("path", "parameters", "kind", "field"),
    [
        ("edits_by_page/keys", {"page": "Ada"}, "bad-prefix", "channel"),
        ("edits_by_page/keys", {"limit": "0"}, "bad-count", "limit"),
        ("edits_by_page/keys", {"limit": "1001"}, "bad-count", "limit"),
        ("edits_by_page/keys", {"limit": "٣"}, "bad-count", "limit"),
        ("edits_by_page/keys", {"cursor": "?"}, "bad-cursor", "cursor"),
        ("edits_by_page/keys", {"cursor": "AAAA"}, "bad-cursor", "cursor"),
        ("edits_by_page/keys", {"user": "a"}, "unknown-parameter", "user"),
        ("edits_by_page/top", {}, "unknown-measure", "by"),
        ("edits_by_page/top", {"by": "edit"}, "unknown-measure", "by"),
        ("wiki/top", {"by": "top_pages"}, "unknown-measure", "by"),
        ("wiki/top", {"by": "size"}, "unknown-measure", "by"),
        ("edits_by_page/top", {"by": "edits", "order": "up"}, "bad-query", "order"),
        ("edits_by_page/top", {"by": "edits", "every": "hour", **DAYS}, "bad-every", "every"),
        ("edits_by_page/top", {"by": "edits", "n": "-1"}, "bad-count", "n"),
        ("edits_by_pag/top", {"by": "edits"}, "unknown-view", "view"),
    ],
)  # fmt: skip
def test_a_wrong_listing_is_told_what_is_allowed(
    stand: Stand, path: str, parameters: dict[str, str], kind: str, field: str
) -> None:
    told = stand.problem(f"/v1/views/{path}", **parameters)
    assert (told["type"], told["field"]) == (kind, field)
    assert told["allowed"]


def test_a_cursor_belongs_to_one_question(stand: Stand) -> None:
    first = stand.client.get("/v1/views/edits_by_page/keys", limit=1).json()
    assert len(first["results"]) == 1
    other = stand.problem("/v1/views/edits_by_page/keys", cursor=first["cursor"], channel="#en.wikipedia")
    assert other["type"] == "bad-cursor" and "another question" in other["detail"]
    rest = stand.client.get("/v1/views/edits_by_page/keys", cursor=first["cursor"]).json()
    assert [result["key"]["channel"] for result in rest["results"]] == ["#en.wikipedia"]
    assert rest["cursor"] is None


def test_more_keys_than_a_ranking_may_read_are_refused(stand: Stand, tmp_path: Path) -> None:
    few = services(stand.versions, stand.speed, stand.log, Settings(data_dir=tmp_path))
    few = few.__class__(**{**vars(few), "ranked_keys": 1})
    with AppClient(create_app(Settings(data_dir=tmp_path), few)) as client:
        told = client.get("/v1/views/edits_by_page/top", by="edits").json()
        assert (told["type"], told["field"]) == ("/problems#too-many-keys", "channel")
        assert "more than 1 keys" in told["detail"] and "LAMBDA_RANKED_KEYS" in told["detail"]
        assert (
            client.get("/v1/views/edits_by_page/top", by="edits", channel="#en.wikipedia").status_code == 200
        )


def test_a_key_that_the_index_only_holds_a_digest_of_is_counted_and_not_named() -> None:
    view = BOUND.view("edits_by_page")
    events = [edit(1, page="y" * 5000), edit(2, page="Bob"), edit(3, page="y" * 5000)]
    with tempfile.TemporaryDirectory() as folder:
        one = Platform(folder, view, events, [2], 1)
        named = one.page(RANGE)
        assert [len(result["key"]["page"]) for result in named["results"]] == [3, 5000]
        assert [result["rows"][0]["measures"]["edits"] for result in named["results"]] == [1, 2]
        one.publish(1, 2)
        one.pipe.data.clear()
        told = one.top([*RANGE, ("by", "edits")])
    assert ([row["key"]["page"] for row in told["rows"]], told["read"]["unnamed"]) == (["Bob"], 1)
    assert not told["exact"]
