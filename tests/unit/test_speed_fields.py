"""Fields of the speed state one by one, over a Redis that is a dict."""

import asyncio
from typing import Any

import pytest

from bench.state import speed_commands
from core.layout import Layout
from serving_layer.pipes import Command
from serving_layer.ports import SpeedReading, SpeedSilent
from serving_layer.speed_fields import Asked, Field, RedisSpeedFields
from tests.serving_kit import (
    BOUND,
    DAY,
    SEMANTICS,
    FakePipe,
    edit,
    fields_of,
    generation,
    lease,
    progress,
)

LAYOUT = Layout("lambda", BOUND.source.name)
VIEW = BOUND.view("edits_by_channel")
KEY = VIEW.key_of({"channel": "#en.wikipedia"})
PLACED = [(segment, edit(n, event_time=f"2015-09-12T{6 + n % 3:02}:05:00Z"))
          for n, segment in enumerate([1, 1, 2, 2, 3, 3, 3])]  # fmt: skip


def pipe(**made: Any) -> FakePipe:
    fields = [(VIEW, fields_of(VIEW, PLACED))]
    return FakePipe(speed_commands(LAYOUT, generation(1, **made), progress(3), lease(), fields))


def read(of: FakePipe, boundary: int = 2, start: int = DAY) -> tuple[SpeedReading, Any]:
    asked = Asked(VIEW, KEY, start, DAY + 86_400, boundary)
    return asyncio.run(RedisSpeedFields(LAYOUT, of, SEMANTICS).read(asked))


def test_each_field_is_shown_with_its_segment_from_the_boundary_on() -> None:
    reading, fields = read(pipe())
    wanted = {place[1:]: held for place, held in fields_of(VIEW, PLACED).items() if place[1] >= 2}
    assert {field[:2]: field.partial for field in fields} == wanted
    assert [field[:2] for field in fields] == sorted(wanted)
    assert reading.buckets == [(field.bucket, field.partial) for field in fields]
    assert (reading.stamps, reading.fields) == ((7,), len(fields))


def test_only_the_range_that_is_asked_about_is_shown() -> None:
    fields: list[Field] = read(pipe(), start=DAY + 7 * 3600)[1]
    assert fields and all(field.bucket >= DAY + 7 * 3600 for field in fields)


def test_a_state_of_other_definitions_is_not_read() -> None:
    reading, fields = read(pipe(semantics="other"))
    assert fields is None and reading.generation is not None
    assert read(FakePipe()) == (SpeedReading(), None)


def test_a_state_that_changes_each_time_is_not_guessed_at() -> None:
    of = pipe()

    def switch(commands: list[Command]) -> None:
        if any(command[0] == "HGETALL" for command in commands):
            of.data[LAYOUT.current()] = b"another"
        elif commands == [("GET", LAYOUT.current())]:
            of.data[LAYOUT.current()] = b"g1"

    of.before = switch
    with pytest.raises(SpeedSilent, match="ask again"):
        read(of)
