"""One architecture on the same events: filled, asked, measured, and its definitions changed."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
from kafka import KafkaAdminClient, KafkaProducer

from bench.freshness import flowing, sample
from bench.kappa.change import Changed, change
from bench.kappa.changed import CHANGED
from bench.kappa.questions import Question
from bench.kappa.usage import Meter, Phase, disk_usage, redis_memory
from bench.load import drive
from conf.clients import kafka_options
from conf.definitions.wikipedia import EDITS
from conf.settings import Settings
from core.cuts import reaches
from core.folders import Folders
from demo.dataset import Event, multiply
from demo.replay import make_producer, replay
from demo.stage import Stage
from demo.truth import Truth
from demo.wikipedia import WIKIPEDIA, ask
from local import wait
from local.platform import Platform
from local.topics import end_offsets, ensure_topic

__all__ = ["SHARES", "Figures", "Plan", "Trial", "parts"]

Say = Callable[[str], None]
SHARES = (0.5, 0.8)  # of the events were sent when a version is published; the rest stays unpublished
PATIENCE = 900.0  # seconds until what was sent is in an answer
QUESTION = "/v1/views/edits_by_channel?channel=%23en.wikipedia"
DISKS = {"log": "kafka", "master dataset": "master", "views and index": "views", "Redis's file": "redis"}
PROCESSES = ("kafka", "redis", "speed", "api")
PROBE = ask(CHANGED, {"channel": "#vi.wikipedia"})


@dataclass(frozen=True)
class Plan:
    """What both architectures do: `day` as often as `days` says, then a stream of `rate` a second.

    `shares` of the events are followed by a publish, where there is a batch layer. `size` events are timed.
    """

    day: Sequence[Event]
    days: int = 1
    rate: float = 200.0
    size: int = 60
    shares: Sequence[float] = SHARES
    asked: float = 50.0  # questions a second
    seconds: float = 10.0  # of questions, and of doing nothing

    def events(self) -> list[Event]:
        """All of them in order; the last two are a late event and a copy."""
        days = list(multiply(self.day, self.days))
        late = {**self.day[-1], "event_id": "late-but-counted", "event_time": "2015-09-12T03:15:00Z"}
        return [*days, late, days[-1]]


def parts(events: Sequence[Event], shares: Sequence[float]) -> list[Sequence[Event]]:
    """The events cut at these shares of them."""
    ends = [0, *(int(share * len(events)) for share in shares), len(events)]
    return [events[start:end] for start, end in pairwise(ends)]


@dataclass
class Figures:
    """What one architecture gave: its answers in the order of the questions, and what they took."""

    name: str
    events: int = 0
    start: Phase = field(default_factory=Phase)
    filled: Phase = field(default_factory=Phase)
    published: Phase = field(default_factory=Phase)
    idle: Phase = field(default_factory=Phase)
    answers: list[dict[str, Any]] = field(default_factory=list)
    read: Mapping[str, int] = field(default_factory=dict)
    latency: list[float] = field(default_factory=list)
    failed: int = 0
    freshness: list[float] = field(default_factory=list)
    redis: int = 0
    disk: dict[str, int] = field(default_factory=dict)
    cuts: int = 0
    loads: list[float] = field(default_factory=list)
    past: str = ""
    changes: list[Changed] = field(default_factory=list)


class Trial:
    """Runs one architecture in a folder of its own; `ways` are those in which definitions change."""

    def __init__(self, name: str, settings: Settings, plan: Plan, ways: Sequence[str], say: Say) -> None:
        self.settings, self.plan, self.ways, self.say = settings, plan, ways, say
        self.publishes = name == "Lambda"
        self.figures, self.meter = Figures(name), Meter()
        self.stage = Stage(settings, WIKIPEDIA)

    def run(self, questions: Sequence[Question], truth: Truth) -> Figures:
        """All of it. Raises `DemoFailed`, `ChangeFailed` or `LocalError` for a step that does not happen."""
        with self.meter.running(), ExitStack() as stack:
            platform = self._start(stack)
            producer = stack.enter_context(make_producer(self.settings))
            self._fill(producer)
            settled = time.time()
            self._ask(questions)
            self._measure()
            with flowing(producer, self.plan.day, self.plan.rate, self.plan.days):
                self._freshness()
                for way in self.ways:
                    self.say(f"changing a definition, {way}; events flow at {self.plan.rate:.0f}/s")
                    made = change(platform, way, PROBE, truth, settled, self.meter, self.say)
                    self._note_load()
                    self.figures.changes.append(made)
        return self.figures

    def _start(self, stack: ExitStack) -> Platform:
        """The platform, which has given a complete answer about an empty log."""
        with self.meter.phase() as self.figures.start:
            platform = stack.enter_context(Platform(self.settings, PROCESSES, say=self.say))
            with KafkaAdminClient(**kafka_options(self.settings)) as admin:
                ensure_topic(admin, EDITS.topic, self.settings.topic_partitions)
            self.stage.settle(time.time(), PATIENCE)
        return platform

    def _fill(self, producer: KafkaProducer) -> None:
        """Every part until it is answered; where there is a batch layer, each but the last is published."""
        found = parts(self.plan.events(), self.plan.shares)
        for number, part in enumerate(found, 1):
            self.say(f"part {number} of {len(found)}: {len(part):,} events, as fast as Kafka takes them")
            with self.meter.phase() as filled:
                replay(part, producer, EDITS.topic)
                waited = self.stage.settle(time.time(), PATIENCE)
            self.say(f"    all of it in answers {waited:.1f} s after the last acknowledgement")
            self._note_load()
            self.figures.events += len(part)
            self.figures.filled += filled
            if self.publishes and number < len(found):
                self._publish()

    def _publish(self) -> None:
        self.say("publishing: a full recompute")
        wait.until(self._uncut, "a cut behind all that was sent")
        with self.meter.phase() as published:
            took = self.stage.publish()
        self.figures.published += published
        self.say(f"    published in {took:.0f} s")

    def _uncut(self) -> str | None:
        latest = self._folders().cuts().latest()
        with KafkaAdminClient(**kafka_options(self.settings)) as admin:
            ends = end_offsets(admin, EDITS.topic)
        return (
            None if reaches(latest.offsets, ends) else f"the newest cut is {latest}, the log ends at {ends}"
        )

    def _ask(self, questions: Sequence[Question]) -> None:
        self.say(f"asking {len(questions)} questions")
        answers = self.figures.answers = [self.stage.ask(question) for question in questions]
        pairs = zip(questions, answers, strict=True)
        self.figures.read = next(answer["read"] for question, answer in pairs if question.view == "wiki")

    def _measure(self) -> None:
        """What is there when all is answered, and how quickly; then what it takes to do nothing."""
        figures, settings = self.figures, self.settings
        figures.redis = redis_memory(settings)
        figures.disk = {what: disk_usage(settings.data_dir / folder) for what, folder in DISKS.items()}
        figures.cuts = len(self._folders().cuts().all())
        figures.past = self._past()
        self.say(f"asking at {self.plan.asked:.0f} questions a second, then nothing")
        load = drive("127.0.0.1", settings.api_port, lambda _: QUESTION, self.plan.asked, self.plan.seconds)
        figures.latency, figures.failed = load.seconds, load.failed
        with self.meter.phase() as figures.idle:
            time.sleep(self.plan.seconds)

    def _past(self) -> str:
        """What comes of a question as of the first cut."""
        response = httpx.get(f"{self.settings.api_url}/v1/views/wiki", params={"as_of_cut": 1}, timeout=60)
        return "answered" if response.status_code == 200 else str(response.json()["title"])

    def _freshness(self) -> None:
        """Marked edits are no robot's, so that the view that is going to change knows nothing of them."""
        self.say(f"timing {self.plan.size} edits at {self.plan.rate:.0f} events/s")
        model = next(event for event in self.plan.day if not event["isRobot"])
        with KafkaProducer(**kafka_options(self.settings), acks="all") as probe:
            self.figures.freshness = sample(self.settings.api_url, probe, model, self.plan.size, "kappa")
        self._note_load()

    def _note_load(self) -> None:
        """How busy the machine was, with what it had to do beside."""
        self.figures.loads.append(os.getloadavg()[0])

    def _folders(self) -> Folders:
        return Folders(self.settings.data_dir, EDITS.name)
