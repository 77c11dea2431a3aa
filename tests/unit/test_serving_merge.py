"""The law of the serving layer: where the boundary lies changes no answer."""

import asyncio
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.state import manifest_of, publish, speed_commands
from core.folders import Folders
from core.instants import format_instant, parse_instant
from core.layout import Layout
from core.views import CompiledView
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.questions import Question, parse_question
from serving_layer.rendering import to_json
from serving_layer.series import Series
from serving_layer.snapshots import Watch
from serving_layer.speed_state import RedisSpeedStore
from tests.serving_kit import (
    BOUND,
    DAY,
    SEMANTICS,
    FakePipe,
    buckets_of,
    edit,
    fields_of,
    generation,
    lease,
    place,
    progress,
    segments,
    silent_logger,
)  # fmt: skip
from tests.unit.test_periods import walked

Events = list[dict[str, Any]]
Rows = list[tuple[int | None, dict[str, Any]]]
NAMES = ("a", "b", "ä:1-")
UNITS = [None, "hour", "day", "week", "month"]
RANGES = st.tuples(st.integers(-26, 50), st.integers(1, 60), st.sampled_from(UNITS))
QUARTER, MONTH = 900, 32 * 86_400
# how many days after the first a day lies on which clocks change somewhere
DAYS = st.sampled_from([0, 22, 43])

edits = st.builds(
    lambda seconds, **values: edit(0, event_time=format_instant((DAY + seconds) * 1_000_000), **values),
    seconds=st.integers(-90_000, 180_000),
    channel=st.sampled_from(NAMES),
    page=st.sampled_from(NAMES),
    user=st.sampled_from(NAMES),
    isRobot=st.booleans(),
    added=st.integers(0, 10),
    deleted=st.integers(0, 10),
    delta=st.integers(-10, 10),
    countryIsoCode=st.sampled_from([None, "DE", "FR"]),
)


@pytest.mark.parametrize("name", BOUND.views)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_cut_into_batch_and_speed_answers_as_no_cut_at_all(name: str, data: st.DataObject) -> None:
    view = BOUND.view(name)
    events = moved(data.draw(st.lists(edits, min_size=1, max_size=30)), days := data.draw(DAYS))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    boundary = data.draw(st.integers(0, len(cuts)))
    asked = data.draw(st.sampled_from(events))
    start, length, every = data.draw(RANGES)
    parameters = key_parameters(view, asked)
    if data.draw(st.booleans()):
        first = DAY + days * 86_400 + start * 3600
        ends = {"from": str(first * 1000), "to": str((first + length * 3600) * 1000)}
        parameters |= data.draw(st.sampled_from([ends, *({name: ends[name]} for name in ends)]))
    if every:
        parameters |= {"every": every, "zone": data.draw(st.sampled_from(zones(view)))}

    told = answer(view, events, cuts, boundary, parameters)

    assert told["complete"], told["reasons"]
    rows = [(row["from"] and parse_instant(row["from"]), row["measures"]) for row in told["rows"]]
    assert rows == plain(view, events, asked, parameters)


def moved(events: Events, days: int) -> Events:
    return [
        event | {"event_time": format_instant(parse_instant(event["event_time"]) + days * 86_400_000_000)}
        for event in events
    ]


def zones(view: CompiledView) -> list[str]:
    """Those whose hours begin with a bucket."""
    return ["UTC", "Europe/Berlin"] + ["Asia/Kathmandu", "Australia/Lord_Howe"] * (view.width < QUARTER)


def key_parameters(view: CompiledView, event: dict[str, Any]) -> dict[str, str]:
    return {name if event[name] is not None else f"{name}.null": event[name] or "true" for name in view.key}


def answer(
    view: CompiledView,
    events: list[dict[str, Any]],
    cuts: list[int],
    boundary: int,
    parameters: dict[str, str],
) -> dict[str, Any]:
    """As the API answers, over real index files and the commands that a speed layer writes."""
    placed = list(zip(segments(events, cuts), events, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        folders = Folders(Path(folder), BOUND.source.name)
        batch = [event for segment, event in placed if segment < boundary]
        # what the speed layer has not dropped yet counts only where it lies beyond the boundary
        publish(
            folders, manifest_of(BOUND.source.name, SEMANTICS, boundary), [(view, buckets_of(view, batch))]
        )
        layout = Layout("t", BOUND.source.name)
        pipe = FakePipe(
            speed_commands(
                layout, generation(), progress(len(cuts)), lease(), [(view, fields_of(view, placed))]
            )
        )
        watch = Watch(folders, SEMANTICS, silent_logger())
        watch.look()
        desk = Desk(BOUND, SEMANTICS, watch, RedisSpeedStore(layout, pipe, SEMANTICS))
        question = parse_question(view, parameters.items())
        told = [compose(question, asyncio.run(desk.ask(question)), desk.shown) for _ in range(2)]
        assert told[0]["rows"] == told[1]["rows"]
        if question.edges:
            series = Series(desk)
            for _ in range(2):
                rendered = to_json(asyncio.run(series.answer(question)))
                assert json.loads(rendered) == json.loads(to_json(told[1]))
        return told[1]


def plain(view: CompiledView, events: Events, asked: dict[str, Any], parameters: dict[str, str]) -> Rows:
    """Rows by a fold over all events, without tiles, segments or layers."""
    question = parse_question(view, parameters.items())
    key = place(view, asked)[0]
    found = sorted(
        (bucket, partial)
        for (own, bucket), partial in buckets_of(view, events).items()
        if own == key and question.first <= bucket < question.last
    )
    if question.every is None:
        start = None if question.start is None else question.start * 1_000_000
        return [(start, view.present(view.merge_all([partial for _, partial in found])))]
    return [
        (
            start * 1_000_000,
            view.present(view.merge_all([one for bucket, one in found if start <= bucket < end])),
        )
        for start, end in plain_rows(question, [bucket for bucket, _ in found])
    ]


def plain_rows(question: Question, found: list[int]) -> list[tuple[int, int]]:
    """By looking at the clock each quarter of an hour, for longer than a month before and after."""
    assert question.every
    if not found and (question.start is None or question.end is None):
        return []
    first = found[0] if question.start is None else question.start
    last = found[-1] + 1 if question.end is None else question.end
    edges = walked(question.every.unit, question.zone, first - first % QUARTER - MONTH, last + MONTH, QUARTER)
    rows = [(start, end) for start, end in pairwise(edges[1:-1]) if start < last and first < end]
    return [
        (
            start if question.start is None else max(start, first),
            end if question.end is None else min(end, last),
        )
        for start, end in rows
    ]
