"""`python -m demo [wikipedia | flights]`: the main job on real events, every answer held against the truth.

The first half of a day of Wikipedia goes through Kafka and is answered by the speed layer alone. A publish
then hands it to the batch layer; the second half streams live while another publish happens. In between come
a late event and a duplicate. The flights of three weeks go the same way. Exits 1 if an exact measure differs
at all, or an approximate one is out of its own bounds. KEEP=1 leaves everything running until Ctrl-C.
"""

import argparse
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from kafka import KafkaAdminClient, KafkaProducer

from conf.clients import kafka_options
from conf.settings import Settings, get_settings, variable
from core.errors import LambdaError
from core.leases import hold
from demo.dataset import Event
from demo.play import Play
from demo.plays import PLAYS
from demo.probes import until
from demo.replay import Pace, make_producer, replay
from demo.stage import Stage, Tally
from local.fetch import fetch
from local.platform import Platform
from local.signals import Told, interruptible
from local.topics import ensure_topic

LIVE_RATE = 800.0  # events a second


def say(text: str) -> None:
    print(text, flush=True)


@dataclass
class Story:
    """The demo's steps over a running platform. `sent` is what Kafka acknowledged, in order."""

    stage: Stage
    producer: KafkaProducer
    events: Sequence[Event]
    began: float
    sent: list[Event] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def play(self) -> Play:
        return self.stage.play

    def tell(self) -> bool:
        """All steps; whether every judged answer was right."""
        words = self.play.words
        opening = [event for event in self.events if self.play.dataset.opening(event)]
        self.step(
            f"replaying {len(opening):,} {words.events} of {words.opening}, as fast as Kafka takes them"
        )
        self.send(opening)
        self.table("before the first publish: the speed layer answers alone")
        self.step("publishing: Spark recomputes every view over the master dataset")
        say(f"    published in {self.stage.publish():.0f} s")
        self.table("after the first publish: batch up to the boundary, speed from there on")
        self.live(self.events[len(opening) :])
        self.table(f"after the second publish: {words.whole}, with a late event and a duplicate")
        return not self.wrong

    def live(self, rest: Sequence[Event]) -> None:
        """The rest streams while a publish happens; answers about the opening stay right."""
        words, opened = self.play.words, self.play.dataset.opened
        self.step(
            f"streaming {len(rest):,} {words.events} live at {LIVE_RATE:.0f}/s while a second publish happens"
        )
        about = [until(probe, opened) for probe in self.play.probes if probe.start < opened]
        with self.stage.watched(about, list(self.sent)) as tally, ThreadPoolExecutor(1) as pool:
            half = len(rest) // 3
            self.send(rest[:half], LIVE_RATE)
            publishing = pool.submit(self.stage.publish)
            self.send(rest[half:], LIVE_RATE)
            say(f"    published in {publishing.result():.0f} s, in the middle of the stream")
        self.report(f"answers about {words.opening} meanwhile", tally)
        self.step(f"sending {words.closing}")
        self.send(self.play.dataset.closing(rest))

    def send(self, events: Sequence[Event], rate: float = 0.0) -> None:
        done = replay(events, self.producer, self.play.dataset.source.topic, Pace(rate=rate))
        self.sent += events
        say(f"    {done}")

    def table(self, title: str) -> None:
        waited = self.stage.settle(time.time())
        self.step(f"{title} (all of it visible {waited:.1f} s after the last acknowledgement)")
        self.report("measures", self.stage.compare(self.play.probes, self.sent, say))

    def report(self, what: str, tally: Tally) -> None:
        self.wrong += tally.wrong
        wrong = f"{len(tally.wrong)} wrong, {tally.incomplete} labelled incomplete"
        say(f"    {what}: {tally.judged:,} judged, {wrong}")
        for line in tally.wrong[:10]:
            say(f"    WRONG {line}")

    def step(self, text: str) -> None:
        say(f"\n[{time.monotonic() - self.began:5.0f} s] {text}")


def demo_settings(settings: Settings, play: Play) -> Settings:
    """The user's settings with a folder of the demo's own, cuts that show, and JVMs that start quickly."""
    given = settings.model_dump(exclude_unset=True)
    own = {"cut_interval": 5, "batch_java_options": settings.spark_java_options}
    its = {"application": play.application, "data_dir": settings.data_dir / "demo"}
    return Settings(**{**own, **given, **its})


@contextmanager
def played(settings: Settings, play: Play) -> Iterator[bool]:
    """The demo has been played and its platform still runs; whether every judged answer was right."""
    began = time.monotonic()
    events = play.dataset.events(settings)
    say(f"{len(events):,} {play.words.all}; starting Kafka, Redis, the speed job and the API")
    with Platform(settings, ["kafka", "redis", "speed", "api"], say=lambda text: say(f"    {text}")):
        with KafkaAdminClient(**kafka_options(settings)) as admin:
            ensure_topic(admin, play.dataset.source.topic, settings.topic_partitions)
        with make_producer(settings) as producer:
            right = Story(Stage(settings, play), producer, events, began).tell()
        verdict = "every answer was right" if right else "WRONG ANSWERS, see above"
        say(f"\n{verdict} ({time.monotonic() - began:.0f} s)")
        yield right


def _keep(settings: Settings, play: Play) -> None:
    say(f"\neverything runs on; Ctrl-C stops it\n    {settings.api_url}/\n    {settings.api_url}/docs")
    say(f"    curl '{settings.api_url}/v1/views/{play.words.question}'")
    say(f"    {_named(settings)} make versions")
    threading.Event().wait()


def _named(settings: Settings) -> str:
    """The variables by which a command finds this platform."""
    names = [name for name in ("application", "data_dir") if getattr(settings, name) != _default(name)]
    return " ".join(f"{variable(name)}={getattr(settings, name)}" for name in names)


def _default(name: str) -> object:
    return Settings.model_fields[name].default


def _run(settings: Settings, play: Play, keep: bool) -> bool:
    settings.data_dir.parent.mkdir(parents=True, exist_ok=True)
    with hold(settings.data_dir.with_suffix(".lock"), "a demo in this data folder"), interruptible():
        shutil.rmtree(settings.data_dir, ignore_errors=True)
        with played(settings, play) as right:
            if keep:
                _keep(settings, play)
        if right:
            shutil.rmtree(settings.data_dir)
        return right


def _chosen(argv: Sequence[str] | None) -> Play:
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Real events through all three layers."
    )
    parser.add_argument("application", nargs="?", choices=PLAYS, default=next(iter(PLAYS)))
    return PLAYS[parser.parse_args(argv).application]


def main(argv: Sequence[str] | None = None) -> int:
    play = _chosen(argv)
    try:
        settings = demo_settings(get_settings(), play)
        fetch(settings)
        play.dataset.fetch(settings)
        return 0 if _run(settings, play, bool(os.environ.get("KEEP"))) else 1
    except LambdaError as error:
        print(error, file=sys.stderr)
    except (KeyboardInterrupt, Told):
        say("stopped")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
