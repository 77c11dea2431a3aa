"""Questions about the past, against what a recompute of the same records would give."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.settings import ROOT, Settings
from core.repeatable import repeatable
from serving_layer.app import create_app
from serving_layer.ports import Snapshot
from serving_layer.questions import parse_question
from serving_layer.rendering import to_json
from tests.master_kit import WRITTEN, Master
from tests.serving_kit import BOUND, AppClient, FakeLog, FakeSpeed, FakeVersions, edit, services

QUESTIONS: list[tuple[str, dict[str, str]]] = [
    ("wiki", {}),
    ("wiki", {"every": "hour"}),
    ("edits_by_channel", {"channel": "#1"}),
    ("edits_by_page", {"channel": "#1", "page": "p2"}),
    ("edits_by_country", {"countryIsoCode.null": "true"}),
    ("robot_edits", {"channel": "#2"}),
    ("edits_by_user", {"user": "nobody"}),
]
DAYS = {"from": "2015-09-12", "to": "2015-09-13"}


def edits(count: int, seed: int, ids: int = 400) -> list[dict[str, Any]]:
    """Edits of which some are copies of each other, with other contents."""
    draw = random.Random(seed)
    return [
        edit(
            draw.randrange(ids), channel=f"#{draw.randrange(3)}", page=f"p{draw.randrange(4)}",
            user=f"u{draw.randrange(30)}", isRobot=draw.random() < 0.3, delta=draw.randrange(-500, 500),
            event_time=f"2015-09-12T{draw.randrange(24):02}:{draw.randrange(60):02}:00Z",
            countryIsoCode=draw.choice([None, "DE"]),
        )
        for _ in range(count)
    ]  # fmt: skip


def filled(folder: Path) -> Master:
    """Six cuts over two partitions, versions at the second and the fourth, copies and refused records."""
    master = Master(folder)
    for number in range(6):
        bad: list[Any] = [b"{", {**edit(1), "added": -1}] if number % 2 else []
        master.append([*edits(60, number), *bad], edits(50, 100 + number), int96=number % 2 == 0)
        cut = master.cut()
        if number in (1, 3):
            master.publish(cut)
    master.append(edits(10, 9), [])
    return master


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Master:
    return filled(tmp_path_factory.mktemp("past"))


@pytest.fixture(scope="module")
def client(master: Master) -> Iterator[AppClient]:
    with client_of(master) as client:
        yield client


def client_of(master: Master, clock: float = WRITTEN + 10) -> AppClient:
    wanted = Settings(data_dir=master.data)
    made = services(FakeVersions([Snapshot()]), FakeSpeed(), FakeLog(), wanted, clock)
    return AppClient(create_app(wanted, made))


def expected(master: Master, name: str, parts: Mapping[str, str], until: Mapping[int, int]) -> Any:
    question = parse_question(BOUND.view(name), [*parts.items(), *DAYS.items()])
    view, edges = repeatable(question.view), question.edges or (question.first, question.last)
    return [master.measures(view, question.key_text, span, until) for span in pairwise(edges)]


def told(client: AppClient, name: str, parts: Mapping[str, str], **past: Any) -> dict[str, Any]:
    answer = client.get(f"/v1/views/{name}", **parts, **DAYS, **past)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert document["complete"] and not document["reasons"]
    return document


def shown(answer: Mapping[str, Any]) -> Any:
    return [row["measures"] for row in answer["rows"]]


def plain(measures: Any) -> Any:
    """As JSON has it."""
    return orjson.loads(to_json(measures))


@pytest.mark.parametrize(("name", "parts"), QUESTIONS)
def test_every_cut_is_answered_as_a_recompute_up_to_it_would(
    master: Master, client: AppClient, name: str, parts: dict[str, str]
) -> None:
    for cut in [replace(master.folders.cuts().get(1), number=0, offsets={}), *master.folders.cuts().all()]:
        answer = told(client, name, parts, as_of_cut=cut.number)
        assert shown(answer) == plain(expected(master, name, parts, cut.offsets)), cut
        assert answer["past"]["version"] == (None, None, 1, 1, 2, 2, 2)[cut.number]
        assert answer["past"]["settled"]


@pytest.mark.parametrize(("name", "parts"), QUESTIONS)
def test_a_retained_version_is_answered_from_its_batch_views_alone(
    master: Master, client: AppClient, name: str, parts: dict[str, str]
) -> None:
    for version, cut in ((1, 2), (2, 4)):
        answer, same = told(client, name, parts, version=version), told(client, name, parts, as_of_cut=cut)
        assert answer["rows"] == same["rows"] and all(row["speed"] is None for row in answer["rows"])
        assert answer["past"]["cut"] == cut and answer["read"]["events"] == 0
        assert shown(answer) == plain(expected(master, name, parts, master.folders.cuts().get(cut).offsets))


@settings(max_examples=25, deadline=None)
@given(first=st.integers(0, 370), second=st.integers(0, 300), question=st.sampled_from(QUESTIONS))
def test_any_vector_of_offsets_is_answered_as_a_recompute_up_to_it_would(
    master: Master, client: AppClient, first: int, second: int, question: tuple[str, dict[str, str]]
) -> None:
    answer = told(client, *question, as_of_offsets=f"0:{first},1:{second}")
    assert shown(answer) == plain(expected(master, *question, {0: first, 1: second}))


def test_the_same_moment_gives_the_same_answer_through_publishes_and_in_another_process(
    tmp_path: Path,
) -> None:
    master = filled(tmp_path)
    with client_of(master) as client:
        before = {cut: told(client, "wiki", {}, as_of_cut=cut) for cut in range(7)}
        assert {cut: told(client, "wiki", {}, as_of_cut=cut) for cut in range(7)} == before
        master.append(edits(20, 7), edits(20, 8))
        master.publish(master.cut())
        assert {cut: told(client, "wiki", {}, as_of_cut=cut) for cut in range(7)} == before
    code = (
        "import json, sys, pathlib; from tests.unit.test_past import Master, client_of, told\n"
        "with client_of(Master(pathlib.Path(sys.argv[1]))) as client:\n"
        "    print(json.dumps([told(client, 'wiki', {}, as_of_cut=cut) for cut in range(7)]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, cwd=ROOT, timeout=120
    )
    assert json.loads(other.stdout) == list(before.values())


def test_records_of_a_contract_that_was_mended_count_as_the_contract_of_today_says(tmp_path: Path) -> None:
    master = Master(tmp_path)
    narrow = replace(
        BOUND.contract,
        columns=tuple(
            replace(column, high=3) if column.name == "added" else column
            for column in BOUND.contract.columns
            if column.name != "metroCode"
        ),
    )
    master.append([edit(1, added=9), edit(2, added=1), edit(2, added=2)], contract=narrow)
    master.append([edit(1, added=7), edit(3)])
    master.cut()
    with client_of(master) as client:
        answer = told(client, "edits_by_channel", {"channel": "#en.wikipedia"}, as_of_cut=1)
    assert (answer["rows"][0]["measures"]["edits"], answer["rows"][0]["measures"]["added"]) == (3, 15)


def test_a_version_that_is_gone_gives_way_to_the_one_before(tmp_path: Path) -> None:
    master = filled(tmp_path)
    with client_of(master) as client:
        before = told(client, "wiki", {}, as_of_cut=5)
        rmtree(master.folders.index(2))
        after = told(client, "wiki", {}, as_of_cut=5)
        assert (before["past"]["version"], after["past"]["version"]) == (2, 1)
        assert shown(before) == shown(after)
        gone = client.get("/v1/views/wiki", version=2)
        assert (gone.status_code, gone.json()["allowed"]) == (409, [1])


@pytest.mark.parametrize(
    ("past", "status", "kind", "allowed"),
    [
        ({"version": "0"}, 400, "bad-past", "a whole number from 1 on"),
        ({"version": "two"}, 400, "bad-past", "a whole number from 1 on"),
        ({"version": "9"}, 404, "unknown-version", [1, 2]),
        ({"as_of_cut": "-1"}, 400, "bad-past", "a whole number from 0 on"),
        ({"as_of_cut": "7"}, 404, "unknown-cut", "a number from 0 to 6"),
        ({"as_of_offsets": "0:1,0:2"}, 400, "bad-past", None),
        ({"as_of_offsets": "0:1;1:2"}, 400, "bad-past", None),
        ({"as_of_offsets": "0:1", "version": "1"}, 400, "bad-past", None),
        ({"as_of_offsets": "0:999"}, 409, "not-archived", None),
        ({"as_of_offsets": "7:1"}, 409, "not-archived", None),
    ],
)
def test_a_moment_that_cannot_be_asked_about_is_told_with_the_way_out(
    client: AppClient, past: dict[str, str], status: int, kind: str, allowed: Any
) -> None:
    answer = client.get("/v1/views/wiki", **past)
    problem = answer.json()
    name = list(past)[-1]
    assert (answer.status_code, problem["type"], problem["field"]) == (status, f"/problems#{kind}", name)
    assert problem["value"] == past[name] or problem["value"] == int(past[name])
    assert problem["allowed"] == allowed or (allowed is None and problem["allowed"])


def test_what_is_not_archived_yet_is_said_with_the_time_from_which_it_will_be(client: AppClient) -> None:
    answer = client.get("/v1/views/wiki", as_of_offsets="0:371,1:900")
    problem = answer.json()
    assert "partition 1 is in the master dataset up to offset 300" in problem["detail"]
    assert (problem["available_from"], answer.headers["Retry-After"]) == ("2026-11-22T18:10:59Z", "290")
    assert problem["allowed"] == "positions up to 0:376,1:300"


def test_beyond_the_newest_cut_an_answer_is_not_settled_until_the_next_one(tmp_path: Path) -> None:
    master, where = filled(tmp_path), {"as_of_offsets": "0:376,1:300"}
    with client_of(master) as client:
        assert not told(client, "wiki", {}, **where)["past"]["settled"]
        master.cut()
        assert told(client, "wiki", {}, **where)["past"]["settled"]


def test_an_archive_that_is_late_is_expected_at_the_next_run(master: Master) -> None:
    with client_of(master, WRITTEN + 1000) as late:
        problem = late.get("/v1/views/wiki", as_of_offsets="0:999").json()
    assert problem["available_from"] == "2026-11-22T18:25:59Z"


def test_a_position_far_behind_every_version_is_refused_with_the_limit(master: Master) -> None:
    wanted = Settings(data_dir=master.data, as_of_records=100)
    made = services(FakeVersions([Snapshot()]), FakeSpeed(), FakeLog(), wanted)
    with AppClient(create_app(wanted, made)) as client:
        problem = client.get("/v1/views/wiki", as_of_cut=6).json()
        assert (problem["type"], problem["status"]) == ("/problems#too-many-records", 400)
        assert "at most 100" in problem["allowed"] and "between version 2 and" in problem["detail"]
        assert client.get("/v1/views/wiki", version=2).status_code == 200


def test_several_keys_pages_and_rankings_are_answered_as_of_then(master: Master, client: AppClient) -> None:
    view, until = repeatable(BOUND.view("robot_edits")), master.folders.cuts().get(5).offsets
    keys = [{"channel": f"#{number}"} for number in (2, 0, 1, 9)]
    span = (1_442_016_000, 1_442_016_000 + 86_400)
    wanted = [plain(master.measures(view, view.key_of(key), span, until)) for key in keys]
    body = {"keys": keys, **DAYS}
    path = "/v1/views/robot_edits"
    asked = client.request("POST", f"{path}/query?as_of_cut=5", json=body).json()
    assert [each["rows"][0]["measures"] for each in asked["results"]] == wanted
    assert asked["past"]["cut"] == 5 and asked["complete"]
    assert all(row["speed"] is None and "archive" in row for each in asked["results"] for row in each["rows"])
    first = client.get(f"{path}/keys", **DAYS, as_of_cut=5, limit=2).json()
    rest = client.get(f"{path}/keys", **DAYS, as_of_cut=5, limit=2, cursor=first["cursor"]).json()
    pages = [*first["results"], *rest["results"]]
    listed = {each["key"]["channel"]: each["rows"][0]["measures"] for each in pages}
    assert listed == {key["channel"]: each for key, each in zip(keys[:3], wanted[:3], strict=True)}
    top = client.get(f"{path}/top", **DAYS, as_of_cut=5, by="edits", n=2).json()
    ranked = sorted((each["edits"] for each in wanted), reverse=True)[:2]
    assert [row["measures"]["edits"] for row in top["rows"]] == ranked and top["past"]["version"] == 2
