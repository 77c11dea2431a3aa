"""The time that is asked for: zones, local times, spans back from now, ranges without events, open ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.buckets import DAY as ONE_DAY
from core.buckets import HOUR, MINUTE
from serving_layer.questions import parse_question
from tests.serving_kit import BOUND, DAY
from tests.unit.test_serving_api import Stand

WIKI, HOURLY = BOUND.view("wiki"), BOUND.view("robot_edits")
NOON = DAY + 43_210.5  # ten seconds past twelve


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """Four edits from 06:00 on and one at 07:30, on 2015-09-12; the clock is `NOON`."""
    stand = Stand(tmp_path)
    with stand.client:
        yield stand


def edits(told: dict[str, Any]) -> list[int]:
    return [row["measures"]["edits"] for row in told["rows"]]


@pytest.mark.parametrize(
    ("last", "seconds"),
    [
        ("30m", 1800), ("90m", 5400), ("24h", ONE_DAY), ("7d", 7 * ONE_DAY), ("2w", 14 * ONE_DAY),
        ("PT30M", 1800), ("PT36H", 36 * HOUR), ("P7D", 7 * ONE_DAY), ("P2W", 14 * ONE_DAY),
        ("P1DT12H30M", 36 * HOUR + 30 * MINUTE), ("PT1H1M", 61 * MINUTE),
    ],
)  # fmt: skip
def test_a_span_ends_with_the_bucket_that_is_filled_now(last: str, seconds: int) -> None:
    question = parse_question(WIKI, [("last", last)], lambda: NOON)
    assert question.end == DAY + 12 * HOUR + MINUTE
    assert question.end - (question.start or 0) == seconds


@settings(deadline=None)
@given(st.floats(DAY, DAY + 10 * ONE_DAY), st.integers(1, 500))
def test_a_span_holds_now_and_as_many_buckets_as_were_asked_for(now: float, hours: int) -> None:
    question = parse_question(HOURLY, [("channel", "x"), ("last", f"{hours}h")], lambda: now)
    assert question.start is not None and question.end is not None
    assert question.end - HOUR <= now < question.end
    assert (question.end - question.start, question.end % HOUR) == (hours * HOUR, 0)


def test_an_answer_says_which_range_a_span_was(stand: Stand) -> None:
    told = stand.ask("wiki", last="6h")
    assert (told["from"], told["to"]) == ("2015-09-12T06:01:00Z", "2015-09-12T12:01:00Z")
    assert edits(told) == [1]
    told = stand.ask("wiki", last="7h", every="hour", zone="Europe/Berlin")
    assert (told["from"], told["zone"]) == ("2015-09-12T07:01:00+02:00", "Europe/Berlin")
    assert edits(told) == [0, 4, 1, 0, 0, 0, 0, 0]


def test_a_local_day_is_a_row_and_shown_as_clocks_there_show_it(stand: Stand) -> None:
    told = stand.ask("wiki", every="day", zone="Asia/Tokyo", **{"from": "2015-09-12", "to": "2015-09-14"})
    assert [row["from"] for row in told["rows"]] == ["2015-09-12T00:00:00+09:00", "2015-09-13T00:00:00+09:00"]
    assert edits(told) == [5, 0]
    told = stand.ask("wiki", every="day", zone="America/Los_Angeles", last="2d")
    assert [row["from"][:10] for row in told["rows"]] == ["2015-09-10", "2015-09-11", "2015-09-12"]
    assert edits(told) == [0, 4, 1]  # midnight there is 07:00 in UTC


@pytest.mark.parametrize(
    ("moment", "zone", "expected"),
    [
        ("2015-09-12", "Europe/Berlin", "2015-09-12T00:00:00+02:00"),
        ("2015-09-12T06:30", "Europe/Berlin", "2015-09-12T06:30:00+02:00"),
        ("2015-09-12T06:30:00", "UTC", "2015-09-12T06:30:00Z"),
        ("2015-09-12 06:30", "Asia/Kolkata", "2015-09-12T06:30:00+05:30"),
        ("2015-09-12T06:30:00Z", "Asia/Kolkata", "2015-09-12T12:00:00+05:30"),
        ("2015-10-18", "America/Sao_Paulo", "2015-10-18T01:00:00-02:00"),  # clocks skip midnight
        ("2011-12-30", "Pacific/Apia", "2011-12-31T00:00:00+14:00"),  # and Apia the whole day
    ],
)
def test_a_time_may_be_local(stand: Stand, moment: str, zone: str, expected: str) -> None:
    assert stand.ask("wiki", zone=zone, **{"from": moment})["from"] == expected


@pytest.mark.parametrize(
    ("parameters", "kind", "field", "text"),
    [
        ({"zone": "Europe/Berlim"}, "bad-zone", "zone", "did you mean 'Europe/Berlin'"),
        ({"zone": "+02:00"}, "bad-zone", "zone", "such as Europe/Berlin or UTC"),
        ({"zone": "../../etc/passwd"}, "bad-zone", "zone", "IANA"),
        ({"last": "30s"}, "bad-last", "last", "30m, 24h, 7d"),
        ({"last": "0h"}, "bad-last", "last", "PT30M"),
        ({"last": "P"}, "bad-last", "last", "PT30M"),
        ({"last": "P1DT"}, "bad-last", "last", "PT30M"),
        ({"last": "P1M"}, "bad-last", "last", "PT30M"),
        ({"last": "999999999w"}, "bad-last", "last", "back to 0001-01-01T00:00:00Z"),
        ({"last": "1h", "from": "2015-09-12"}, "bad-last", "last", "nothing beside from"),
        ({"last": "1h", "to": "2015-09-12"}, "bad-last", "last", "nothing beside to"),
        ({"zone": "Europe/Berlin", "from": "2015-10-25T02:30"}, "bad-time", "from",
         "2015-10-25T02:30:00+02:00', '2015-10-25T02:30:00+01:00"),
        ({"zone": "Europe/Berlin", "from": "2015-03-29T02:30"}, "bad-time", "from", "show never"),
        ({"zone": "Europe/Berlin", "from": "1850-01-01"}, "bad-range", "from", "1849-12-31T23:06:00Z"),
        ({"every": "day", "zone": "Europe/Berlin", "from": "1850-01-01T00:00Z", "to": "1850-02-01"},
         "bad-range", "to", "inside a bucket"),
        ({"every": "day", "zone": "Europe/Berlin", "from": "1850-01-01T00:00Z", "to": "1850-02-01T00:00Z"},
         "bad-zone", "zone", "begins at 1850-01-01T23:06:32Z, inside a bucket"),
        ({"every": "minute", "last": "30d"}, "too-many-rows", "every", "10000"),
        ({"every": "day", "zone": "Asia/Kolkata", "from": "2000-01-01", "to": "2015-01-01"},
         "too-many-rows", "every", "100000 tiles"),
        ({"every": "day", "zone": "Asia/Tokyo", "from": "0001-01-01"}, "bad-time", "from", "ISO 8601"),
    ],
)  # fmt: skip
def test_a_time_at_fault_names_field_value_and_way_out(
    stand: Stand, parameters: dict[str, str], kind: str, field: str, text: str
) -> None:
    found = stand.problem("/v1/views/wiki", **parameters)
    assert (found["type"], found["field"], found["value"]) == (kind, field, parameters[field])
    assert text in f"{found['detail']} {found['allowed']}"


@pytest.mark.parametrize(
    ("parameters", "kind", "text"),
    [
        ({"last": "30m"}, "bad-last", "a multiple of 1 hour"),
        ({"every": "day", "zone": "Asia/Kolkata"}, "bad-zone", "UTC is one"),
        ({"every": "hour", "zone": "Asia/Kolkata", "last": "3h"}, "bad-zone", "view with finer buckets"),
        ({"every": "month", "zone": "Australia/Lord_Howe", "last": "99d"}, "bad-zone", "inside a bucket"),
    ],
)
def test_buckets_too_wide_for_a_span_or_a_zone_are_told(
    stand: Stand, parameters: dict[str, str], kind: str, text: str
) -> None:
    found = stand.problem("/v1/views/robot_edits", channel="#en.wikipedia", **parameters)
    assert found["type"] == kind and text in f"{found['detail']} {found['allowed']}"


@pytest.mark.parametrize("span", [("2031-01-01", "2031-01-03"), ("1999-01-01", "1999-01-03")])
def test_a_range_without_events_answers_zeros(stand: Stand, span: tuple[str, str]) -> None:
    ends = {"from": span[0], "to": span[1]}
    assert edits(stand.ask("wiki", **ends)) == [0]
    for zone in ("UTC", "Asia/Tokyo"):
        told = stand.ask("wiki", every="day", zone=zone, **ends)
        assert edits(told) == [0, 0] and told["complete"]
    assert edits(stand.ask("wiki", **{"from": "2031-01-01"})) == [0]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("ends", [{"from": "2031-01-01"}, {"to": "1999-01-01"}])
def test_an_open_series_has_no_rows_where_there_is_nothing(
    stand: Stand, ends: dict[str, str], zone: str
) -> None:
    told = stand.ask("wiki", every="day", zone=zone, **ends)
    assert (told["rows"], told["read"]["tiles"], told["complete"]) == ([], 0, True)


@pytest.mark.parametrize(
    ("zone", "ends", "rows"),
    [
        ("UTC", {}, ["2015-09-01T00:00:00Z"]),
        ("UTC", {"from": "2015-07-10"}, [f"2015-{day}T00:00:00Z" for day in ("07-10", "08-01", "09-01")]),
        ("Asia/Tokyo", {}, ["2015-09-01T00:00:00+09:00"]),
        ("Asia/Tokyo", {"to": "2015-10-10"}, [f"2015-{day}T00:00:00+09:00" for day in ("09-01", "10-01")]),
    ],
)
def test_open_months_reach_from_the_first_event_to_the_last(
    stand: Stand, zone: str, ends: dict[str, str], rows: list[str]
) -> None:
    told = stand.ask("wiki", every="month", zone=zone, **ends)
    assert [row["from"] for row in told["rows"]] == rows
    assert sum(edits(told)) == 5
