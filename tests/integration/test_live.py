"""Live answers of a real API process over a real Redis: changes, a reconnect, a stop."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from bench.state import manifest_of, publish, speed_commands
from conf.settings import Settings
from core.folders import Folders
from core.layout import Layout
from local import wait
from local.child import running
from tests.serving_kit import BOUND, SEMANTICS, buckets_of, edit, fields_of, generation, lease, progress

VIEWS = list(BOUND.views.values())
BATCH = [edit(1), edit(2, isRobot=True)]
LIVE = "/v1/views/edits_by_user/live?user=mary"


def write(settings: Settings, client: Redis, *speed: Any, batch: int) -> None:
    """The speed state after micro-batch `batch`: these edits, in segment 1."""
    placed = [*((0, event) for event in BATCH), *((1, event) for event in speed)]
    fields = [(view, fields_of(view, placed)) for view in VIEWS]
    layout, done = Layout(settings.namespace, BOUND.source.name), progress(1, batch)
    for command in speed_commands(layout, generation(), done, lease(batch), fields):
        client.execute_command(*command)  # type: ignore[no-untyped-call]


def release(settings: Settings, version: int, *events: Any) -> None:
    folders = Folders(settings.data_dir, BOUND.source.name)
    made = manifest_of(BOUND.source.name, SEMANTICS, 1, version)
    publish(folders, made, [(view, buckets_of(view, events)) for view in VIEWS])


@contextmanager
def api(settings: Settings, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with running([sys.executable, "-m", "serving_layer"], log, settings.environment()) as process:
        wait.for_http(f"{settings.api_url}/healthz")
        yield process


@contextmanager
def listening(settings: Settings, last: str = "") -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
    with (
        httpx.Client(base_url=settings.api_url, timeout=20) as client,
        client.stream("GET", LIVE, headers={"Last-Event-ID": last}) as answer,
    ):
        assert answer.status_code == 200
        yield events(answer.iter_lines())


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and data of each answer."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line:
            if fields.get("event") == "answer":
                yield fields["id"], json.loads(fields["data"])
            fields = {}


def edits(told: dict[str, Any]) -> int:
    return int(told["rows"][0]["measures"]["edits"])


def test_a_listener_hears_of_events_publishes_and_doubts(
    settings: Settings, redis_client: Redis, tmp_path: Path
) -> None:
    release(settings, 1, *BATCH)
    write(settings, redis_client, edit(3), batch=7)
    with api(settings, tmp_path / "api.log"), listening(settings) as heard:
        identity, told = next(heard)
        assert (edits(told), told["complete"]) == (3, True)
        write(settings, redis_client, edit(3), edit(4), batch=8)
        assert edits(next(heard)[1]) == 4
        release(settings, 2, *BATCH, edit(9))
        _, told = next(heard)
        assert (edits(told), told["manifest"]["version"]) == (5, 2)
        redis_client.delete(Layout(settings.namespace, BOUND.source.name).of("g1", "lease"))
        _, told = next(heard)
        assert not told["complete"] and "its job is down" in told["reasons"][0]
        write(settings, redis_client, edit(3), edit(4), batch=8)
        newest, told = next(heard)
        assert told["complete"]
        # whichever process answers, it knows the answer by the same id
        for last, wanted in ((newest, None), (identity, newest)):
            for _ in range(4):
                with listening(settings, last) as again:
                    if wanted:
                        assert next(again)[0] == wanted
    assert "Traceback" not in (tmp_path / "api.log").read_text()


def test_a_stop_ends_streams_at_once_and_cleanly(
    settings: Settings, redis_client: Redis, tmp_path: Path
) -> None:
    release(settings, 1, *BATCH)
    write(settings, redis_client, batch=7)
    with (
        api(settings, tmp_path / "api.log") as process,
        listening(settings) as one,
        listening(settings) as two,
    ):
        assert next(one)[0] == next(two)[0]
        began = time.monotonic()
        process.terminate()
        assert next(one, None) is None and next(two, None) is None  # a body cut off would raise
        process.wait(10)
        assert time.monotonic() - began < 4
    log = (tmp_path / "api.log").read_text()
    assert "Traceback" not in log and "Cancel" not in log and "without completing" not in log
