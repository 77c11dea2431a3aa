"""Thousands of bad records among good ones, through a real log, archive, recompute, speed job and API."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import httpx
import pytest
from kafka import KafkaProducer
from pyspark.sql import SparkSession

from batch_layer.boundary import RedisSpeed
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from conf.clients import kafka_options
from conf.settings import Settings
from core.application import Application, BoundSource
from core.folders import Folders
from core.layout import Layout
from core.logs import Logger, get_logger
from core.manifest import Manifest
from local import wait
from local.child import running
from speed_layer.clients import RedisAddress
from speed_layer.log import KafkaLog
from speed_layer.speed_job import SpeedJob
from tests.bad_records import CONTRACT, bad_records, dumped, thing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LOG = get_logger("test")
VIEWS = """
from core import Count, Max, Source, Sum, View

THINGS = Source("things", contract="things", topic={topic!r})
VIEWS = [
    View("by_thing", THINGS, key=("thing",), bucket="1 day",
         measures={{"n": Count(), "amount": Sum("amount"), "price": Sum("price"), "ratio": Max("ratio")}}),
    View("all_of_it", THINGS, measures={{"n": Count(), "flags": Count("flag")}}),
]
"""
Expected = dict[str | None, Counter[str]]


@dataclass
class Stand:
    """One application on a topic of its own, and all that was sent to it: (partition, value) in order."""

    spark: SparkSession
    settings: Settings
    sent: list[tuple[int, bytes | None]]

    @property
    def bound(self) -> BoundSource:
        return Application.load(self.settings.application, self.settings.contracts_dir).source()

    def contract(self, text: str) -> None:
        self.settings.contracts_dir.mkdir(exist_ok=True)
        (self.settings.contracts_dir / "things.yaml").write_text(text)

    def send(self, values: Iterable[bytes | None]) -> None:
        """Copies of an event go to one partition, as the contract of a source asks for."""
        decode = self.bound.contract.decoder().decode
        placed = [(crc32(str(decode(value).values[0] or number).encode()) % 2, value)
                  for number, value in enumerate(values)]  # fmt: skip
        options = kafka_options(self.settings)
        with KafkaProducer(**options, acks="all", max_request_size=2 << 20) as producer:
            for partition, value in placed:
                producer.send(self.bound.source.topic, value, key=b"k", partition=partition)
        self.sent += placed

    def speed(self) -> Counter[str]:
        """Let the speed layer catch up; what its micro-batches say they counted and refused."""
        said, bound = StringIO(), self.bound
        log = KafkaLog(self.settings, bound.source.topic)
        address = RedisAddress.of(self.settings)
        logger = Logger("speed", stream=said)
        SpeedJob(self.spark, self.settings, bound, log, address, logger, until_caught_up=True).run()
        lines = [json.loads(line) for line in said.getvalue().splitlines()]
        names = ("records", "counted", "refused", "duplicates")
        batches = [line for line in lines if line["event"] == "micro_batch"]
        return Counter({name: sum(line[name] for line in batches) for name in names})

    def publish(self, force: bool = False) -> Manifest:
        bound = self.bound
        redis = RedisAddress.of(self.settings).connect()
        speed = RedisSpeed(redis, Layout(self.settings.namespace, bound.source.name), LOG)
        with redis, open_log(self.settings, bound.source.topic, LOG, seconds=10) as kafka:
            run = BatchRun(build_session("test"), self.settings, bound, kafka, speed, LOG)
            manifest = run.run(force)
        assert manifest is not None
        return manifest

    def expected(self) -> tuple[Counter[str], Expected]:
        """What becomes of the records, and the numbers of each key, by a loop over them."""
        contract, counts, keys = self.bound.contract, Counter[str](), Expected()
        seen = set[object]()
        for _, value in self.sent:
            values, reason = contract.decoder().decode(value)
            event = dict(zip(contract.types, values, strict=True))
            fate = "refused" if reason else "duplicates" if event["event_id"] in seen else "counted"
            counts[fate] += 1
            seen.add(event["event_id"])
            if fate == "counted":
                keys.setdefault(str(event["thing"]), Counter()).update(
                    n=1,
                    amount=int(str(event["amount"])),
                    cents=int(float(str(event["price"] or 0)) * 100 + 0.5),
                )
        return counts, keys

    @contextmanager
    def api(self, log: Path) -> Iterator[httpx.Client]:
        one = self.settings.model_copy(update={"api_workers": 1})
        with running([sys.executable, "-m", "serving_layer"], log, one.environment()):
            wait.for_http(f"{one.api_url}/healthz")
            with httpx.Client(base_url=one.api_url, timeout=30) as client:
                yield client


@pytest.fixture
def stand(
    spark: SparkSession,
    settings: Settings,
    redis_client: object,
    topic: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Stand:
    module = f"views_{uuid4().hex[:8]}"
    (tmp_path / f"{module}.py").write_text(
        VIEWS.format(topic=topic(partitions=2, max_message_bytes="2097152"))
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    changed = {
        "application": module, "contracts_dir": tmp_path / "contracts", "shards": 4, "trigger_interval": 0.05,
    }  # fmt: skip
    stand = Stand(spark, settings.model_copy(update=changed), [])
    stand.contract(CONTRACT)
    return stand


def mixed(bad: int, good: int, seed: int) -> list[bytes | None]:
    """Good events after every few bad records, to the last."""
    found: list[bytes | None] = []
    for number, record in enumerate(bad_records(bad, seed)):
        found.append(record.raw)
        if number % (bad // good) == 0:
            found.append(dumped(thing(number, event_id=f"good-{number}", price=None)))
    return found


def row(client: httpx.Client, view: str, **key: str) -> dict[str, Any]:
    answer = client.get(f"/v1/views/{view}", params=key)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["rows"][0]
    return found


def check(client: httpx.Client, keys: Expected, part: str) -> None:
    """Every key that fits into a URL, over HTTP: the numbers, and that they come from one layer alone."""
    for key, wanted in keys.items():
        if len(str(key)) > 10_000:
            continue
        found = row(client, "by_thing", thing=str(key))
        shown = found["measures"]
        assert (shown["n"], shown["amount"]) == (wanted["n"], wanted["amount"]), repr(key)[:80]
        assert round((shown["price"] or 0) * 100) == wanted["cents"], repr(key)[:80]
        assert found[part] == shown, repr(key)[:80]
    assert row(client, "all_of_it")["measures"]["n"] == sum(wanted["n"] for wanted in keys.values())


def odd(keys: Iterable[str | None]) -> Sequence[str]:
    return [str(key) for key in keys if not str(key).isalnum()]


def test_ten_thousand_bad_records_stop_nothing_and_are_all_accounted_for(
    stand: Stand, tmp_path: Path
) -> None:
    stand.send(mixed(bad=10_008, good=2_000, seed=3))
    counts, keys = stand.expected()
    assert (
        len(odd(keys)) > 200
        and any("\n" in key for key in odd(keys))
        and any(":" in key for key in odd(keys))
    )
    told = stand.speed()
    assert told == {"records": len(stand.sent), **counts}
    with stand.api(tmp_path / "before.log") as client:
        check(client, keys, "speed")
    manifest = stand.publish()
    assert manifest.counts["read"] == len(stand.sent)
    assert {fate: manifest.counts[fate] for fate in counts} == counts
    decode = stand.bound.contract.decoder().decode
    assert quarantine(stand) == Counter(decode(value).reason for _, value in stand.sent) - Counter(
        {None: counts["counted"] + counts["duplicates"]}
    )
    stand.speed()
    with stand.api(tmp_path / "after.log") as client:
        check(client, keys, "batch")


def quarantine(stand: Stand) -> Counter[str | None]:
    """Reasons in the master dataset, and how often each."""
    master = Folders(stand.settings.data_dir, stand.bound.source.name).master
    rows = stand.spark.read.format("delta").load(str(master)).where("reason IS NOT NULL").select("reason")
    return Counter(found[0] for found in rows.collect())
