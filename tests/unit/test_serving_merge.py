"""The law of the serving layer: where the boundary lies changes no answer."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.state import manifest_of, publish, speed_commands
from core.folders import Folders
from core.instants import format_instant
from core.layout import Layout
from core.views import CompiledView
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.questions import parse_question
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

Events = list[dict[str, Any]]
Rows = list[tuple[str | None, dict[str, Any]]]
NAMES = ("a", "b", "ä:1-")
RANGES = st.tuples(st.integers(-26, 50), st.integers(1, 60), st.sampled_from([None, "hour", "day"]))

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
    events = data.draw(st.lists(edits, min_size=1, max_size=30))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    boundary = data.draw(st.integers(0, len(cuts)))
    asked = data.draw(st.sampled_from(events))
    start, length, every = data.draw(RANGES)
    parameters = key_parameters(view, asked)
    if data.draw(st.booleans()):
        hours = {"from": str((DAY + start * 3600) * 1000), "to": str((DAY + (start + length) * 3600) * 1000)}
        parameters |= hours
    if every:
        parameters["every"] = every

    told = answer(view, events, cuts, boundary, parameters)

    assert told["complete"], told["reasons"]
    assert [(row["from"], row["measures"]) for row in told["rows"]] == plain(view, events, asked, parameters)


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
        merged = view.merge_all([partial for _, partial in found])
        start = None if question.start is None else format_instant(question.start * 1_000_000)
        return [(start, view.present(merged))]
    return plain_series(view, found, question)


def plain_series(
    view: CompiledView, found: list[Any], question: Any
) -> list[tuple[str | None, dict[str, Any]]]:
    steps = [bucket - bucket % question.every for bucket, _ in found]
    first, last = min(steps, default=0), max(steps, default=-1) + question.every
    start = first if question.start is None else question.start
    end = last if question.end is None else question.end
    if not found and question.start is None:
        return []
    rows: Rows = []
    at = start
    while at < end:
        stop = min(at - at % question.every + question.every, end)
        merged = view.merge_all([partial for bucket, partial in found if at <= bucket < stop])
        rows.append((format_instant(at * 1_000_000), view.present(merged)))
        at = stop
    return rows
