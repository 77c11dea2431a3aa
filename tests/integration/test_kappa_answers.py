"""The questions of `bench.kappa` over HTTP: a state that is half published, and one in Redis alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import pytest
from redis import Redis

from bench.kappa.__main__ import compare
from bench.kappa.change import forget
from bench.kappa.questions import Question, questions
from bench.kappa.trial import Figures, Plan
from bench.kappa.watch import Reader, summary
from bench.stand import standing
from bench.state import manifest_of, publish, speed_commands
from conf.clients import redis_options
from conf.settings import Settings, get_settings
from core.application import BoundSource
from core.folders import Folders
from core.handoff import Generation, Lease, Progress
from core.layout import Layout
from demo.dataset import Event, edits
from demo.replay import part_of_day
from demo.stage import Stage
from demo.truth import Truth
from demo.wikipedia import WIKIPEDIA
from local import wait
from tests.serving_kit import buckets_of, fields_of

pytestmark = pytest.mark.timeout(240)

Fill = Callable[[Settings, BoundSource], None]


@pytest.fixture(scope="module")
def events() -> Sequence[Event]:
    return Plan(list(part_of_day(edits(get_settings()), None, "01:30"))).events()[
        :-1
    ]  # no copy: no dedupe here


def state(events: Sequence[Event], published: int) -> Fill:
    """So many events are published; two cuts lie in what there is."""
    ends = [published or len(events) // 3, len(events) * 2 // 3]

    def fill(settings: Settings, bound: BoundSource) -> None:
        folders, views = Folders(settings.data_dir, bound.source.name), list(bound.views.values())
        for end in ends:
            folders.cuts().make({0: end}, "test")
        semantics = bound.semantics(settings.dedupe_window)
        if published:
            made = [(view, buckets_of(view, events[:published])) for view in views]
            publish(folders, manifest_of(bound.source.name, semantics, 1), made)
        numbered = [(sum(end <= at for end in ends), event) for at, event in enumerate(events)]
        fields = [(view, fields_of(view, numbered[published:])) for view in views]
        generation = Generation("g", bound.source.name, 0, {}, semantics, settings.shards, "cluster", "topic")
        lease, layout = Lease(1, time() + 600, time()), Layout(settings.namespace, bound.source.name)
        progress = Progress(1, {0: len(events)}, 2, 0)
        with Redis.from_url(settings.redis_address, **redis_options(settings)) as client:
            pipe = client.pipeline(transaction=False)
            for command in speed_commands(layout, generation, progress, lease, fields):
                pipe.execute_command(*command)
            pipe.execute()

    return fill


@contextmanager
def asked(
    folder: Path, name: str, fill: Fill, questions: Sequence[Question]
) -> Iterator[tuple[Settings, Figures]]:
    with standing(folder, fill) as (settings, _):
        stage = Stage(settings, WIKIPEDIA)
        yield settings, Figures(name, answers=[stage.ask(question) for question in questions])


def test_answers_are_right_and_equal_with_and_without_a_batch_layer(
    events: Sequence[Event], tmp_path: Path
) -> None:
    every, truth = questions(events, 2), Truth(events)
    with (
        asked(tmp_path / "l", "Lambda", state(events, len(events) // 2), every) as (_, left),
        asked(tmp_path / "k", "Kappa", state(events, 0), every) as (settings, right),
    ):
        compared = compare(left, right, every, truth)
        assert compared.wrong == []
        assert compared.exact > 1000 and compared.approximate > 300 and compared.between > 700
        assert {answer["manifest"] is None for answer in right.answers} == {True}
        _a_reader_moves(settings, every[0], truth)


def test_a_namespace_is_forgotten_and_its_neighbour_stays(redis_client: Redis) -> None:
    names = ["next:edits:current", "next:{g.0}:f:wiki:0:k", "nextone:edits:current", "lambda:next:current"]
    redis_client.mset(dict.fromkeys(names, "1"))
    forget(redis_client, "next")
    assert [redis_client.exists(name) for name in names] == [0, 0, 1, 1]
    redis_client.delete(*names)


def test_one_event_too_many_is_found_in_either(events: Sequence[Event], tmp_path: Path) -> None:
    every = [question for question in questions(events, 1) if question.view == "wiki"]
    with asked(tmp_path / "k", "Kappa", state([*events, events[3] | {"event_id": "smuggled"}], 0), every) as (
        _,
        right,
    ):
        compared = compare(right, right, every, Truth(events))
    assert any("edits" in line for line in compared.wrong)


def _a_reader_moves(settings: Settings, question: Question, truth: Truth) -> None:
    facts: Any = WIKIPEDIA.oracle.facts(question, truth)
    reader = Reader("http://127.0.0.1:1", settings.api_url, question, facts, facts, since=0.0)
    with reader.reading():
        wait.until(lambda: None if reader.moved.is_set() else reader.last(), "the reader", 30)
    seen = summary(reader.rounds)
    assert (seen.wrong, seen.asked, reader.rounds[-1].old.state) == (0, 2 * len(reader.rounds), "away")
