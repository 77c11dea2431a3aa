"""A day of real flights, told hour by hour with a cut after each, through publishes, against plain Python.

Cancellations take the place of announcements, so that each hour takes back what an hour before was counted.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from itertools import groupby
from typing import Any

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from conf.definitions import flights as definitions
from conf.settings import Settings
from core.application import BoundSource
from core.contracts import Contract
from core.equality import Cause
from demo.flights import FLIGHTS
from demo.flights_data import fetch_flights, flights
from demo.judge import judge
from demo.probes import Probe
from demo.truth import Truth
from serving_layer.rendering import to_json
from tests.identity_kit import Asking, Event, People, open_people
from tests.speed_kit import running, until

pytestmark = pytest.mark.timeout(900)

PATIENCE = 300  # seconds: a machine may have other work
STORM = date(2013, 2, 8)


def bound_to(settings: Settings) -> Callable[[str], BoundSource]:
    def bind(topic: str) -> BoundSource:
        source = replace(definitions.FLIGHTS, name=topic, topic=topic)
        views = {view.name: replace(view, source=source) for view in definitions.VIEWS}
        return BoundSource.of(source, Contract.load(settings.contracts_dir / "flights.yaml"), views)

    return bind


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[People]:
    fetch_flights(settings)
    with open_people(spark, settings, redis_client, topic, bound_to(settings), partitions=1) as opened:
        yield opened


def hours_of(events: list[Event]) -> list[list[Event]]:
    """A day as it is told: first by hours which flights there are to be, then what became of them."""
    return [list(some) for _, some in groupby(sorted(events, key=_hour), _hour)]


def _hour(event: Event) -> tuple[bool, str]:
    return event["kind"] != "scheduled", str(event["event_time"])[:13]


def test_a_blizzard_is_right_at_every_hour_and_through_publishes(world: People, settings: Settings) -> None:
    hours, asking, sent = hours_of(flights(settings, STORM, STORM)), world.asking(), list[Event]()
    published = (len(hours) // 3, len(hours) * 3 // 4)
    assert len(hours) > 30
    with running(replace(world.job(cut_interval=0.1), until_caught_up=False)):
        until(lambda: world.redis.get(world.layout.current()), PATIENCE)
        for number, some in enumerate(hours, 1):
            sent += some
            world.send(0, *some)
            settle(world, len(sent))
            check_hour(asking, sent)
            if number in published:
                world.publish()
                check_record(world)
                check_hour(asking, sent)
    assert sum(one["kind"] == "cancelled" for one in sent) > 100


def settle(world: People, count: int) -> None:
    """All that was sent is counted, and a cut lies behind it."""
    until(lambda: world.folders.cuts().latest().offset(0) >= count, PATIENCE)


def check_hour(asking: Asking, sent: list[Event]) -> None:
    truth = FLIGHTS.oracle.truth(sent)
    for probe in FLIGHTS.probes:
        check(json.loads(to_json(asking.one(probe.view, **probe.parameters))), probe, truth)


def check(answer: dict[str, Any], probe: Probe, truth: Truth) -> None:
    (row,) = answer["rows"]
    assert answer["complete"] == (not row.get("uncorrected")), (probe.title, answer["reasons"])
    told = {name: shown for name, shown in row["measures"].items() if name not in row.get("uncorrected", {})}
    verdicts = judge(told, FLIGHTS.oracle.facts(probe, truth), FLIGHTS.oracle.measures)
    assert all(verdict.right for verdict in verdicts), (probe.title, verdicts)


def check_record(world: People) -> None:
    """What a publish takes over from the speed layer is equal, but for what could not be taken back."""
    record = world.folders.handoffs().newest()
    assert record is not None and record["verdict"] in ("equal", "explained"), record
    assert {one["cause"] for one in record["findings"]} <= {None, Cause.RESTATEMENT}
