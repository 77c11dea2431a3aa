"""Three weeks of flights from New York as the demo plays them: the questions, and what is true."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from functools import cache
from typing import Any

from conf.definitions.flights import FLIGHTS as SOURCE
from conf.definitions.flights import WEATHER
from demo.flights_data import fetch_flights, flights
from demo.play import Dataset, Oracle, Play, Words
from demo.probes import Probe
from demo.truth import Answer, Event, time_of

__all__ = ["FLIGHTS", "TRUTH", "ask", "due_on", "seen"]

# days of New York, whose midnight is 05:00 UTC in winter
START, END = "2013-02-01T05:00:00Z", "2013-02-22T05:00:00Z"
STORM, CALM = "2013-02-08T05:00:00Z", "2013-02-09T05:00:00Z"


def ask(view: str, key: Mapping[str, str | int | None], start: str = START, end: str = END) -> Probe:
    """A question about the three weeks, or a part of them."""
    part = "" if (start, end) == (START, END) else f"{start[5:13]} to {end[5:13]}"
    return Probe(view, key, start, end, part)


def due_on(day: int, clock: str) -> str:
    """A time of February, given as clocks in New York show it."""
    hour, minute = clock.split(":")
    return f"2013-02-{day + (int(hour) + 5) // 24:02}T{(int(hour) + 5) % 24:02}:{minute}:00Z"


ASKED = [
    ask("delays_by_carrier", {"carrier": "UA"}),
    ask("delays_by_carrier", {"carrier": "HA"}),
    ask("delays_by_carrier", {"carrier": "B6"}, STORM, CALM),
    ask("delays_by_airport", {"origin": "JFK"}),
    ask("delays_by_airport", {"origin": "LGA"}, due_on(8, "06:00"), due_on(8, "12:00")),
    ask("delays_by_weather", {"origin": "LGA", "sky": "no sight"}),
    ask("delays_by_weather", {"origin": "LGA", "sky": "dry"}),
    ask("delays_by_weather", {"origin": "EWR", "sky": "not measured"}),
    ask("delays_by_hour_of_day", {"origin": "EWR", "local_hour": 18}),
    ask("planned", {"origin": "LGA"}),
    ask("planned", {"origin": "EWR"}, STORM, CALM),
    ask("cancellations", {"carrier": "US"}, STORM, CALM),
    ask("cancellations", {"carrier": "MQ"}),
    ask("cancellations_by_weather", {"origin": "LGA", "sky": "no sight"}),
    ask("aircraft", {"tail_number": "N328AA"}),
    ask("aircraft", {"tail_number": None}),
    ask("aircraft", {"tail_number": "N00000"}),
    ask("routes", {"origin": "JFK", "dest": "LAX"}),
    ask("routes", {"origin": "LGA", "dest": "ATL"}),
    ask("departures", {}),
    ask("departures", {}, STORM, CALM),
]


def _total(column: str | Callable[[Event], Any]) -> Callable[[Answer], int]:
    return lambda facts: facts.total(column) or 0


def _mean(column: str | Callable[[Event], Any]) -> Callable[[Answer], float | None]:
    def mean(facts: Answer) -> float | None:
        values = facts.values(column)
        return float(Fraction(sum(values), len(values))) if values else None

    return mean


def _numbers(column: str) -> Callable[[Answer], list[float]]:
    return lambda facts: [float(value) for value in facts.sorted(column)]


def seen(events: Iterable[Event]) -> Iterator[Event]:
    """The events that no other one corrects, with the weather of the hour in which each was due."""
    weather, known = weather_table(), list(events)
    corrected = {event.get("corrects") for event in known}
    for event in known:
        if event["event_id"] in corrected:
            continue
        measured = weather.get((event["origin"], f"{event['event_time'][:13]}:00:00Z"), {})
        found = {
            name: _number(measured.get(name, "NA")) for name in ("temp", "precip", "visib", "wind_speed")
        }
        yield {**event, **found, "sky": _sky(found["visib"], found["precip"])}


@cache
def weather_table() -> Mapping[tuple[str, str], Mapping[str, str]]:
    """Rows of the weather's file by airport and hour."""
    with WEATHER.path.open(encoding="utf-8", newline="") as file:
        return {(row["origin"], row["time_hour"]): row for row in csv.DictReader(file)}


def _number(cell: str) -> Fraction | None:
    return None if cell in ("", "NA") else Fraction(cell)


def _sky(visib: Fraction | None, precip: Fraction | None) -> str:
    if visib is None:
        return "not measured"
    return "no sight" if visib < 1 else "wet" if precip is not None and precip > 0 else "dry"


def _extreme(choose: Callable[..., Any], column: str) -> Callable[[Answer], float | None]:
    def extreme(facts: Answer) -> float | None:
        values = facts.values(column)
        return float(choose(values)) if values else None

    return extreme


def _late(event: Event) -> int:
    # a delay that is not known is not late
    return int((event.get("dep_delay") or 0) >= 15)


def _cancelled(event: Event) -> int:
    return int(event["kind"] == "cancelled")


def _is_flown(event: Event) -> bool:
    return bool(event["kind"] == "flown")


TRUTH: Mapping[str, Callable[[Answer], Any]] = {
    "flights": lambda facts: len(facts.values("dep_delay")),
    "late": _total(_late),
    "late_share": _mean(_late),
    "mean_dep_delay": _mean("dep_delay"),
    "mean_arr_delay": _mean("arr_delay"),
    "dep_delays": _numbers("dep_delay"),
    "arr_delays": _numbers("arr_delay"),
    "air_times": _numbers("air_time"),
    "worst": lambda facts: facts.greatest("dep_delay"),
    "temperature": _mean("temp"),
    "rain": _extreme(max, "precip"),
    "wind": _extreme(max, "wind_speed"),
    "sight": _extreme(min, "visib"),
    "flights_planned": len,
    "miles_planned": _total(lambda event: event["distance"] if event["kind"] == "scheduled" else 0),
    "told": len,
    "cancelled": _total(_cancelled),
    "cancelled_share": _mean(_cancelled),
    "miles": _total(lambda event: event["distance"] if _is_flown(event) else 0),
    "minutes": _total("air_time"),
    "destinations": lambda facts: facts.distinct("dest"),
    "carriers": lambda facts: facts.distinct("carrier"),
    "aircraft": lambda facts: facts.distinct("tail_number"),
    "top_destinations": lambda facts: Counter(facts.values("dest")),
    "last_due": lambda facts: facts.greatest(time_of),
}

WHERE: Mapping[str, Callable[[Event], bool]] = {
    **dict.fromkeys(
        (
            *("delays_by_carrier", "delays_by_airport", "delays_by_weather", "delays_by_hour_of_day"),
            *("routes", "departures"),
        ),
        _is_flown,
    ),
    "planned": lambda event: bool(event["kind"] != "flown"),
    **dict.fromkeys(
        ("aircraft", "cancellations", "cancellations_by_weather"), lambda event: event["kind"] != "scheduled"
    ),
}


def _opening(event: Event) -> bool:
    """Told by the end of 7 February: all until then, and which flights are due on the 8th."""
    return bool(event["event_time"] < (CALM if event["kind"] == "scheduled" else STORM))


def _closing(events: Sequence[Event]) -> list[dict[str, Any]]:
    last = next(dict(event) for event in reversed(events) if _is_flown(event))
    return [{**last, "event_id": "late-but-counted", "event_time": due_on(2, "03:15")}, last]


FLIGHTS = Play(
    application="conf.definitions.flights",
    dataset=Dataset(
        source=SOURCE,
        fetch=fetch_flights,
        events=flights,
        span=timedelta(days=21),
        opening=_opening,
        opened=STORM,
        closing=_closing,
    ),
    probes=ASKED,
    pulse=ask("departures", {}),
    oracle=Oracle(TRUTH, WHERE, seen),
    words=Words(
        all="events of real flights from New York, 1 to 21 February 2013",
        events="events",
        opening="the first week",
        whole="three weeks and a blizzard",
        closing="a late event (a flight of 2 February, told after three weeks) and a duplicate",
        question="delays_by_airport?origin=JFK&from=2013-02-08&to=2013-02-09&zone=America/New_York&every=hour",
    ),
)
