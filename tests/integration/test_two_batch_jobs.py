"""Two batch jobs at once, as processes: the second is refused, the first publishes as if it were alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from redis import Redis

from conf.clients import kafka_options
from conf.settings import ROOT, Settings
from core.folders import Folders
from core.manifest import Manifest
from demo.dataset import edits

JOB = [sys.executable, "-m", "local.spark_submit", "batch_layer/job.py"]
APPLICATION = """
from core import Count, Source, View

EDITS = Source("edits", contract="wikipedia_edits", topic="{topic}")
VIEWS = [View("robots", EDITS, key=("channel",), where="isRobot", measures={{"edits": Count()}})]
"""


@pytest.fixture
def environment(tmp_path: Path, settings: Settings, topic: Callable[..., str]) -> Mapping[str, str]:
    """Of a platform whose log has a hundred edits."""
    name = topic(partitions=2)
    (tmp_path / "two_jobs_views.py").write_text(APPLICATION.format(topic=name))
    with KafkaProducer(**kafka_options(settings), acks="all") as producer:
        for place, event in enumerate(edits(settings)[:100]):
            producer.send(name, json.dumps(event).encode(), partition=place % 2)
    chosen = settings.model_copy(update={"application": "two_jobs_views"})
    return os.environ | chosen.environment() | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}


def job(environment: Mapping[str, str], *arguments: str) -> tuple[int, list[Any]]:
    done = subprocess.run(
        [*JOB, *arguments], env=dict(environment), capture_output=True, text=True, check=False, timeout=240
    )
    return done.returncode, events(done.stdout)


def events(log: str) -> list[Any]:
    """What was logged: spark-submit sends all that its Python writes to its own standard output."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def wait_for(log: Path, event: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 200
    while f'"event": "{event}"' not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_the_second_batch_job_is_refused_and_nothing_is_damaged(
    environment: Mapping[str, str], settings: Settings, tmp_path: Path, redis_client: Redis
) -> None:
    log = tmp_path / "first.log"
    with log.open("wb") as output:
        # a group of its own, so that the JVM and its Python stand still together
        first = subprocess.Popen(
            JOB, env=dict(environment), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(log, "recompute_began", first)
        os.killpg(first.pid, signal.SIGSTOP)
        status, lines = job(environment)
        (failed,) = [line for line in lines if line["event"] == "batch_failed"]
        assert status == 1 and failed["error"] == "LeaseHeld"
        assert "the batch job of edits is running already, as process" in failed["reason"]
        assert published(settings) is None
        os.killpg(first.pid, signal.SIGCONT)
        assert first.wait(200) == 0
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
    manifest = published(settings)
    assert manifest and manifest.version == 1 and manifest.counts["counted"] == 100
    status, lines = job(environment, "--incremental", "--force")
    again = published(settings)
    assert status == 0 and again and (again.version, again.mode) == (2, "incremental")
    assert (
        again.counts == manifest.counts and again.views["robots"]["rows"] == manifest.views["robots"]["rows"]
    )


def published(settings: Settings) -> Manifest | None:
    return Folders(settings.data_dir, "edits").publications().resolve()
