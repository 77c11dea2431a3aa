"""The API as a process, with real Redis and Kafka, over an index and a speed state made by hand."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaConsumer, TopicPartition
from redis import Redis

from bench.state import manifest_of, publish, speed_commands
from conf.clients import kafka_options
from conf.keys import admin_key
from conf.settings import Settings
from core.folders import Folders
from core.layout import Layout
from local import wait
from local.child import running
from tests.serving_kit import BOUND, SEMANTICS, buckets_of, edit, fields_of, generation, lease, progress

VIEWS = list(BOUND.views.values())
BATCH, SPEED = [edit(1), edit(2, isRobot=True)], [edit(3), edit(4, page="Bob")]
USER = "/v1/views/edits_by_user?user=mary&from=2015-09-12&to=2015-09-13"


@contextmanager
def api(settings: Settings, log: Path) -> Iterator[httpx.Client]:
    with running([sys.executable, "-m", "serving_layer"], log, settings.environment()):
        wait.for_http(f"{settings.api_url}/healthz")
        with httpx.Client(base_url=settings.api_url, timeout=20) as client:
            yield client


def fill(settings: Settings, client: "Redis", boundary: int = 1) -> None:
    folders = Folders(settings.data_dir, BOUND.source.name)
    manifest = manifest_of(BOUND.source.name, SEMANTICS, boundary)
    publish(folders, manifest, [(view, buckets_of(view, BATCH)) for view in VIEWS])
    placed = [*((0, event) for event in BATCH), *((1, event) for event in SPEED)]
    layout = Layout(settings.namespace, BOUND.source.name)
    fields = [(view, fields_of(view, placed)) for view in VIEWS]
    for command in speed_commands(layout, generation(), progress(1), lease(), fields):
        client.execute_command(*command)  # type: ignore[no-untyped-call]


def eventually(look: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_answers_merge_a_real_index_and_a_real_redis(
    settings: Settings, redis_client: "Redis", tmp_path: Path
) -> None:
    fill(settings, redis_client)
    with api(settings, tmp_path / "api.log") as client:
        told = client.get(USER).json()
        row = told["rows"][0]
        assert (row["batch"]["edits"], row["speed"]["edits"], row["measures"]["edits"]) == (2, 2, 4)
        assert told["complete"], told["reasons"]
        folders = Folders(settings.data_dir, BOUND.source.name)
        newer = manifest_of(BOUND.source.name, SEMANTICS, 1, version=2)
        publish(folders, newer, [(view, buckets_of(view, [*BATCH, edit(9)])) for view in VIEWS])
        eventually(lambda: client.get(USER).json()["manifest"]["version"] == 2)
        for _ in range(20):  # whichever process answers
            assert client.get(USER).json()["rows"][0]["measures"]["edits"] in (4, 5)
        text = client.get("/metrics").text
        assert 'lambda_answers_total{complete="true",view="edits_by_user"}' in text


def test_a_paused_redis_delays_no_answer_for_long(
    settings: Settings, redis_client: "Redis", tmp_path: Path
) -> None:
    fill(settings, redis_client)
    one = settings.model_copy(update={"api_workers": 1})
    pid = int(redis_client.info("server")["process_id"])
    with api(one, tmp_path / "api.log") as client:
        assert client.get(USER).json()["complete"]
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            told = [client.get(USER).json() for _ in range(20)]
            assert time.monotonic() - began < 2
        finally:
            os.kill(pid, signal.SIGCONT)
        assert not any(each["complete"] for each in told)
        assert {each["rows"][0]["measures"]["edits"] for each in told} == {2}
        assert "is away" in told[-1]["reasons"][0]
        eventually(lambda: bool(client.get(USER).json()["complete"]))


def test_a_taken_port_and_a_stop(settings: Settings, tmp_path: Path) -> None:
    with api(settings, tmp_path / "api.log"):
        second = subprocess.run(
            [sys.executable, "-m", "serving_layer"],
            env={**os.environ, **settings.environment()}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert "LAMBDA_API_PORT" in second.stderr and "Traceback" not in second.stderr
    assert not list(settings.run_dir.glob("metrics-*"))
    assert "Traceback" not in (tmp_path / "api.log").read_text()


@contextmanager
def api_for(
    topic: str, settings: Settings, tmp_path: Path, patch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """An API whose source has a topic of the test's own."""
    (tmp_path / "own_views.py").write_text(
        "from conf.definitions import wikipedia\nfrom dataclasses import replace\n"
        f"EDITS = replace(wikipedia.EDITS, topic={topic!r})\n"
        "VIEWS = [replace(view, source=EDITS) for view in wikipedia.VIEWS]\n"
    )
    patch.setenv("PYTHONPATH", str(tmp_path))
    with api(settings.model_copy(update={"application": "own_views"}), tmp_path / "api.log") as client:
        client.headers["X-Admin-Key"] = admin_key(settings)
        yield client


def test_an_accepted_event_is_in_the_log(
    settings: Settings, topic: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = topic(partitions=2)
    with api_for(name, settings, tmp_path, monkeypatch) as client:
        answer = client.post(f"/v1/events/{BOUND.source.name}", json=[edit(number) for number in range(10)])
        assert answer.status_code == 202, answer.text
        again = client.post(f"/v1/events/{BOUND.source.name}", json=edit(3))
        assert again.json()["positions"][0]["partition"] == answer.json()["positions"][3]["partition"]
        eventually(
            lambda: sum((client.get("/v1/status").json()["sources"][0]["log"]["ends"] or {}).values()) == 11
        )
    found = {}
    with KafkaConsumer(**kafka_options(settings), consumer_timeout_ms=5000) as consumer:
        consumer.assign([TopicPartition(name, 0), TopicPartition(name, 1)])
        consumer.seek_to_beginning()
        for record in consumer:
            found[(record.partition, record.offset)] = json.loads(record.value)
            if len(found) == 11:
                break
    for place in answer.json()["positions"]:
        assert found[(place["partition"], place["offset"])]["event_id"] == place["event_id"]


@pytest.mark.parametrize("configs", [{"cleanup_policy": "compact"}, None])
def test_a_topic_that_is_no_log_is_refused(
    settings: Settings, topic: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    configs: dict[str, str] | None,
) -> None:  # fmt: skip
    name = topic(**configs) if configs else "test-absent"
    with api_for(name, settings, tmp_path, monkeypatch) as client:
        answer = client.post(f"/v1/events/{BOUND.source.name}", json=edit(1))
        assert answer.status_code == 409, answer.text
        assert ("cleanup.policy" if configs else "there is no topic") in answer.json()["detail"]


def test_kafka_away_is_told_in_bounded_time(settings: Settings, tmp_path: Path) -> None:
    away = replace_port(settings)
    with api(away, tmp_path / "api.log") as client:
        began = time.monotonic()
        key = {"X-Admin-Key": admin_key(settings)}
        answer: Any = client.post(f"/v1/events/{BOUND.source.name}", json=edit(1), headers=key)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert time.monotonic() - began < 15
        began = time.monotonic()
        assert client.get("/v1/status").json()["sources"][0]["reasons"]
        assert client.get("/readyz").json()["missing"]
        assert time.monotonic() - began < 4


def replace_port(settings: Settings) -> Settings:
    return settings.model_copy(update={"kafka_port": 1, "redis_port": 2})
