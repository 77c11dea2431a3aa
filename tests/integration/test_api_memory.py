"""A real API process under many odd requests: it answers each of them, and does not grow."""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from conf.keys import admin_key
from conf.settings import Settings
from local import wait
from local.child import running
from local.tools import free_port
from tests.bad_records import bad_records
from tests.serving_kit import BOUND, edit

pytestmark = pytest.mark.timeout(240)
MEGABYTE = 1 << 20
EVENTS = f"/v1/events/{BOUND.source.name}"


def requests(count: int, seed: int, key: str) -> Iterator[dict[str, Any]]:
    """Questions and bodies, most of them at fault."""
    rng = random.Random(seed)
    views, values = (
        [*BOUND.views, "x" * 5000, "%00", "..%2f"],
        ["", "a", "é" * 500, "\x00\n:", "9" * 300, "-1"],
    )
    names = ["channel", "page", "user", "from", "to", "every", "countryIsoCode.null", "x" * 1000]
    bodies = [bad.raw or b"" for bad in bad_records(200, seed)]
    for number in range(count):
        if number % 10 == 0:
            yield {
                "method": "POST",
                "url": EVENTS,
                "content": rng.choice(bodies),
                "headers": {"X-Admin-Key": key},
            }
        asked = {name: rng.choice(values) + str(number) for name in rng.sample(names, rng.randrange(4))}
        method = rng.choice(["GET", "GET", "GET", "HEAD", "DELETE", "OPTIONS"])
        yield {"method": method, "url": f"/v1/views/{rng.choice(views)}", "params": asked}


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


def large_bodies() -> list[bytes]:
    return [
        b"[" * MEGABYTE,
        b" " * (4 * MEGABYTE + 1),
        json.dumps([edit(number, added="no", page=5, user=[]) for number in range(1000)]).encode(),
        json.dumps({f"name{number}": number for number in range(100_000)}).encode(),
        b"9" * MEGABYTE,
    ]


@pytest.fixture
def alone(tmp_path: Path) -> Settings:
    """An API without Kafka and Redis: what it keeps is its own."""
    return Settings(
        data_dir=tmp_path / "data", kafka_port=1, redis_port=2, api_port=free_port(), api_workers=1
    )


def test_odd_requests_are_all_answered_and_take_no_memory(alone: Settings, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with running([sys.executable, "-m", "serving_layer"], log, alone.environment()) as process:
        wait.for_http(f"{alone.api_url}/healthz")
        with httpx.Client(base_url=alone.api_url, timeout=20) as client:
            key = admin_key(alone)
            ask_all(client, requests(200, 1, key), key)
            before = resident(process.pid)
            ask_all(client, requests(1200, 2, key), key)
            assert resident(process.pid) - before < 32 * MEGABYTE
            assert client.get("/healthz").json() == {"alive": True}
    assert "Traceback" not in log.read_text()


def ask_all(client: httpx.Client, asked: Iterator[dict[str, Any]], key: str) -> None:
    for each in asked:
        answer = client.request(**each)
        assert answer.status_code < 500, (each["url"], answer.text)
    for body in large_bodies():
        answer = client.post(EVENTS, content=body, headers={"X-Admin-Key": key})
        assert answer.status_code in (400, 413, 422), answer.text
