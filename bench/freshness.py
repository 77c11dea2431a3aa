"""Freshness: from the acknowledgement by Kafka to the event being visible in a merged HTTP answer.

Real edits flow at a fixed rate; among them are marked ones, each by a user of its own, who is asked for until
his edit shows. Then the same while the batch layer recomputes; `--no-recompute` leaves that out.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import httpx
import orjson
from kafka import KafkaAdminClient, KafkaProducer

from bench.report import percentiles, row, system
from conf.clients import kafka_options
from conf.definitions.wikipedia import EDITS
from conf.settings import Settings, get_settings
from demo.dataset import Event, edits, multiply
from demo.replay import Pace, make_producer
from local.child import running
from local.platform import Platform
from local.spark_submit import job_command
from local.tools import free_ports
from local.topics import ensure_topic

RANGE = {"from": "2015-09-12T00:00:00Z", "to": "2015-09-13T00:00:00Z"}
PATIENCE = 180.0  # seconds: the first micro-batch of a new JVM is slow
POLL = 0.025  # seconds between two questions for the same edit: adds half of it to a figure


def own_settings(folder: Path) -> Settings:
    """Ports and a folder of the benchmark's own, so that nothing that runs is disturbed."""
    given = get_settings().model_dump(include={"cache_dir", "application", "contracts_dir"})
    ports = ("kafka_port", "kafka_controller_port", "redis_port", "api_port")
    own: dict[str, Any] = {
        "data_dir": folder,
        "api_workers": 1,
        **dict(zip(ports, free_ports(4), strict=True)),
    }
    return Settings(**given, **own)


@contextmanager
def flowing(producer: KafkaProducer, events: Sequence[Event], rate: float, first: int = 0) -> Iterator[None]:
    """Events flow at `rate` a second while the block runs; the days before `first` were sent already."""
    stop = threading.Event()

    def flow() -> None:
        for event in Pace(rate=rate).follow(multiply(events, 1000 + first, first)):
            if stop.is_set():
                return
            producer.send(EDITS.topic, key=event["event_id"].encode(), value=orjson.dumps(event))

    flowing = threading.Thread(target=flow)
    flowing.start()
    try:
        yield
    finally:
        stop.set()
        flowing.join()


def freshness(url: str, producer: KafkaProducer, model: Event, name: str) -> float:
    """Seconds from the acknowledgement of one marked edit to its first answer."""
    event = {**model, "event_id": name, "user": name}
    producer.send(EDITS.topic, key=name.encode(), value=orjson.dumps(event)).get(30)
    acknowledged = time.monotonic()
    with httpx.Client(base_url=url, timeout=10) as client:
        while time.monotonic() < acknowledged + PATIENCE:
            answer = client.get("/v1/views/edits_by_user", params={"user": name, **RANGE}).json()
            if answer["rows"][0]["measures"]["edits"] == 1:
                return time.monotonic() - acknowledged
            time.sleep(POLL)
    raise TimeoutError(f"{name} was acknowledged {PATIENCE:.0f} s ago and shows in no answer")


def sample(url: str, producer: KafkaProducer, model: Event, size: int, label: str) -> list[float]:
    """`size` measurements, three under way at a time."""
    names = [f"{label}-{number}-{os.getpid()}" for number in islice(count(), size)]
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda name: freshness(url, producer, model, name), names))


def measure(settings: Settings, rate: float, size: int, recompute: bool) -> None:
    events = edits(settings)
    with Platform(settings, ["kafka", "redis", "speed", "api"]):
        with KafkaAdminClient(**kafka_options(settings)) as admin:
            ensure_topic(admin, EDITS.topic, settings.topic_partitions)
        with (
            make_producer(settings) as bulk,
            KafkaProducer(**kafka_options(settings), acks="all") as probe,
            flowing(bulk, events, rate),
        ):
            sample(settings.api_url, probe, events[0], 5, "warm")
            time.sleep(10)
            figures = sample(settings.api_url, probe, events[0], size, "calm")
            row(f"freshness at {rate:.0f} events/s", percentiles(figures, 1000), "ms")
            if recompute:
                _while_recomputing(settings, probe, events[0], rate)


def _while_recomputing(settings: Settings, probe: KafkaProducer, model: Event, rate: float) -> None:
    command, log = job_command("batch_layer/job.py"), settings.logs_dir / "batch.log"
    figures: list[float] = []
    with running(command, log, settings.environment(), niceness=settings.batch_nice) as job:
        while job.poll() is None:
            figures += sample(settings.api_url, probe, model, 6, f"busy{len(figures)}")
    row(f"freshness at {rate:.0f} events/s during a recompute", percentiles(figures, 1000), "ms")
    if job.returncode:
        raise RuntimeError(f"the batch job ended with {job.returncode}; see {log}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--no-recompute", action="store_true")
    arguments = parser.parse_args()
    system()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        measure(own_settings(Path(folder)), arguments.rate, arguments.size, not arguments.no_recompute)


if __name__ == "__main__":
    main()
