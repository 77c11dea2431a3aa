"""One platform that is struck again and again, under a stream of edits and an auditor; a row a fault."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from kafka import KafkaAdminClient
from redis import Redis

from conf.clients import kafka_options, redis_options
from conf.settings import Settings
from core.faults import POINTS, Action, plant, struck, struck_at
from core.folders import Folders
from demo.dataset import edits, multiply
from demo.wikipedia import ask
from local.child import running
from local.platform import Platform
from local.spark_submit import job_command
from local.topics import ensure_topic
from local.wait import until
from tests.audit.auditor import Auditor, Tally
from tests.audit.ledger import Ledger
from tests.audit.stream import Stream
from tests.audit.views import EDITS
from tests.e2e.warm import drive_command, serving

__all__ = ["AFTER_A_PUBLISH", "PATIENCE", "PROBES", "Row", "Trial", "settings_of"]

RATE = 20.0  # events a second
DAYS = 20  # of them, so that the stream outlasts the suite on a slow machine too
PROBES = [
    ask("wiki", {}),
    ask("wiki", {}, "2015-09-12T00:10:00Z", "2015-09-12T00:20:00Z"),
    ask("edits_by_channel", {"channel": "#en.wikipedia"}),
    ask("edits_by_channel", {"channel": "#vi.wikipedia"}),
    ask("robot_edits", {"channel": "#vi.wikipedia"}),
]
PATIENCE = 240.0  # on a machine that does other work as well
SCRIPTS = {"batch": "batch_layer/job.py", "speed": "speed_layer/job.py"}
AFTER_A_PUBLISH = ("speed.floor.after", "speed.expiry.before", "speed.expiry.within")


def settings_of(folder: Path, ports: Sequence[int]) -> Settings:
    """Cuts that come quickly, few shards and views, JVMs that start quickly: a publish takes seconds."""
    kafka, controller, redis, api = ports
    options = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
    return Settings(
        data_dir=folder, faults_dir=folder / "faults", application="tests.audit.views",
        kafka_port=kafka, kafka_controller_port=controller, redis_port=redis, api_port=api,
        cut_interval=3, shards=4, trigger_interval=1, versions_kept=3,
        spark_driver_memory="1g", batch_driver_memory="1g", batch_java_options=options, batch_nice=0,
    )  # fmt: skip


@dataclass
class Row:
    """A fault: from `since` (seconds since 1970) it counts how long it takes until answers are fresh."""

    fault: str
    tally: Tally
    since: float = field(default_factory=time.time)
    recovery: float | None = None

    def text(self) -> str:
        tally = self.tally
        recovery = "-" if self.recovery is None else f"{self.recovery:.1f}"
        cells = [self.fault, tally.judged, len(tally.wrong), tally.incomplete, tally.unanswered, recovery]
        return "| " + " | ".join(map(str, [*cells, f"{1000 * tally.p99():.0f}"])) + " |"


HEAD = (
    "| fault | judged | wrong | incomplete | no answer | recovery s | p99 ms |\n|---|---|---|---|---|---|---|"
)


class Trial:
    """Runs while the block does."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.rows = settings, list[Row]()
        self.folders = Folders(settings.data_dir, EDITS.name)
        self.platform = Platform(settings, ["kafka", "redis", "speed", "api"])
        speed = self.platform.processes["speed"]
        self.platform.processes["speed"] = replace(speed, command=tuple(self._driver("speed")))
        self.ledger = Ledger(PROBES)
        self.auditor = Auditor(settings.api_url, self.ledger)
        self._stack, self._jvms = ExitStack(), ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._jvms)  # ends when no driver is left
            stack.enter_context(self.platform)
            self.admin = KafkaAdminClient(**kafka_options(self.settings))
            stack.callback(self.admin.close)
            ensure_topic(self.admin, EDITS.topic, 2)
            events = multiply(edits(self.settings), DAYS)
            self.stream = stack.enter_context(Stream(self.settings, EDITS.topic, events, self.ledger, RATE))
            stack.enter_context(self.auditor)
            self.redis = stack.enter_context(
                Redis.from_url(self.settings.redis_address, **redis_options(self.settings))
            )
            assert self.auditor.wait_fresh(time.time(), PATIENCE), "no answer was complete"
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def fault(self, name: str, *, recovers: bool = True) -> Iterator[Row]:
        """A row of the table: the block strikes. Afterwards answers must become fresh, and none is wrong."""
        row = Row(name, self.auditor.begin())
        self.rows.append(row)
        yield row
        if recovers:
            row.recovery = self.auditor.wait_fresh(row.since, PATIENCE)
            self.stand_still()
            self.stream.paused.clear()
        self.auditor.begin()  # what comes between two faults is of neither
        self.write()
        assert not row.tally.wrong, f"{len(row.tally.wrong)} wrong answers, the first: {row.tally.wrong[0]}"
        assert row.tally.judged, "the auditor got no answer"
        assert not recovers or row.recovery is not None, f"not fresh: {dict(row.tally.reasons)}"

    def stand_still(self) -> None:
        """Pause the stream until every question was answered with all of it.

        What must be in an answer is then what may be in it: not one event too many goes unseen.
        """
        assert self.stream.settle(PATIENCE), "Kafka does not acknowledge"
        self.auditor.wait_fresh(time.time(), PATIENCE)

    def write(self) -> Path:
        """The table as a file."""
        path = self.settings.data_dir / "faults.md"
        path.write_text("\n".join([HEAD, *(row.text() for row in self.rows)]) + "\n")
        return path

    def plant(self, point: str, action: Action) -> None:
        assert self.settings.faults_dir is not None
        plant(self.settings.faults_dir, point, action)

    def wait_struck(self, point: str, seconds: float = PATIENCE) -> float:
        """When the fault planted at `point` happened."""
        folder = self.settings.faults_dir
        assert folder is not None
        self.wait(lambda: struck(folder, point), f"a process at {point}", seconds)
        return struck_at(folder, point).stat().st_mtime

    def warm(self, process: str) -> None:
        """From their next start on drivers of a layer die alone: they share a JVM that lives on."""
        if not self._jvm(process).exists():
            self._jvms.enter_context(serving(self.settings, self._jvm(process), SCRIPTS[process]))

    def _jvm(self, process: str) -> Path:
        return self.settings.run_dir / f"{process}-jvm"

    def _driver(self, process: str, *arguments: str) -> list[str]:
        return drive_command(self._jvm(process), SCRIPTS[process], *arguments)

    @contextmanager
    def job(self, command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
        """A batch job, which ends with the block."""
        with running(command, self.platform.log("batch"), self.settings.environment()) as process:
            yield process

    def publish(self, *arguments: str) -> int:
        """One run of the batch job; its exit status."""
        self.warm("batch")
        with self.job(self._driver("batch", *arguments)) as job:
            return job.wait(PATIENCE)

    def let_segments_go(self) -> None:
        """A publish; the first one of all lets none go, for the floor is the lower of two boundaries."""
        if not self.version():
            assert self.publish() == 0
        assert self.publish() == 0

    def kill_at(self, point: str, *arguments: str) -> float:
        """SIGKILL to a process, and to all that it started, while it stands at `point`; when.

        For a point of the batch job one is started, with `arguments`.
        """
        self.plant(point, Action.HOLD)
        return _KILLS[POINTS[point].process](self, point, *arguments)

    def _kill_batch(self, point: str, *arguments: str) -> float:
        with self.job(job_command(SCRIPTS["batch"], *arguments)) as job:
            self.wait_struck(point)
            killed = time.time()
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
        return killed

    def _kill_speed(self, point: str) -> float:
        assert not self._jvm("speed").exists(), "SIGKILL would leave the JVM alive"
        if point in AFTER_A_PUBLISH:
            self.let_segments_go()
        self.wait_struck(point)
        killed = time.time()
        self.platform.kill("speed")
        return killed

    def _kill_api(self, point: str) -> float:
        """One worker, and not the process that looks after all of them."""
        killed = self.wait_struck(point)
        assert self.settings.faults_dir is not None
        os.kill(int(struck_at(self.settings.faults_dir, point).read_text()), signal.SIGKILL)
        return killed

    def version(self) -> int:
        """The version that readers use; 0 if there is none."""
        pointer = self.folders.publications().current()
        return pointer.version if pointer else 0

    def wait(self, check: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        until(lambda: None if check() else "not yet", what, seconds)

    def said(self, name: str, since: int) -> str:
        """What a process has logged beyond a length of its log."""
        return self.platform.log(name).read_bytes()[since:].decode(errors="replace")

    def log_length(self, name: str) -> int:
        path = self.platform.log(name)
        return path.stat().st_size if path.exists() else 0


_KILLS: Mapping[str, Callable[..., float]] = {
    "batch": Trial._kill_batch,
    "speed": Trial._kill_speed,
    "api": Trial._kill_api,
}
