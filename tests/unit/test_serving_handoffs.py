"""What the API says of hand-off checks, and of a speed state that one of them condemned."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.equality import Cause, Difference, Finding
from core.folders import Folders
from core.handoffs import Handoff
from tests.serving_kit import BOUND
from tests.unit.test_serving_api import DAYS, Stand

EQUAL = Finding("wiki", "edits", 5, 5, 0, 3, 0)
KEY = Difference("3:#en", 3, 0, 5, 4)
WRONG = Finding("wiki", "edits", 5, 4, -1, 3, 1, Cause.UNKNOWN, (KEY,))


def handoff(version: int, *findings: Finding, reason: str | None = None) -> Handoff:
    return Handoff(version, version, version + 1, "2026-01-01T00:00:00Z", "g1", reason, findings=findings)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    with stand.client:
        yield stand


@pytest.fixture
def checked(stand: Stand, tmp_path: Path) -> Stand:
    records = Folders(tmp_path, BOUND.source.name).handoffs()
    for made in (handoff(1, EQUAL), handoff(2, reason="Redis is away"), handoff(4, WRONG)):
        records.append(made)
    return stand


def test_the_newest_checks_come_first_and_without_findings(checked: Stand) -> None:
    told = checked.client.get("/v1/handoffs").json()
    assert [(one["version"], one["verdict"]) for one in told["handoffs"]] == [
        (4, "unknown"), (2, "not possible"), (1, "equal"),
    ]  # fmt: skip
    assert told["source"] == BOUND.source.name and "findings" not in told["handoffs"][0]
    assert len(checked.client.get("/v1/handoffs", limit=1).json()["handoffs"]) == 1


def test_a_check_shows_what_it_found_and_where(checked: Stand) -> None:
    told = checked.client.get("/v1/handoffs/4", source=BOUND.source.name).json()
    assert (told["from"], told["to"], told["possible"], told["alarms"]) == (4, 5, True, 1)
    assert told["findings"][0]["keys"][0] == {
        "key": "3:#en", "segment": 3, "bucket": 0, "expected": 5, "found": 4,
    }  # fmt: skip
    away = checked.client.get("/v1/handoffs/2").json()
    assert (away["possible"], away["reason"], away["findings"]) == (False, "Redis is away", [])


def test_before_the_first_publish_there_are_no_checks(stand: Stand) -> None:
    assert stand.client.get("/v1/handoffs").json()["handoffs"] == []
    assert "none yet" in stand.problem("/v1/handoffs/1")["detail"]


@pytest.mark.parametrize(
    ("path", "parameters", "kind", "field"),
    [
        ("/v1/handoffs/3", {}, "unknown-handoff", "version"),
        ("/v1/handoffs/9999999999999999999", {}, "invalid-request", "version"),
        ("/v1/handoffs/x", {}, "invalid-request", "version"),
        ("/v1/handoffs", {"limit": "0"}, "invalid-request", "limit"),
        ("/v1/handoffs", {"limit": "101"}, "invalid-request", "limit"),
        ("/v1/handoffs", {"lmit": "5"}, "unknown-parameter", "lmit"),
        ("/v1/handoffs", {"limit": ["1", "2"]}, "repeated-parameter", "limit"),
        ("/v1/handoffs/1", {"source": "wiki"}, "unknown-source", "source"),
    ],
)
def test_a_wrong_question_is_a_problem_that_names_the_field(
    checked: Stand, path: str, parameters: dict[str, str], kind: str, field: str
) -> None:
    found = checked.problem(path, **parameters)
    assert (found["type"], found["field"]) == (kind, field)


def test_status_and_metrics_show_the_newest_check_and_count_alarms(checked: Stand) -> None:
    source = checked.client.get("/v1/status").json()["sources"][0]
    assert (source["handoff"]["verdict"], source["handoff"]["alarms"]) == ("unknown", 1)
    name = BOUND.source.name
    assert f'lambda_handoff_alarms{{source="{name}"}} 1.0' in checked.client.get("/metrics").text


def test_answers_of_a_condemned_generation_say_why_they_are_incomplete(stand: Stand) -> None:
    assert stand.ask("edits_by_user", user="mary")["complete"]
    stand.speed.reading = replace(stand.speed.reading, condemned="segments 3 to 4 differ from the log")
    told = stand.ask("edits_by_user", user="mary", **DAYS)
    assert not told["complete"] and "counted wrong, and is rebuilt: segments 3 to 4" in told["reasons"][0]
    assert stand.client.get("/v1/status").json()["sources"][0]["speed"]["condemned"]
