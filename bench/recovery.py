"""Seconds to fresh answers after a process was killed or Redis was emptied, and a publish as readers see it.

The whole real day lies in the log, none of it published: the most that a rebuild has to read.
"""

import argparse
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from kafka import KafkaAdminClient

from bench.freshness import own_settings
from bench.load import Load, drive
from bench.report import percentiles, row, system
from conf.clients import kafka_options
from conf.definitions.wikipedia import EDITS
from conf.settings import Settings
from core.folders import Folders
from demo.dataset import edits, multiply
from demo.replay import make_producer, replay
from demo.stage import Stage
from demo.wikipedia import WIKIPEDIA
from local.platform import Platform
from local.topics import ensure_topic

PATIENCE = 300.0  # seconds
QUESTION = "/v1/views/edits_by_channel?channel=%23en.wikipedia"
AROUND = (1.0, 3.0)  # seconds before and after the pointer moves


def measure(settings: Settings, rate: float) -> None:
    with Platform(settings, ["kafka", "redis", "speed", "api"]) as platform:
        stage = Stage(settings, WIKIPEDIA)
        sent = _fill(settings)
        stage.settle(time.time(), PATIENCE)
        _recovered(stage, "speed job killed (SIGKILL)", lambda: platform.kill("speed"))
        _recovered(stage, f"Redis emptied, {sent:,} events unpublished", lambda: _empty_redis(platform))
        row(
            "all API workers killed (SIGKILL), until the next answer", f"{_workers_killed(platform):.1f}", "s"
        )
        _publish(stage, rate, "first publish")
        _fill(settings, day=1)
        stage.settle(time.time(), PATIENCE)
        _publish(stage, rate, "next publish")


def _fill(settings: Settings, day: int = 0) -> int:
    """Sends the edits of one day; how many they are."""
    with KafkaAdminClient(**kafka_options(settings)) as admin:
        ensure_topic(admin, EDITS.topic, settings.topic_partitions)
    with make_producer(settings) as producer:
        return replay(multiply(edits(settings), day + 1, day), producer, EDITS.topic).sent


def _recovered(stage: Stage, what: str, strike: Callable[[], None]) -> None:
    """Strike; how long it takes until an answer is complete as of a moment after the strike's begin."""
    began = time.time()
    strike()
    row(f"{what}, until fresh answers", f"{stage.settle(began, PATIENCE):.1f}", "s")


def _empty_redis(platform: Platform) -> None:
    platform.stop("redis")
    shutil.rmtree(platform.settings.data_dir / "redis")
    platform.start("redis")


def _workers_killed(platform: Platform) -> float:
    """All workers at once; the process that looks after them starts others. Seconds until an answer."""
    began = time.monotonic()
    for worker in _below(platform.status()["api"].pid):
        if b"spawn_main" in Path(f"/proc/{worker}/cmdline").read_bytes():
            os.kill(worker, signal.SIGKILL)
    while not _answers(platform.settings.api_url):
        time.sleep(0.02)
    return time.monotonic() - began


def _below(process: int) -> list[int]:
    """A process's children and theirs."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return children + [each for child in children for each in _below(child)]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url + QUESTION, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _publish(stage: Stage, rate: float, kind: str) -> None:
    """Readers ask at a steady rate: with nothing else going on, while the batch job runs, as readers move."""
    settings = stage.settings
    calm = drive("127.0.0.1", settings.api_port, lambda _: QUESTION, rate, 10)
    with _driven(settings, rate) as load:
        took = stage.publish()
        moved = _pointer_time(settings)
        time.sleep(AROUND[1])
    start, end = moved - AROUND[0], moved + AROUND[1]
    row(f"{kind}, {took:.0f} s of batch job, {rate:.0f} requests/s", f"{calm.failed + load.failed}", "failed")
    row("  before it", percentiles(calm.seconds, 1000), "ms")
    row("  while the batch job runs, readers not moving", percentiles(load.between(0, start), 1000), "ms")
    row("  from 1 s before readers move to 3 s after", percentiles(load.between(start, end), 1000), "ms")


@contextmanager
def _driven(settings: Settings, rate: float) -> Iterator[Load]:
    """Load while the block runs; what came of it is there after the block."""
    load, stop = Load(), threading.Event()

    def run() -> None:
        while not stop.is_set():
            load.add(drive("127.0.0.1", settings.api_port, lambda _: QUESTION, rate, 2))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield load
    finally:
        stop.set()
        thread.join()


def _pointer_time(settings: Settings) -> float:
    """When the newest pointer was written."""
    folder = Folders(settings.data_dir, EDITS.name).publications().pointers.folder
    return max(path.stat().st_mtime for path in folder.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=100)
    options = parser.parse_args()
    system()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        measure(own_settings(Path(folder)).model_copy(update={"api_workers": 2}), options.rate)


if __name__ == "__main__":
    main()
