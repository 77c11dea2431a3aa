"""The client: typed answers of the real API, its errors, what it repeats, and how it listens."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import client
from client import (
    AsyncClient,
    Client,
    Estimate,
    Explanation,
    Paged,
    Quantiles,
    Queried,
    Ranking,
    Retries,
    question,
)  # fmt: skip
from client.decoding import decode
from client.models import Answer, Catalogue, KeyPart, Measure, Positions, Progress, wire_name
from client.streams import Message, MessageParser
from client.values import Ranked, value_of
from serving_layer.schemas import SCHEMAS
from tests.client_kit import Naps, Scripted, problem, served, stream
from tests.serving_kit import KEY, edit
from tests.unit.test_serving_api import Stand

DAY: Any = {"start": date(2015, 9, 12), "end": date(2015, 9, 13)}
QUICK = Retries(most=2, first=1.0, longest=5.0, chance=lambda: 1.0)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(Stand(tmp_path_factory.mktemp("data")).client.app) as url:
        yield url


@pytest.fixture
def api(url: str) -> Iterator[Client]:
    with Client(url, admin_key=KEY) as one:
        yield one


def test_an_answer_is_typed(api: Client) -> None:
    told = api.ask("wiki", **DAY)
    assert told.measures["edits"] == 5
    assert told.measures["last_edit"] == datetime(2015, 9, 12, 7, 30, tzinfo=UTC)
    assert isinstance(told.measures["editors"], Estimate) and isinstance(told.measures["size"], Quantiles)
    assert told.measures["top_pages"] == (Ranked("Ada", 5, 5, 5),)
    assert (told.start, told.as_of) == (
        datetime(2015, 9, 12, tzinfo=UTC),
        datetime(2015, 9, 12, 12, tzinfo=UTC),
    )
    assert told.complete and told.manifest and told.manifest.version == 1
    assert told.rows[0].batch and told.rows[0].batch["edits"] == 3


def test_a_key_may_be_null_a_time_may_have_any_zone_and_a_series_has_rows(api: Client) -> None:
    assert api.ask("edits_by_country", countryIsoCode=None, **DAY).key == {"countryIsoCode": None}
    start = datetime.fromisoformat("2015-09-12T08:00:00+02:00")
    rows = api.ask("edits_by_user", {"user": "mary"}, start=start, end=DAY["end"], every="hour").rows
    assert [row.measures["edits"] for row in rows[:3]] == [4, 1, 0]
    with pytest.raises(ValueError, match="series of 24 rows"):
        _ = api.ask("wiki", every="hour", **DAY).measures


@pytest.mark.parametrize(
    ("ask", "error", "field"),
    [
        (lambda api: api.ask("edits_by_pag"), client.NotFound, "view"),
        (lambda api: api.ask("edits_by_user"), client.BadQuestion, "user"),
        (lambda api: api.ask("wiki", every="fortnight"), client.BadQuestion, "every"),
        (lambda api: api.send("wikipedia.edits", [{"event_id": 5}]), client.EventsRefused, "event_id"),
        (lambda api: api.send("wiki", []), client.NotFound, "source"),
    ],
)
def test_a_problem_is_a_typed_error_with_its_field(api: Client, ask: Any, error: type, field: str) -> None:
    with pytest.raises(error) as raised:
        ask(api)
    assert isinstance(raised.value, client.ProblemError)
    assert raised.value.field == field and raised.value.detail in str(raised.value)


def test_events_are_sent_with_the_admin_key_and_not_without(api: Client, url: str) -> None:
    told = api.send("wikipedia.edits", [edit(100), edit(101)])
    assert told.accepted == 2 and told.positions[1].event_id == "e101"
    with Client(url) as other, pytest.raises(client.NotAdmitted):
        other.send("wikipedia.edits", [edit(100)])


def test_both_clients_are_told_the_same(api: Client, url: str) -> None:
    async def ask() -> tuple[Any, ...]:
        async with AsyncClient(url) as other:
            first = await anext(aiter(other.live("wiki", **DAY)))
            return await other.ask("wiki", **DAY), await other.views(), first

    told = api.ask("wiki", **DAY)
    assert asyncio.run(ask()) == (told, api.views(), told)
    assert next(iter(api.live("wiki", **DAY))) == told


def test_several_keys_are_asked_listed_and_ranked(api: Client) -> None:
    day = question("edits_by_channel", **DAY)
    keys = [{"channel": "#de.wikipedia"}, {"channel": "nobody"}]
    queried = api.ask_many(day, keys, measures=["edits"])
    assert [(one.key, one.rows[0].measures) for one in queried.results] == [
        (keys[0], {"edits": 1}),
        (keys[1], {"edits": 0}),
    ]
    listed = list(api.keys(question("edits_by_page"), limit=1))
    assert sorted(str(one.key["channel"]) for one in listed) == ["#de.wikipedia", "#en.wikipedia"]
    told = api.top(day, by="edits", n=1)
    assert (told.rows[0].rank, told.rows[0].key, told.rows[0].certain) == (
        1,
        {"channel": "#en.wikipedia"},
        True,
    )
    assert told.rows[0].measures["edits"] == 4 and told.others.keys == 1 and told.others.bound == 1


def test_both_clients_ask_list_and_rank_alike(api: Client, url: str) -> None:
    day, keys = question("edits_by_channel", **DAY), [{"channel": "#en.wikipedia"}]

    async def ask() -> tuple[Any, ...]:
        async with AsyncClient(url) as other:
            listed = [one async for one in other.keys(day, limit=1)]
            return await other.ask_many(day, keys), listed, await other.top(day, "edits")

    assert asyncio.run(ask()) == (
        api.ask_many(day, keys),
        list(api.keys(day, limit=1)),
        api.top(day, "edits"),
    )


def test_every_model_is_what_the_openapi_document_says() -> None:
    for model in (Answer, Catalogue, Positions, Queried, Paged, Explanation):
        _compare(model, SCHEMAS[model.__name__])
    _compare(Ranking, SCHEMAS["Ranked"])


def _compare(model: Any, schema: Mapping[str, Any]) -> None:
    hints, known = get_type_hints(model), [one for one in fields(model) if one.name != "raw"]
    assert {wire_name(one) for one in known} == set(schema["properties"]), model
    for one in known:
        _compare_types(hints[one.name], schema["properties"][wire_name(one)], f"{model.__name__}.{one.name}")


def _compare_types(hint: Any, schema: Mapping[str, Any], place: str) -> None:
    if not schema:  # any value of a measure
        return
    kinds = schema.get("anyOf", [schema])
    optional = get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)
    assert optional == ({"type": "null"} in kinds), place
    (kind,) = [one for one in kinds if one != {"type": "null"}]
    (inner, *_) = [one for one in get_args(hint) if one is not NoneType] if optional else [hint]
    named = {str: "string", datetime: "string", bool: "boolean", int: "integer"}.get(inner)
    if named:
        assert kind["type"] == named, place
    elif is_dataclass(inner):
        _compare(inner, kind)
    elif get_origin(inner) is tuple:
        assert kind["type"] == "array", place
        if kind["items"] != {"type": "object"} or not is_dataclass(get_args(inner)[0]):
            _compare_types(get_args(inner)[0], kind["items"], place)
    else:
        assert kind["type"] == "object", place


def test_key_parts_and_measures_are_all_that_the_catalogue_says(url: str) -> None:
    for view in httpx.get(f"{url}/v1/views").json()["views"]:
        for model, listed in ((KeyPart, view["key"]), (Measure, view["measures"])):
            for each in listed:
                assert set(each) == {one.name for one in fields(model)}


def test_the_errors_are_the_tree_that_their_page_draws() -> None:
    page = client.errors.__doc__ or ""
    raised = [name for name in client.__all__ if isinstance(getattr(client, name), type)]
    for name in raised:
        assert not issubclass(getattr(client, name), Exception) or f" {name} " in page or name in page


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4), st.integers(-(10**30), 10**30))
def test_numbers_keep_every_digit(fraction: Decimal, whole: int) -> None:
    measures = answer_of(f'{{"a": {fraction:f}, "b": {whole}}}').measures
    assert measures == {"a": fraction, "b": whole}
    assert type(measures["b"]) is int


def answer_of(measures: str) -> Answer:
    """An answer of one row with these measures, JSON."""
    text = event(7).decode().partition("data: ")[2]
    return decode(Answer, text.replace('{"edits": 7}', measures))


def test_the_end_of_time_is_a_time_and_a_text_that_is_none_stays_a_text() -> None:
    assert value_of("2015-09-12") == "2015-09-12"
    assert value_of("2015-09-12T00:00:00.5+02:00") == datetime.fromisoformat("2015-09-11T22:00:00.5+00:00")
    assert decode(Progress, '{"as_of": "+10000-01-01T00:00:00Z"}').as_of.year == 9999


def test_what_is_no_answer_is_told() -> None:
    page = httpx.Response(200, text="<html>")
    wrong = httpx.Response(502, text="<html>", headers={"content-type": "text/html"})
    with Client(transport=Scripted(page, wrong), retries=Retries(most=0)) as one:
        with pytest.raises(client.NotUnderstood, match="not JSON"):
            one.ask("wiki")
        with pytest.raises(client.NotUnderstood, match="502 with text/html"):
            one.ask("wiki")


def test_what_may_pass_is_asked_again_after_longer_and_longer_pauses() -> None:
    naps, away = Naps(), httpx.ConnectError("refused")
    soon = problem(503, "index-unavailable", headers={"Retry-After": "4"})
    transport = Scripted(away, soon, lambda _: httpx.Response(200, json={"views": [], "sources": []}))
    with Client(transport=transport, retries=QUICK, sleep=naps) as one:
        assert one.views() == ()
    assert naps.taken == [1.0, 4.0]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (httpx.ConnectError("refused"), client.Unreachable),
        (problem(503, "index-unavailable"), client.Unavailable),
    ],
)
def test_what_does_not_pass_is_given_up(trouble: Any, error: type[client.ClientError]) -> None:
    transport = Scripted(trouble, trouble, trouble)
    with Client(transport=transport, retries=QUICK, sleep=Naps()) as one, pytest.raises(error):
        one.views()
    assert len(transport.requests) == 3


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_what_will_not_pass_is_asked_once(status: int) -> None:
    transport = Scripted(problem(status, "bad-time"))
    with Client(transport=transport, retries=QUICK, sleep=Naps()) as one, pytest.raises(client.ProblemError):
        one.ask("wiki")
    assert len(transport.requests) == 1


def test_events_are_sent_again_for_a_repetition_counts_once() -> None:
    accepted = httpx.Response(202, json={"accepted": 0, "topic": "t", "positions": []})
    transport = Scripted(httpx.ReadTimeout("slow"), problem(503, "log-unavailable"), accepted)
    with Client(transport=transport, retries=QUICK, sleep=Naps()) as one:
        one.send("wikipedia.edits", [edit(1)])
    assert len({request.content for request in transport.requests}) == 1 and len(transport.requests) == 3


def test_an_api_that_asks_for_more_patience_than_there_is_is_given_up() -> None:
    transport = Scripted(problem(503, "too-many-listeners", headers={"Retry-After": "60"}))
    with Client(transport=transport, retries=QUICK, sleep=Naps()) as one, pytest.raises(client.Unavailable):
        one.ask("wiki")


def event(number: int, name: str = "answer") -> bytes:
    row = {"from": None, "to": None, "measures": {"edits": number}, "batch": None, "speed": None}
    told = {
        "view": "wiki", "key": {}, "from": None, "to": None, "every": None, "zone": "UTC", "rows": [row],
        "manifest": None, "generation": None, "as_of": None, "complete": True, "reasons": [],
        "read": {"tiles": 0, "fields": 0},
    }  # fmt: skip
    return f"event: {name}\nid: n{number}\ndata: {json.dumps(told)}\n\n".encode()


PROGRESS = b'event: progress\ndata: {"id": "n1", "as_of": "2015-09-12T12:00:00Z"}\n\n'


def test_a_lost_stream_is_connected_anew_with_the_last_id() -> None:
    naps = Naps()
    transport = Scripted(
        stream(b"retry: 3000\n\n", event(1), b": nothing new\n\n", PROGRESS, httpx.ReadError("lost")),
        httpx.ConnectError("refused"),
        problem(503, "too-many-listeners", headers={"Retry-After": "5"}),
        stream(event(2)),
        problem(404, "unknown-view"),
    )
    with Client(transport=transport, sleep=naps) as one:
        updates, told = one.updates(question("wiki")), list[Any]()
        with pytest.raises(client.NotFound):
            told.extend(updates)
            told += updates
    assert [request.headers.get("last-event-id") for request in transport.requests] == [
        None,
        *["n1"] * 3,
        "n2",
    ]
    assert all(nap >= 3 for nap in naps.taken) and naps.taken[2] >= 5


def test_a_listener_is_told_answers_and_may_be_told_how_long_they_hold() -> None:
    with Client(transport=Scripted(stream(event(1), PROGRESS, event(2))), sleep=Naps()) as one:
        updates = one.updates(question("wiki"))
        found = [next(updates) for _ in range(3)]
    assert found[1] == Progress(datetime(2015, 9, 12, 12, tzinfo=UTC))
    with Client(transport=Scripted(stream(event(1), PROGRESS, event(2))), sleep=Naps()) as one:
        answers = one.live("wiki")
        assert [next(answers).measures["edits"] for _ in range(2)] == [1, 2]


def test_a_problem_in_a_stream_is_raised_and_an_api_that_stays_away_is_given_up() -> None:
    told = b'event: problem\nid: x\ndata: {"type": "/problems#index-unavailable", "status": 503}\n\n'
    with Client(transport=Scripted(stream(told)), sleep=Naps()) as one, pytest.raises(client.Unavailable):
        next(one.live("wiki"))
    naps = Naps()
    with Client(transport=Scripted(), sleep=naps) as one, pytest.raises(client.Unreachable):
        next(one.live("wiki"))
    assert 60 < sum(naps.taken) < 180


def test_the_asyncio_client_listens_and_repeats_as_the_other_does() -> None:
    async def listen() -> list[Any]:
        naps, lost = Naps(), httpx.ReadError("lost")
        transport = Scripted(stream(event(1), lost), stream(event(2)), problem(503, "x"), problem(404, "x"))
        found = list[Any]()
        async with AsyncClient(transport=transport, sleep=naps.later) as one:
            with pytest.raises(client.NotFound):
                async for answer in one.live("wiki"):
                    found.append(answer.measures["edits"])
            with pytest.raises(client.Unreachable):
                await one.views()
        return found

    assert asyncio.run(listen()) == [1, 2]


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=1), st.integers(1, 9)
)
def test_messages_are_the_same_however_they_arrive(texts: list[str], size: int) -> None:
    raw = "".join(f": note\nid: {n}\ndata: {text}\r\n\n" for n, text in enumerate(texts)).encode()
    parser, found = MessageParser(), list[Message]()
    for at in range(0, len(raw), size):
        found.extend(parser.feed(raw[at : at + size]))
    assert [(one.id, one.data) for one in found] == [(str(n), text) for n, text in enumerate(texts)]


def test_a_question_that_cannot_be_put_into_words_is_refused() -> None:
    asked = question(
        "a/b", {"start": "x"}, last=timedelta(hours=2), zone="Europe/Berlin", robot=True, page=None
    )
    assert asked.path == "/v1/views/a%2Fb"
    assert dict(asked.parameters) == {
        "start": "x", "robot": "true", "page.null": "true", "last": "120m", "zone": "Europe/Berlin",
    }  # fmt: skip
    with pytest.raises(client.QuestionError, match="no zone"):
        question("wiki", start=datetime(2015, 9, 12))  # noqa: DTZ001
    with pytest.raises(client.QuestionError, match="whole minutes"):
        question("wiki", last=timedelta(seconds=90))


def test_an_answer_becomes_a_table_for_pandas_and_arrow(api: Client) -> None:
    told = api.ask("wiki", every="hour", **DAY)
    frame, arrow = told.to_pandas(), told.to_arrow()
    assert len(frame) == arrow.num_rows == 24 and list(frame) == arrow.column_names
    assert frame["edits"].sum() == sum(arrow["edits"].to_pylist()) == 5
    assert str(frame["from"].dt.tz) == "UTC" and frame["from"][6].hour == 6
    assert {"editors_lower", "size_count", "size_p50", "size_p99_upper"} <= set(frame)


def test_decimals_and_large_integers_stay_exact_in_tables() -> None:
    answer = answer_of(f'{{"added": 12.3456, "all": {2**70}}}')
    assert answer.to_pandas()["added"][0] == Decimal("12.3456")
    assert answer.to_arrow()["added"].to_pylist() == [Decimal("12.3456")]
    assert answer.to_arrow()["all"].to_pylist() == [Decimal(2**70)]


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(client.__file__).with_name("py.typed").exists()
