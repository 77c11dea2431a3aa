"""The events API over a fake log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response

from conf.settings import Settings
from serving_layer.app import create_app
from serving_layer.ports import Snapshot
from tests.serving_kit import BOUND, KEY, AppClient, FakeLog, FakeSpeed, FakeVersions, edit, services

PATH = f"/v1/events/{BOUND.source.name}"


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def client(tmp_path: Path, log: FakeLog) -> Iterator[AppClient]:
    settings = Settings(data_dir=tmp_path)
    app = create_app(settings, services(FakeVersions([Snapshot()]), FakeSpeed(), log, settings))
    with AppClient(app) as client:
        yield client


def send(client: AppClient, body: Any, key: str | None = KEY, path: str = PATH) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.request("POST", path, content=content, headers={"X-Admin-Key": key} if key else {})


def kind(answer: Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("/problems#")


def test_an_accepted_event_is_answered_with_its_position(client: AppClient, log: FakeLog) -> None:
    body = json.dumps(edit(1), indent=2).encode()
    answer = send(client, body)
    assert answer.status_code == 202
    assert answer.json()["positions"] == [{"event_id": "e1", "partition": 0, "offset": 0}]
    assert log.records == [(BOUND.source.topic, b"e1", body)]


def test_an_array_is_accepted_as_a_whole(client: AppClient, log: FakeLog) -> None:
    answer = send(client, [edit(1), edit(2)])
    assert [each["offset"] for each in answer.json()["positions"]] == [0, 1]
    assert [json.loads(value) for _, _, value in log.records] == [edit(1), edit(2)]


def test_one_faulty_event_refuses_all_and_names_every_fault(client: AppClient, log: FakeLog) -> None:
    answer = send(client, [edit(1), edit(2, added=-5, channel=None), 7])
    assert (answer.status_code, kind(answer)) == (422, "events-refused")
    told = answer.json()
    assert [(fault["index"], fault["field"]) for fault in told["errors"]] == [
        (1, "channel"),
        (1, "added"),
        (2, "$"),
    ]
    assert told["errors"][1]["value"] == "-5" and "0 to 10000000" in told["errors"][1]["allowed"]
    assert not log.records


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"added": NaN}', "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'\xff"', "not JSON"),
        (b"[" * 3000, "not JSON"),
        (b'{"event_id": "a", "event_id": "b"}', "given twice"),
        (b'[{"a": {"b": 1, "b": 2}}]', "given twice"),
    ],
)
def test_what_is_not_plain_json_is_refused(client: AppClient, body: bytes, text: str) -> None:
    answer = send(client, body)
    assert (answer.status_code, kind(answer)) == (400, "bad-json")
    assert text in answer.json()["detail"]


@pytest.mark.parametrize(("key", "text"), [(None, "missing"), ("wrong", "not the admin key")])
def test_only_the_admin_key_lets_events_in(
    client: AppClient, log: FakeLog, key: str | None, text: str
) -> None:
    answer = send(client, edit(1), key)
    assert (answer.status_code, kind(answer)) == (401, "admin-key-needed")
    assert text in answer.json()["detail"] and KEY not in answer.text
    assert not log.records


def test_an_unknown_source_is_named(client: AppClient) -> None:
    answer = send(client, edit(1), path="/v1/events/wikipedia.edit")
    assert (answer.status_code, kind(answer)) == (404, "unknown-source")
    assert BOUND.source.name in answer.json()["detail"]


@pytest.mark.parametrize("body", [[], [{}] * 1001, b'"' + b"x" * (4 << 20) + b'"'])
def test_too_much_at_once_is_refused(client: AppClient, body: Any) -> None:
    answer = send(client, body)
    assert (answer.status_code, kind(answer)) == (413, "too-large")


def test_kafka_away_is_a_problem_that_says_when_to_try_again(client: AppClient, log: FakeLog) -> None:
    log.silent = "no broker"
    answer = send(client, edit(1))
    assert (answer.status_code, kind(answer), answer.headers["retry-after"]) == (503, "log-unavailable", "5")
    assert "send all again" in answer.json()["detail"]


def test_a_topic_that_cannot_be_a_log_is_refused_with_the_reason(client: AppClient, log: FakeLog) -> None:
    log.refuses = "topic has cleanup.policy=compact"
    answer = send(client, edit(1))
    assert (answer.status_code, kind(answer)) == (409, "log-unusable")
    assert "compact" in answer.json()["detail"]


def test_a_personal_value_is_quoted_in_no_problem(client: AppClient) -> None:
    answer = send(client, edit(1, user="x" * 300))
    assert answer.status_code == 422 and "xxx" not in answer.text
