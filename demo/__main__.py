"""`python -m demo`: the main job on real events, and every answer held against the truth.

The first half of a day of Wikipedia goes through Kafka and is answered by the speed layer alone. A publish
then hands it to the batch layer; the second half streams live while another publish happens. In between come
a late event and a duplicate. Exits 1 if an exact measure differs at all, or an approximate one is out of its
own bounds. KEEP=1 leaves everything running until Ctrl-C.
"""

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
from conf.definitions.wikipedia import EDITS
from conf.settings import Settings, get_settings, variable
from core.errors import LambdaError
from core.leases import hold
from demo.dataset import Event, edits
from demo.probes import ASKED
from demo.replay import Pace, make_producer, replay
from demo.stage import Stage, Tally, until
from local.fetch import fetch
from local.platform import Platform
from local.signals import Told, interruptible
from local.topics import ensure_topic

NOON = "2015-09-12T12:00:00Z"
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

    def tell(self) -> bool:
        """All steps; whether every judged answer was right."""
        morning = [event for event in self.events if event["event_time"] < NOON]
        self.step(f"replaying {len(morning):,} edits of the morning, as fast as Kafka takes them")
        self.send(morning)
        self.table("before the first publish: the speed layer answers alone")
        self.step("publishing: Spark recomputes every view over the master dataset")
        say(f"    published in {self.stage.publish():.0f} s")
        self.table("after the first publish: batch up to the boundary, speed from there on")
        self.afternoon(self.events[len(morning) :])
        self.table("after the second publish: the whole day, with a late event and a duplicate")
        return not self.wrong

    def afternoon(self, rest: Sequence[Event]) -> None:
        """The rest of the day streams while a publish happens; answers about the morning stay right."""
        self.step(f"streaming {len(rest):,} edits live at {LIVE_RATE:.0f}/s while a second publish happens")
        morning = [until(probe, NOON) for probe in ASKED if probe.start < NOON]
        with self.stage.watched(morning, list(self.sent)) as tally, ThreadPoolExecutor(1) as pool:
            half = len(rest) // 3
            self.send(rest[:half], LIVE_RATE)
            publishing = pool.submit(self.stage.publish)
            self.send(rest[half:], LIVE_RATE)
            say(f"    published in {publishing.result():.0f} s, in the middle of the stream")
        self.report("answers about the morning meanwhile", tally)
        self.step("sending a late event (03:15 this morning) and a duplicate of the last edit")
        late = {**rest[-1], "event_id": "late-but-counted", "event_time": "2015-09-12T03:15:00Z"}
        self.send([late, rest[-1]])

    def send(self, events: Sequence[Event], rate: float = 0.0) -> None:
        done = replay(events, self.producer, EDITS.topic, Pace(rate=rate))
        self.sent += events
        say(f"    {done}")

    def table(self, title: str) -> None:
        waited = self.stage.settle(time.time())
        self.step(f"{title} (all of it visible {waited:.1f} s after the last acknowledgement)")
        self.report("measures", self.stage.compare(ASKED, self.sent, say))

    def report(self, what: str, tally: Tally) -> None:
        self.wrong += tally.wrong
        wrong = f"{len(tally.wrong)} wrong, {tally.incomplete} labelled incomplete"
        say(f"    {what}: {tally.judged:,} judged, {wrong}")
        for line in tally.wrong[:10]:
            say(f"    WRONG {line}")

    def step(self, text: str) -> None:
        say(f"\n[{time.monotonic() - self.began:5.0f} s] {text}")


def demo_settings(settings: Settings) -> Settings:
    """The user's settings with a folder of the demo's own, cuts that show, and JVMs that start quickly."""
    given = settings.model_dump(exclude_unset=True)
    own = {"cut_interval": 5, "batch_java_options": settings.spark_java_options}
    return Settings(**{**own, **given, "data_dir": settings.data_dir / "demo"})


@contextmanager
def played(settings: Settings) -> Iterator[bool]:
    """The demo has been played and its platform still runs; whether every judged answer was right."""
    began = time.monotonic()
    events = edits(settings)
    say(f"{len(events):,} real edits of 2015-09-12; starting Kafka, Redis, the speed job and the API")
    with Platform(settings, ["kafka", "redis", "speed", "api"], say=lambda text: say(f"    {text}")):
        with KafkaAdminClient(**kafka_options(settings)) as admin:
            ensure_topic(admin, EDITS.topic, settings.topic_partitions)
        with make_producer(settings) as producer:
            right = Story(Stage(settings), producer, events, began).tell()
        verdict = "every answer was right" if right else "WRONG ANSWERS, see above"
        say(f"\n{verdict} ({time.monotonic() - began:.0f} s)")
        yield right


def _keep(settings: Settings) -> None:
    query = "channel=%23en.wikipedia&from=2015-09-12&to=2015-09-13"
    say(f"\neverything runs on; Ctrl-C stops it\n    {settings.api_url}/\n    {settings.api_url}/docs")
    say(f"    curl '{settings.api_url}/v1/views/edits_by_channel?{query}'")
    say(f"    {variable('data_dir')}={settings.data_dir} make versions")
    threading.Event().wait()


def _run(settings: Settings, keep: bool) -> bool:
    settings.data_dir.parent.mkdir(parents=True, exist_ok=True)
    with hold(settings.data_dir.with_suffix(".lock"), "a demo in this data folder"), interruptible():
        shutil.rmtree(settings.data_dir, ignore_errors=True)
        with played(settings) as right:
            if keep:
                _keep(settings)
        if right:
            shutil.rmtree(settings.data_dir)
        return right


def main() -> int:
    try:
        settings = demo_settings(get_settings())
        fetch(settings)
        return 0 if _run(settings, bool(os.environ.get("KEEP"))) else 1
    except LambdaError as error:
        print(error, file=sys.stderr)
    except (KeyboardInterrupt, Told):
        say("stopped")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
