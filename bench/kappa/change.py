"""A changed definition, from the order to the first answer: what each architecture does for it.

Lambda computes a candidate over the master dataset, promotes it, and its speed job begins at that boundary.
Kappa replays the log from its start: in a second speed job beside the first (a namespace of its own in the
same Redis), or in place, by a restart of the one that runs.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from redis import Redis

from bench.kappa import changed
from bench.kappa.usage import Meter, Phase, redis_memory
from bench.kappa.watch import Reader, Seen, summary
from conf.clients import redis_options
from conf.settings import Settings
from core.errors import LambdaError
from demo.probes import Probe
from demo.truth import Truth
from demo.wikipedia import WIKIPEDIA
from local import wait
from local.child import running
from local.platform import Platform
from local.spark_submit import job_command
from local.tools import free_port

__all__ = ["WAYS", "Change", "ChangeFailed", "Changed", "change", "forget", "way_settings"]

APPLICATION = "bench.kappa.changed"
Say = Callable[[str], None]
PATIENCE = 900.0  # seconds until the new definitions answer


class ChangeFailed(LambdaError):
    """A step of the change ended with an error; the text says where to look."""


@dataclass
class Changed:
    """One change: its steps in seconds, what it used, what readers saw, and what Redis held then in bytes."""

    way: str
    steps: dict[str, float] = field(default_factory=dict)
    phase: Phase = field(default_factory=Phase)
    seen: Seen | None = None
    redis: int = 0


@dataclass(frozen=True)
class Change:
    """On a running platform. `settings` are those of the new definitions, whose API has a port of its own."""

    platform: Platform
    settings: Settings
    say: Say
    steps: dict[str, float]

    @contextmanager
    def computed_and_promoted(self) -> Iterator[None]:
        """Lambda: the candidate, then the restart."""
        self._candidate("build")
        self._candidate("promote")
        with self.in_place():
            yield

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The speed job is stopped and started with the new definitions."""
        self.say("restarting the speed job with the new definitions, and an API beside the old one")
        environment, logs = self.settings.environment(), self.settings.logs_dir
        self.platform.stop("speed")
        with (
            running(job_command("speed_layer/job.py"), logs / "speed-new.log", environment),
            running([sys.executable, "-m", "serving_layer"], logs / "api-new.log", environment),
        ):
            yield

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Kappa: a second speed job and a second API; the first ones go on as if nothing happened."""
        self.say("starting a second speed job and a second API with the new definitions")
        with Platform(self.settings, ["speed", "api"], say=self.say):
            yield
        with Redis.from_url(self.settings.redis_address, **redis_options(self.settings)) as client:
            forget(client, self.settings.namespace)

    def _candidate(self, command: str) -> None:
        log, began = self.settings.logs_dir / "candidate.log", time.monotonic()
        self.say(f"a candidate of the new definitions: {command}")
        with running(
            job_command("batch_layer/candidate.py", command), log, self.settings.environment(), grace=30
        ) as job:
            status = job.wait()
        if status:
            raise ChangeFailed(f"candidate {command} ended with {status}; see {log}")
        self.steps[command] = time.monotonic() - began


WAYS: Mapping[str, Callable[[Change], AbstractContextManager[None]]] = {
    "computed and promoted": Change.computed_and_promoted,
    "beside": Change.beside,
    "in place": Change.in_place,
}


def way_settings(settings: Settings, way: str) -> Settings:
    """Settings of the new definitions: another API, and beside the old ones another namespace and folder."""
    new: dict[str, Any] = {"application": APPLICATION, "api_port": free_port()}
    if way == "beside":
        new |= {
            "namespace": f"{settings.namespace}-next",
            "data_dir": settings.data_dir / "next",
            "kafka_bootstrap": settings.bootstrap,
            "redis_url": settings.redis_address,
        }
    return settings.model_copy(update=new)


def forget(client: Redis, namespace: str) -> None:
    """Delete a namespace whose speed job has ended."""
    found = list(client.scan_iter(f"{namespace}:*", count=1000))
    for first in range(0, len(found), 1000):
        client.unlink(*found[first : first + 1000])


def change(
    platform: Platform, way: str, probe: Probe, truth: Truth, since: float, meter: Meter, say: Say
) -> Changed:
    """Change the definitions that way, and wait until readers have moved. `since` as a `Reader` has it."""
    settings, made = way_settings(platform.settings, way), Changed(way)
    reader = _reader(platform.settings, settings, probe, truth, since)
    with (
        meter.phase() as made.phase,
        reader.reading(),
        WAYS[way](Change(platform, settings, say, made.steps)),
    ):
        wait.until(lambda: None if reader.moved.is_set() else reader.last(), "readers to move", PATIENCE)
        made.redis = redis_memory(settings)
    made.seen = summary(reader.rounds)
    return made


def _reader(old: Settings, new: Settings, probe: Probe, truth: Truth, since: float) -> Reader:
    start, end = (datetime.fromisoformat(text) for text in (probe.start, probe.end))
    facts = truth.answer(probe.key, changed.counts, start, end)
    return Reader(old.api_url, new.api_url, probe, WIKIPEDIA.oracle.facts(probe, truth), facts, since)
