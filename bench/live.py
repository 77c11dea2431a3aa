"""Live answers: from the acknowledgement by Kafka to the new answer being at the listener.

Real edits flow at a fixed rate; `--listeners` connections listen to one API process. Some listen to users of
whom one edit is sent each, and that is timed; all others to channels, pages, users, countries and the whole.
Aim: p95 at most 2.5 s at 1,000 events a second with 1,000 listeners.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

import orjson
from kafka import KafkaAdminClient, KafkaProducer

from bench.freshness import flowing, own_settings, sample
from bench.report import percentiles, row, system
from bench.serving import usage
from conf.clients import kafka_options
from conf.definitions.wikipedia import EDITS
from conf.settings import Settings
from demo.dataset import Event, edits
from demo.replay import make_producer
from local.platform import Platform
from local.topics import ensure_topic
from serving_layer.file_limit import raise_file_limit

PATIENCE = 60.0  # seconds for one edit to arrive
SETTLE = 5.0  # seconds from the last connection to the first timed edit
GAP = 0.25  # seconds between two timed edits


@dataclass
class Room:
    """What the listeners heard: when each name's edit came, and how much came in all."""

    heard: dict[str, "asyncio.Future[float]"] = field(default_factory=dict)
    connected: int = 0
    answers: int = 0
    bytes: int = 0
    lost: int = 0


async def listen(settings: Settings, path: str, room: Room, ready: asyncio.Semaphore, name: str = "") -> None:
    """Read one stream to its end. For a timed `name`, note when its edit is in an answer."""
    async with ready:
        reader, writer = await asyncio.open_connection(settings.api_host, settings.api_port, limit=1 << 24)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        await reader.readuntil(b"retry: ")
        room.connected += 1
    with suppress(asyncio.CancelledError):
        while line := await reader.readline():
            room.bytes += len(line)
            if line.startswith(b"data: ") and b'"rows"' in line:
                room.answers += 1
                if name and b'"edits":1' in line and not room.heard[name].done():
                    room.heard[name].set_result(time.monotonic())
        room.lost += 1
    writer.close()


def questions(events: Sequence[Event]) -> Iterator[str]:
    """Paths of questions about all of time, as many people might ask: few are about what always changes."""
    chance = random.Random(3)
    while True:
        one = chance.choice(events)
        kind = chance.choices(["page", "user", "channel", "country", "wiki"], [40, 35, 15, 5, 5])[0]
        view, names = {
            "page": ("edits_by_page", ("channel", "page")),
            "user": ("edits_by_user", ("user",)),
            "channel": ("edits_by_channel", ("channel",)),
            "country": ("edits_by_country", ("countryIsoCode",)),
            "wiki": ("wiki", ()),
        }[kind]
        if all(one[name] is not None for name in names):
            yield _path(view, {name: one[name] for name in names})


def _path(view: str, key: dict[str, str]) -> str:
    return f"/v1/views/{view}/live?{urlencode(key)}"


async def timed(
    settings: Settings, producer: KafkaProducer, events: Sequence[Event], size: int, listeners: int
) -> None:
    """Connect all listeners, let them settle, then send `size` edits and time each."""
    names, room = [f"live-{number}-{os.getpid()}" for number in range(size)], Room()
    room.heard = {name: asyncio.get_running_loop().create_future() for name in names}
    ready = asyncio.Semaphore(20)
    paths = [(_path("edits_by_user", {"user": name}), name) for name in names]
    paths += [(path, "") for path in islice(questions(events), listeners - size)]
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(listen(settings, path, room, ready, name)) for path, name in paths]
        while room.connected < len(paths):
            await asyncio.sleep(0.1)
        row(f"{listeners} listeners connected after", f"{time.monotonic() - began:.1f}", "s")
        await asyncio.sleep(SETTLE)
        began, before, answers, size_before = time.monotonic(), usage(settings), room.answers, room.bytes
        figures = [await _one(producer, events[0], name, room) for name in names]
        took, after = time.monotonic() - began, usage(settings)
        for task in tasks:
            task.cancel()
    row("change in the log to event at the listener", percentiles(figures, 1000), "ms")
    rates = (room.answers - answers) / took, (room.bytes - size_before) / took / 2**20
    row("  sent to all listeners", f"{rates[0]:.0f} answers/s, {rates[1]:.1f} MB/s; {room.lost} lost")
    row(
        "  CPU and memory of the API process",
        f"{(after[1] - before[1]) / took:.0%} of a core, {after[0]:.0f} MB",
    )


async def _one(producer: KafkaProducer, model: Event, name: str, room: Room) -> float:
    event = {**model, "event_id": name, "user": name}
    sent = producer.send(EDITS.topic, key=name.encode(), value=orjson.dumps(event))
    await asyncio.to_thread(sent.get, 30)
    acknowledged = time.monotonic()
    heard = await asyncio.wait_for(room.heard[name], PATIENCE)
    await asyncio.sleep(GAP)
    return max(0.0, heard - acknowledged)


def measure(settings: Settings, rate: float, size: int, listeners: int) -> None:
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
            row("load", f"{rate:.0f} events/s, {listeners} listeners, one API process")
            asyncio.run(timed(settings, probe, events, size, listeners))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--size", type=int, default=100, help="edits that are timed")
    parser.add_argument("--listeners", type=int, default=1000)
    options = parser.parse_args()
    system()
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        measure(own_settings(Path(folder)), options.rate, options.size, options.listeners)
    return 0


if __name__ == "__main__":
    sys.exit(main())
