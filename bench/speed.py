"""The speed layer alone: events a second when it catches up, and seconds of a micro-batch of a live stream.

Real edits, the day several times over with new ids, all views of the application. The figures are from the
job's own log, and from Redis.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
from kafka import KafkaAdminClient
from redis import Redis

from bench.freshness import flowing, own_settings
from bench.report import percentiles, row, system
from conf.clients import kafka_options, redis_options
from conf.definitions.wikipedia import EDITS
from conf.settings import Settings
from demo.dataset import edits, multiply
from demo.replay import make_producer
from local.platform import Platform
from local.spark_submit import job_command
from local.topics import ensure_topic

Line = dict[str, Any]


def _fill(settings: Settings, days: int) -> int:
    sent = 0
    with KafkaAdminClient(**kafka_options(settings)) as admin:
        ensure_topic(admin, EDITS.topic, settings.topic_partitions)
    with make_producer(settings) as producer:
        for event in multiply(edits(settings), days):
            producer.send(EDITS.topic, key=event["event_id"].encode(), value=orjson.dumps(event))
            sent += 1
        producer.flush()
    return sent


def _job(settings: Settings, log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            job_command("speed_layer/job.py", *arguments),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | settings.environment(),
        )


def _micro_batches(log: Path) -> list[Line]:
    lines = (line for line in log.read_text().splitlines() if line.startswith("{"))
    return [found for found in map(json.loads, lines) if found["event"] == "micro_batch"]


def _catch_up(settings: Settings, days: int) -> None:
    sent, log = _fill(settings, days), settings.logs_dir / "catch-up.log"
    job = _job(settings, log, "--until-caught-up")
    if job.wait():
        raise RuntimeError(f"the speed job ended with {job.returncode}; see {log}")
    batches = _micro_batches(log)
    _rate("catching up, the first micro-batch (cold)", batches[:1])
    _rate("catching up, after that", batches[1:])
    with Redis.from_url(settings.redis_address, **redis_options(settings)) as redis:
        used = int(redis.info("memory")["used_memory"])
    row("Redis for a million events, none of them published", f"{used / sent:,.0f}", "MB")


def _rate(what: str, batches: Iterable[Line]) -> None:
    found = list(batches)
    records, seconds = sum(b["records"] for b in found), sum(b["seconds"] for b in found)
    fields = sum(b["fields"] for b in found)
    row(
        what,
        f"{records / seconds:,.0f}",
        f"events/s ({records:,} events, {fields / records:.1f} fields each)",
    )


def _live(settings: Settings, rate: float, seconds: float, first: int) -> None:
    """Copies of what was sent already would be counted by nobody: the stream goes on at day `first`."""
    log = settings.logs_dir / "live.log"
    job = _job(settings, log)
    try:
        with make_producer(settings) as producer, flowing(producer, edits(settings), rate, first):
            time.sleep(seconds)
    finally:
        job.terminate()
        job.wait(60)
    batches = _micro_batches(log)
    settled = batches[len(batches) // 3 :]
    row(f"a micro-batch at {rate:.0f} events/s", percentiles([b["seconds"] for b in settled], 1000), "ms")
    row("  of", percentiles([b["records"] for b in settled]), "events")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=8, help="how often the day of 39,244 edits is sent")
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=60, help="of the live stream")
    arguments = parser.parse_args()
    system()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        settings = own_settings(Path(folder))
        with Platform(settings, ["kafka", "redis"]):
            _catch_up(settings, arguments.days)
            _live(settings, arguments.rate, arguments.seconds, arguments.days)


if __name__ == "__main__":
    main()
