"""The API over fakes: answers, problems, status, pages. No server runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.state import manifest_of
from conf.settings import Settings
from serving_layer.app import create_app
from serving_layer.ports import Snapshot, SpeedReading
from tests.serving_kit import (
    BOUND,
    DAY,
    SEMANTICS,
    AppClient,
    FakeLog,
    FakeSpeed,
    FakeVersions,
    buckets_of,
    edit,
    fields_of,
    generation,
    lease,
    progress,
    services,
    snapshot,
)  # fmt: skip

BATCH = [edit(1), edit(2, isRobot=True), edit(3, countryIsoCode="DE", channel="#de.wikipedia")]
SPEED = [edit(4), edit(5, event_time="2015-09-12T07:30:00Z")]
DAYS = {"from": "2015-09-12", "to": "2015-09-13"}


class Stand:
    """An app over fakes that a test may change."""

    def __init__(self, tmp_path: Path) -> None:
        manifest = manifest_of(BOUND.source.name, SEMANTICS, boundary=2)
        views = list(BOUND.views.values())
        batch = snapshot(manifest, {view.name: buckets_of(view, BATCH) for view in views})
        self.versions = FakeVersions([batch])
        self.speed = FakeSpeed(
            SpeedReading(generation(1), progress(3, floor=2), lease(), (7,), floor=2),
            {view.name: fields_of(view, [(1, edit(0)), *((2, event) for event in SPEED)]) for view in views},
        )
        self.log = FakeLog()
        settings = Settings(data_dir=tmp_path)
        app = create_app(settings, services(self.versions, self.speed, self.log, settings))
        self.client = AppClient(app)

    def ask(self, view: str, **parameters: Any) -> dict[str, Any]:
        answer = self.client.get(f"/v1/views/{view}", **parameters)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def problem(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = self.client.get(path, **parameters)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        document: dict[str, Any] = answer.json()
        assert document["status"] == answer.status_code
        assert document["instance"] == path
        assert document["title"] and document["detail"]
        document["type"] = document["type"].removeprefix("/problems#")
        return document


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    with stand.client:
        yield stand


def test_an_answer_merges_both_layers_and_shows_each(stand: Stand) -> None:
    told = stand.ask("edits_by_page", channel="#en.wikipedia", page="Ada", **DAYS)
    row = told["rows"][0]
    assert (row["batch"]["edits"], row["speed"]["edits"], row["measures"]["edits"]) == (2, 2, 4)
    assert row["measures"] == {"edits": 4, "added": 20, "deleted": 8, "last_edit": "2015-09-12T07:30:00Z"}
    assert (told["complete"], told["reasons"], told["as_of"]) == (True, [], "2015-09-12T12:00:00Z")
    assert told["manifest"]["boundary"] == 2 and told["generation"] == "g1"
    assert told["key"] == {"channel": "#en.wikipedia", "page": "Ada"}


def test_a_series_has_a_row_for_every_step(stand: Stand) -> None:
    told = stand.ask("wiki", **DAYS, every="hour")
    assert len(told["rows"]) == 24
    assert [row["measures"]["edits"] for row in told["rows"][5:9]] == [0, 4, 1, 0]
    assert told["rows"][6]["from"] == "2015-09-12T06:00:00Z"


def test_without_a_range_all_of_time_is_answered(stand: Stand) -> None:
    told = stand.ask("robot_edits", channel="#en.wikipedia")
    assert told["rows"][0]["measures"]["edits"] == 1
    assert (told["from"], told["rows"][0]["to"]) == (None, None)


def test_an_open_series_reaches_from_the_first_event_to_the_last(stand: Stand) -> None:
    rows = stand.ask("wiki", every="hour")["rows"]
    assert [row["from"] for row in rows] == ["2015-09-12T06:00:00Z", "2015-09-12T07:00:00Z"]


def test_events_of_the_first_and_of_the_last_year_count_and_are_shown(stand: Stand) -> None:
    view = BOUND.view("robot_edits")
    ends = [
        edit(n, event_time=time, isRobot=True)
        for n, time in ((7, "0001-01-01T00:30:00Z"), (8, "9999-12-31T23:30:00Z"))
    ]
    stand.versions.snapshots = [
        snapshot(manifest_of(BOUND.source.name, SEMANTICS, 2), {view.name: buckets_of(view, ends)})
    ]
    assert stand.ask(view.name, channel="#en.wikipedia")["rows"][0]["measures"]["edits"] == 2
    rows = stand.ask(view.name, channel="#en.wikipedia", every="day", **{"from": "9999-12-31"})["rows"]
    assert [(row["to"], row["measures"]["edits"]) for row in rows] == [("+10000-01-01T00:00:00Z", 1)]


def test_the_key_null_is_asked_for_by_name(stand: Stand) -> None:
    assert (
        stand.ask("edits_by_country", **{"countryIsoCode.null": "true"})["rows"][0]["measures"]["edits"] == 4
    )
    assert stand.ask("edits_by_country", countryIsoCode="DE")["rows"][0]["measures"]["edits"] == 1
    assert stand.ask("edits_by_country", countryIsoCode="")["rows"][0]["measures"]["edits"] == 0


def test_a_key_that_nothing_holds_answers_zero(stand: Stand) -> None:
    assert stand.ask("edits_by_user", user="nobody")["rows"][0]["measures"]["edits"] == 0


def test_without_redis_the_batch_part_is_answered_and_the_reason_told(stand: Stand) -> None:
    stand.speed.silence = "Redis is away"
    told = stand.ask("edits_by_user", user="mary")
    assert told["rows"][0]["measures"]["edits"] == 3
    assert told["rows"][0]["speed"] is None
    assert (told["complete"], told["reasons"], told["as_of"]) == (False, ["Redis is away"], None)


def test_without_a_batch_view_the_speed_part_is_complete_if_it_began_with_the_log(stand: Stand) -> None:
    stand.versions.snapshots = [Snapshot()]
    stand.speed.reading = SpeedReading(generation(0), progress(3), lease(), (7,))
    told = stand.ask("edits_by_user", user="mary")
    assert told["rows"][0]["measures"]["edits"] == 3
    assert told["rows"][0]["batch"] is None
    assert told["complete"] and told["manifest"] is None


def test_without_a_batch_view_a_later_beginning_is_told(stand: Stand) -> None:
    stand.versions.snapshots = [Snapshot(notes=("version 1 was made by other definitions",))]
    told = stand.ask("edits_by_user", user="mary")
    assert not told["complete"]
    assert "other definitions" in told["reasons"][0] and "starts at cut 1" in told["reasons"][1]


def test_a_dropped_segment_sends_the_reader_to_the_next_publish(stand: Stand) -> None:
    newer = manifest_of(BOUND.source.name, SEMANTICS, boundary=3, version=2)
    index = {view.name: buckets_of(view, [*BATCH, *SPEED]) for view in BOUND.views.values()}
    stand.versions.snapshots.append(snapshot(newer, index))
    stand.speed.reading = SpeedReading(generation(1), progress(3, floor=2), lease(), (7,), floor=3)
    told = stand.ask("edits_by_user", user="mary")
    assert stand.versions.renewed == 1
    assert (told["complete"], told["manifest"]["version"]) == (True, 2)
    assert told["rows"][0]["measures"]["edits"] == 5


def test_a_dropped_segment_that_no_publish_covers_is_a_hole(stand: Stand) -> None:
    stand.speed.reading = SpeedReading(generation(1), progress(3, floor=2), lease(), (7,), floor=3)
    told = stand.ask("edits_by_user", user="mary")
    assert not told["complete"] and "dropped segments below 3" in told["reasons"][0]


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (SpeedReading(), "no state"),
        (SpeedReading(generation(semantics="other"), progress(3), lease(), (7,)), "other definitions"),
        (SpeedReading(generation(3), progress(3), lease(), (7,)), "starts at cut 3"),
        (SpeedReading(generation(), progress(1), lease(), (7,)), "has not reached boundary 2"),
        (SpeedReading(generation(), progress(3, lost="ring"), lease(), (7,)), "lost events: ring"),
        (SpeedReading(generation(), progress(3), None, (7,)), "its job is down"),
        (SpeedReading(generation(), progress(3), lease(), (6,)), "older than its job says"),
        (SpeedReading(generation(), progress(3), lease(batch=8), (7,)), "older than its job says"),
        (SpeedReading(generation(), progress(3), lease(), (None,)), "older than its job says"),
    ],
)
def test_every_doubt_makes_an_answer_incomplete(stand: Stand, reading: SpeedReading, reason: str) -> None:
    stand.speed.reading = reading
    told = stand.ask("edits_by_user", user="mary")
    assert not told["complete"] and told["as_of"] is None
    assert any(reason in each for each in told["reasons"]), told["reasons"]


def test_a_broken_index_is_a_problem_and_never_a_number(stand: Stand) -> None:
    stand.versions.broken = "x/0.mdb is missing"
    found = stand.problem("/v1/views/wiki")
    assert (found["type"], found["status"]) == ("index-unavailable", 503)
    assert "x/0.mdb is missing" in found["detail"]


@pytest.mark.parametrize(
    ("path", "parameters", "kind", "field", "text"),
    [
        ("/v1/views/edits_by_pag", {}, "unknown-view", "view", "did you mean 'edits_by_page'?"),
        ("/v1/views/edits_by_page", {"page": "x"}, "missing-key-part", "channel", "channel.null=true"),
        ("/v1/views/wiki", {"form": "1"}, "unknown-parameter", "form", "did you mean 'from'?"),
        ("/v1/views/edits_by_user", {"usr": "1"}, "unknown-parameter", "usr", "did you mean 'user'?"),
        ("/v1/views/wiki", {"from": "yesterday"}, "bad-time", "from", "ISO 8601"),
        ("/v1/views/wiki", {"from": "2015-09-12T00:00:00"}, "bad-time", "from", "zone"),
        ("/v1/views/wiki", {"from": "2015-02-30"}, "bad-time", "from", "ISO 8601"),
        ("/v1/views/wiki", {"from": "-99999999999999999"}, "bad-range", "from", "0001-01-01"),
        ("/v1/views/wiki", {"to": "99999999999999999"}, "bad-range", "to", "+10000-01-01"),
        ("/v1/views/wiki", {"to": "253402300799999"}, "bad-range", "to", "+10000-01-01"),
        ("/v1/views/wiki", {"from": "2015-09-13", "to": "2015-09-12"}, "bad-range", "from", "before to"),
        ("/v1/views/wiki", {"from": "2015-09-13", "to": "2015-09-13"}, "bad-range", "from", "before to"),
        ("/v1/views/robot_edits", {"channel": "x", "from": "2015-09-12T00:30:00Z"}, "bad-range", "from",
         "2015-09-12T00:00:00Z and 2015-09-12T01:00:00Z"),
        ("/v1/views/robot_edits", {"channel": "x", "every": "minute"}, "bad-every", "every", "hour, day"),
        ("/v1/views/wiki", {"every": "year"}, "bad-every", "every", "minute, hour, day, week, month"),
        ("/v1/views/wiki", {"from": "2015-01-01", "to": "2016-01-01", "every": "minute"}, "too-many-rows",
         "every", "10000"),
        ("/v1/views/edits_by_country", {"countryIsoCode.null": "yes"}, "bad-key-part",
         "countryIsoCode.null", "true"),
        ("/v1/views/edits_by_country", {"countryIsoCode": "DE", "countryIsoCode.null": "true"},
         "bad-key-part", "countryIsoCode", "nothing beside"),
        ("/v1/views/edits_by_user", {"user": ["a", "b"]}, "repeated-parameter", "user", "one value"),
    ],
)  # fmt: skip
def test_a_question_at_fault_names_field_value_and_way_out(
    stand: Stand, path: str, parameters: dict[str, Any], kind: str, field: str, text: str
) -> None:
    found = stand.problem(path, **parameters)
    assert (found["type"], found["field"]) == (kind, field)
    assert text in f"{found['detail']} {found['allowed']}"
    assert "value" in found


@pytest.mark.parametrize(
    "moment",
    ["2015-09-12T06:00:00Z", "2015-09-12T08:00:00+02:00", "2015-09-12T08:00:00 02:00", "1442037600000"],
)
def test_a_time_may_be_written_in_several_ways(stand: Stand, moment: str) -> None:
    assert stand.ask("wiki", **{"from": moment})["from"] == "2015-09-12T06:00:00Z"


def test_what_is_not_there_and_what_is_not_allowed_are_problems(stand: Stand) -> None:
    assert stand.problem("/v1/nothing")["type"] == "not-found"
    answer = stand.client.request("DELETE", "/v1/views")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["type"] == "/problems#method-not-allowed"


def test_the_catalogue_tells_the_meaning_of_every_column(stand: Stand) -> None:
    told = stand.client.get("/v1/views").json()
    views = {view["name"]: view for view in told["views"]}
    assert set(views) == set(BOUND.views)
    channel = views["edits_by_channel"]
    assert channel["bucket"] == "1 minute" and channel["tiles"] == ["1 minute", "1 hour", "1 day"]
    assert channel["every"] == ["minute", "hour", "day", "week", "month"]
    assert channel["key"][0]["meaning"] == {"channel": BOUND.contract.column("channel").description}
    measures = {measure["name"]: measure for measure in channel["measures"]}
    assert measures["editors"]["approximate"] and not measures["added"]["approximate"]
    assert measures["size"]["columns"] == {"delta": BOUND.contract.column("delta").description}
    assert {column["name"] for column in told["sources"][0]["columns"]} >= {"user", "page"}


def test_status_says_where_every_process_stands(stand: Stand) -> None:
    told = stand.client.get("/v1/status").json()["sources"][0]
    assert told["log"]["ends"] == {"0": 1010, "1": 5}
    assert (told["speed"]["lag_records"], told["speed"]["lag_seconds"]) == (15, 10)
    assert (told["batch"]["version"], told["batch"]["boundary"], told["batch"]["lag_records"]) == (1, 2, 815)
    assert told["reasons"] == []


def test_status_says_what_it_could_not_find_out(stand: Stand) -> None:
    stand.log.silent, stand.speed.silence, stand.versions.broken = "Kafka is away", "Redis is away", "no file"
    told = stand.client.get("/v1/status").json()["sources"][0]
    assert told["reasons"] == ["Kafka is away", "Redis is away", "no file"]
    assert stand.client.get("/readyz").json()["missing"] == {BOUND.source.name: told["reasons"]}
    assert stand.client.get("/healthz").json() == {"alive": True}


def test_metrics_count_requests_and_show_lag(stand: Stand) -> None:
    stand.ask("wiki")
    stand.problem("/v1/views/wikki")
    text = stand.client.get("/metrics").text
    assert 'lambda_requests_total{method="GET",route="/v1/views/{view}",status="200"} 1.0' in text
    assert 'lambda_requests_total{method="GET",route="/v1/views/{view}",status="404"} 1.0' in text
    assert 'lambda_answers_total{complete="true",view="wiki"} 1.0' in text
    assert f'lambda_lag_records{{process="speed",source="{BOUND.source.name}"}} 15.0' in text
    assert f'lambda_as_of_age_seconds{{source="{BOUND.source.name}"}} 10.0' in text


@pytest.mark.parametrize("path", ["/", "/docs", "/problems"])
def test_pages_load_nothing_from_elsewhere(stand: Stand, path: str) -> None:
    page = stand.client.get(path)
    assert page.status_code == 200
    assert "<script" not in page.text and "<link" not in page.text and "src=" not in page.text


def test_every_view_can_be_asked_from_the_first_page(stand: Stand) -> None:
    page = stand.client.get("/").text
    for view in BOUND.views.values():
        form = page.partition(f"<form action='/v1/views/{view.name}'")[2].partition("</form>")[0]
        assert form and all(f"name='{name}' placeholder='{name}' required" in form for name in view.key)


def test_the_openapi_document_has_an_example_for_every_route(stand: Stand) -> None:
    document = stand.client.get("/openapi.json").json()
    for path in ("/v1/views", "/v1/views/{view}", "/v1/status", "/v1/events/{source}", "/readyz"):
        for method in document["paths"][path].values():
            good = next(
                method["responses"][status] for status in ("200", "202") if status in method["responses"]
            )
            assert good["content"]["application/json"]["examples"], path


def test_the_time_of_an_answer_is_that_of_the_lease(stand: Stand) -> None:
    stand.speed.reading = SpeedReading(generation(1), progress(3), lease(as_of=DAY + 0.25), (7,))
    assert stand.ask("wiki")["as_of"] == "2015-09-12T00:00:00.25Z"


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/v1/views", "/v1/views/wiki", "/v1/nothing"])
def test_head_answers_as_get_does_and_keeps_the_body_back(stand: Stand, path: str) -> None:
    asked, got = stand.client.request("HEAD", path), stand.client.get(path)
    assert (asked.status_code, asked.content) == (got.status_code, b"")
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert path == "/metrics" or asked.headers["content-length"] == got.headers["content-length"]


def test_head_is_refused_where_get_is(stand: Stand) -> None:
    answer = stand.client.request("HEAD", f"/v1/events/{BOUND.source.name}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_words_that_are_no_method_make_no_metric_of_their_own(stand: Stand) -> None:
    for number in range(5):
        assert stand.client.request(f"WORD{number}", "/v1/views").status_code == 405
    text = stand.client.get("/metrics").text
    assert 'lambda_requests_total{method="other",route="/v1/views",status="405"} 5.0' in text
