"""Explanations, against a walk through all records of the log."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from conf.settings import Settings
from core.cuts import Offsets, segment_of
from core.instants import parse_instant
from core.semantics import SEMANTIC_VERSION
from serving_layer.app import create_app
from serving_layer.index import open_index
from serving_layer.ports import Snapshot, SpeedReading
from tests.master_kit import WRITTEN, Master
from tests.serving_kit import (
    BOUND,
    KEY,
    SEMANTICS,
    AppClient,
    FakeLog,
    FakeSpeed,
    FakeVersions,
    counts,
    edit,
    fields_of,
    generation,
    lease,
    place,
    progress,
    services,
)
from tests.unit.test_past import edits

MORNING = {"from": "2015-09-12T06:00:00Z", "to": "2015-09-12T12:00:00Z"}
QUESTIONS: list[tuple[str, dict[str, str]]] = [
    ("robot_edits", {"channel": "#1"}),
    ("edits_by_channel", {"channel": "#2"}),
    ("edits_by_country", {"countryIsoCode.null": "true"}),
    ("wiki", {}),
]


@dataclass
class Stand:
    """A log of six cuts, a version at the fourth, speed state from there to the sixth, and later records."""

    master: Master
    client: AppClient
    boundary: Offsets
    consumed: Offsets


def stand(folder: Path, **wanted: Any) -> Stand:
    master = Master(folder)
    for number in range(6):
        bad: list[Any] = [{**edit(900 + number, channel="#1"), "added": -1}, b"[]"]
        master.append([*edits(40, number), *bad], edits(30, 50 + number))
        master.cut()
    master.publish(master.folders.cuts().get(4))
    boundary, consumed = dict(master.folders.cuts().get(4).offsets), dict(master.end)
    master.append(edits(20, 70), [])
    manifest = master.folders.publications().manifest(1)
    snapshot = Snapshot(manifest=manifest, index=open_index(master.folders.index(1), manifest))
    reading = SpeedReading(
        generation(4), replace(progress(6), end={**consumed, 1: consumed[1] + 5}), lease(), (7,)
    )
    counted = {(p, o): e for (p, o), e, outcome in records(master, consumed) if outcome == "counted"}
    new = [(segment(master, at), e) for at, e in counted.items() if at[1] >= boundary[at[0]]]
    speed = FakeSpeed(reading, {view.name: fields_of(view, new) for view in BOUND.views.values()})
    settings = Settings(data_dir=folder, **wanted)
    made = services(FakeVersions([snapshot]), speed, FakeLog(), settings, WRITTEN + 10)
    return Stand(master, AppClient(create_app(settings, made)), boundary, consumed)


def segment(master: Master, at: tuple[int, int]) -> int:
    return segment_of(*at, cuts=master.folders.cuts().all())


def records(master: Master, until: Offsets) -> Iterator[tuple[tuple[int, int], dict[str, Any], str]]:
    """Every record below a position: whether it counts, is a copy, or is refused; views are not asked."""
    valid = [
        (segment(master, at), at, orjson.loads(raw))
        for at, raw in master.records.items()
        if at[1] < until.get(at[0], 0) and BOUND.contract.decoder().decode(raw).reason is None
    ]
    first: dict[str, Any] = {}
    for _, at, event in sorted(valid, key=lambda each: each[:2]):
        first.setdefault(event["event_id"], at)
    for at, raw in sorted(master.records.items()):
        if at[1] < until.get(at[0], 0):
            reason, event = (
                BOUND.contract.decoder().decode(raw).reason,
                orjson.loads(raw) if raw != b"{" else {},
            )
            if reason is not None:
                yield at, event, "quarantined"
            else:
                yield at, event, "counted" if first[event["event_id"]] == at else "duplicate"


def expected(master: Master, name: str, parts: Mapping[str, str], until: Offsets) -> list[tuple[Any, ...]]:
    """Position, event id and outcome of every event of a key in the morning."""
    view = BOUND.view(name)
    key = view.key_of({part: parts.get(part) for part in view.key})
    start, end = (parse_instant(MORNING[name]) // 1_000_000 for name in ("from", "to"))
    found = []
    for at, event, outcome in records(master, until):
        if not isinstance(event, dict) or "event_time" not in event:
            continue
        text, bucket = place(view, event)
        if text == key and start <= bucket < end:
            told = "excluded" if outcome == "counted" and not counts(view, event) else outcome
            found.append((*at, event["event_id"], told))
    return found


def listed(answer: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(e["partition"], e["offset"], e["event_id"], e["outcome"]) for e in answer["events"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    found = stand(tmp_path_factory.mktemp("explain"))
    with found.client:
        yield found


def explained(made: Stand, name: str, parts: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    answer = made.client.get(f"/v1/views/{name}/explain", **parts, **MORNING, **more)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize(("name", "parts"), QUESTIONS)
def test_the_events_behind_a_number_are_those_that_a_walk_through_the_log_finds(
    made: Stand, name: str, parts: dict[str, str]
) -> None:
    wanted = expected(made.master, name, parts, made.consumed)
    answer = explained(made, name, parts, limit=1000)
    assert listed(answer) == wanted and answer["cursor"] is None
    outcomes = [row[3] for row in wanted]
    assert answer["found"] == {each: outcomes.count(each) for each in answer["found"]}
    assert len({*outcomes}) > 1
    for event in answer["events"]:
        at = (event["partition"], event["offset"])
        assert event["segment"] == segment(made.master, at)
        assert event["layer"] == ("speed" if at[1] >= made.boundary[at[0]] else "batch")
        assert bool(event["why"]) == (event["outcome"] != "counted")
    for layer in ("batch", "speed"):
        counted = [e for e in answer["events"] if (e["layer"], e["outcome"]) == (layer, "counted")]
        assert answer["rows"][0][layer]["edits"] == len(counted)


@pytest.mark.parametrize(("name", "parts"), QUESTIONS)
def test_an_explanation_shows_the_answer_and_the_parts_that_make_it(
    made: Stand, name: str, parts: dict[str, str]
) -> None:
    explanation = explained(made, name, parts, limit=0)
    answer = made.client.get(f"/v1/views/{name}", **parts, **MORNING).json()
    assert {field: explanation[field] for field in answer} == answer
    layers = explanation["layers"]
    assert (layers["batch"]["version"], layers["batch"]["boundary"]) == (1, 4)
    assert [(each["from"], each["to"]) for each in layers["batch"]["positions"]] == [
        (0, made.boundary[0]), (0, made.boundary[1])
    ]  # fmt: skip
    assert layers["speed"]["positions"][0] == {
        "partition": 0, "from": made.boundary[0], "to": made.consumed[0]
    }  # fmt: skip
    row = answer["rows"][0]
    assert sum(tile["measures"]["edits"] for tile in layers["batch"]["tiles"]) == row["batch"]["edits"]
    assert sum(field["measures"]["edits"] for field in layers["speed"]["fields"]) == row["speed"]["edits"]
    assert {tile["width"] for tile in layers["batch"]["tiles"]} == {3600}
    assert {field["segment"] for field in layers["speed"]["fields"]} <= {4, 5}
    definition = explanation["definition"]
    assert (definition["semantics"], definition["code"]) == (SEMANTICS, SEMANTIC_VERSION)
    assert definition["hash"] == BOUND.meaning(20).definitions[name]
    assert definition["view"]["where"] == BOUND.definitions[name].where


def test_pages_together_are_the_whole_list(made: Stand) -> None:
    whole = listed(explained(made, "wiki", {}, limit=1000))
    found, cursor = list[Any](), dict[str, str]()
    for _ in range(len(whole)):
        page = explained(made, "wiki", cursor, limit=17)
        found += listed(page)
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert found == whole and len(whole) > 34


def test_personal_columns_are_masked_but_for_the_admin_key(made: Stand) -> None:
    masked = explained(made, "wiki", {}, limit=5)
    assert {event["values"]["user"] for event in masked["events"]} == {"(personal)"}
    path, wanted = "/v1/views/wiki/explain", {**MORNING, "limit": 5}
    shown = made.client.request("GET", path, params=wanted, headers={"X-Admin-Key": KEY}).json()
    assert all(event["values"]["user"].startswith("u") for event in shown["events"])
    assert made.client.request("GET", path, headers={"X-Admin-Key": "no"}).status_code == 401


def test_a_refused_record_is_listed_with_the_reason_where_it_can_be_placed(made: Stand) -> None:
    answer = explained(made, "edits_by_channel", {"channel": "#1"}, limit=1000)
    refused = [event for event in answer["events"] if event["outcome"] == "quarantined"]
    assert {event["event_id"] for event in refused} == {f"e{900 + number}" for number in range(6)}
    assert all(event["why"].startswith("added is -1") for event in refused)
    assert "added" in refused[0]["values"] and refused[0]["values"]["added"] is None


@pytest.mark.parametrize(("past", "cut"), [({"version": 1}, 4), ({"as_of_cut": 2}, 2), ({"as_of_cut": 5}, 5)])
@pytest.mark.parametrize(("name", "parts"), QUESTIONS)
def test_the_past_is_explained_as_of_then(
    made: Stand, name: str, parts: dict[str, str], past: dict[str, int], cut: int
) -> None:
    until = made.master.folders.cuts().get(cut).offsets
    answer = explained(made, name, {**parts, **past}, limit=1000)
    assert listed(answer) == expected(made.master, name, parts, until)
    told = made.client.get(f"/v1/views/{name}", **parts, **past, **MORNING).json()
    assert {field: answer[field] for field in told} == told
    assert {event["layer"] for event in answer["events"]} <= {"batch", "archive"}
    assert answer["layers"]["speed"] is None and not answer["not_archived"]


def test_positions_that_are_not_archived_yet_are_named_with_the_time(made: Stand) -> None:
    answer = explained(made, "wiki", {}, limit=0)
    end = made.consumed[1]
    assert answer["not_archived"] == [{"partition": 1, "from": end, "to": end + 5}]
    assert answer["archived_from"] == "2026-11-22T18:10:59Z"


def test_too_many_events_are_not_listed_and_the_number_is_explained_all_the_same(tmp_path: Path) -> None:
    small = stand(tmp_path, as_of_records=20)
    with small.client:
        answer = explained(small, "wiki", {})
    assert answer["events"] is None and "LAMBDA_AS_OF_RECORDS" in answer["unlisted"]
    assert answer["rows"][0]["measures"]["edits"] > 20 and answer["layers"]["batch"]["tiles"]


@pytest.mark.parametrize(
    ("asked", "field", "allowed"),
    [
        ({"limit": "1001"}, "limit", "a whole number from 0 to 1000"),
        ({"limit": "some"}, "limit", "a whole number from 0 to 1000"),
        ({"cursor": "0-1"}, "cursor", "the cursor of the page before"),
        ({"from": "2015-09-12T06:00:30Z"}, "from", ["2015-09-12T06:00:00Z", "2015-09-12T06:01:00Z"]),
        ({"as_of_cut": "99"}, "as_of_cut", "a number from 0 to 6"),
    ],
)
def test_a_bad_parameter_is_named_with_what_is_allowed(
    made: Stand, asked: dict[str, str], field: str, allowed: Any
) -> None:
    problem = made.client.get("/v1/views/wiki/explain", **asked).json()
    assert (problem["field"], problem["value"], problem["allowed"]) == (field, asked[field], allowed)
