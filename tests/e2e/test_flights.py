"""Another application through all of it: three days of flights, with the weather and a blizzard."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from conf.settings import Settings
from demo.__main__ import demo_settings, played
from demo.flights import FLIGHTS
from demo.flights_data import fetch_flights, flights
from demo.play import Play
from local.tools import free_ports

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def play() -> Play:
    """The storm and the days around it."""
    fetch_flights(Settings())
    few = replace(
        FLIGHTS.dataset, events=lambda settings: flights(settings, date(2013, 2, 7), date(2013, 2, 9))
    )
    return replace(FLIGHTS, dataset=few)


def test_every_answer_about_flights_is_right(play: Play, tmp_path: Path) -> None:
    kafka, controller, redis, api = free_ports(4)
    given = Settings(
        data_dir=tmp_path,
        kafka_port=kafka,
        kafka_controller_port=controller,
        redis_port=redis,
        api_port=api,
        batch_nice=0,  # nobody else asks: a busy machine would let the publish starve
    )
    with played(demo_settings(given, play), play) as right:
        assert right
