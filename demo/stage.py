"""What the demo does to the platform and asks of it, over HTTP and Kafka like any user."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import httpx

from conf.settings import Settings
from core.errors import LambdaError
from demo import table
from demo.judge import judge, shown
from demo.probes import Probe
from demo.truth import Answer, Truth
from local.child import running
from local.spark_submit import job_command


class DemoFailed(LambdaError):
    """A step of the demo did not happen; the text says which and where to look."""


@dataclass
class Tally:
    """How many answers were judged, and what was wrong with those that were."""

    judged: int = 0
    incomplete: int = 0
    wrong: list[str] = field(default_factory=list)


class Stage:
    """The running platform as the demo sees it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = httpx.Client(base_url=settings.api_url, timeout=10)

    def ask(self, probe: Probe) -> dict[str, Any]:
        """The answer to one question. Raises `DemoFailed` with the problem that the API reports."""
        response = self.client.get(f"/v1/views/{probe.view}", params=probe.parameters)
        if response.status_code != 200:
            raise DemoFailed(f"{probe.title}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    def settle(self, acknowledged: float, seconds: float = 120) -> float:
        """Wait until an answer is complete up to `acknowledged` (seconds since 1970); how long it took."""
        deadline, answer = time.time() + seconds, dict[str, Any]()
        while time.time() < deadline:
            answer = self.ask(Probe("wiki", {}))
            if answer["complete"] and datetime.fromisoformat(answer["as_of"]).timestamp() >= acknowledged:
                return time.time() - acknowledged
            time.sleep(0.1)
        raise DemoFailed(
            f"after {seconds:.0f} s answers end at {answer.get('as_of')}, complete: {answer.get('complete')} "
            f"{answer.get('reasons')}; see {self.settings.logs_dir}/speed.log"
        )

    def publish(self) -> float:
        """One run of the batch job; seconds it took."""
        began = time.monotonic()
        log = self.settings.logs_dir / "batch.log"
        command, environment = job_command("batch_layer/job.py"), self.settings.environment()
        with running(command, log, environment, niceness=self.settings.batch_nice) as job:
            status = job.wait()
        if status:
            raise DemoFailed(f"the batch job ended with {status}; see {log}")
        return time.monotonic() - began

    def compare(self, probes: Iterable[Probe], events: Iterable[Any], say: Callable[[str], None]) -> Tally:
        """Ask every question, print the table, and judge every measure against the truth."""
        truth, tally, rows = Truth(events), Tally(), []
        for probe in probes:
            rows += _rows(probe, self.ask(probe), truth, tally)
        say(table.render(rows))
        return tally

    @contextmanager
    def watched(self, probes: Iterable[Probe], events: Iterable[Any]) -> Iterator[Tally]:
        """Ask without a pause while the block runs, and judge every answer."""
        tally, stop = Tally(), threading.Event()
        watcher = threading.Thread(target=self._watch, args=(list(probes), Truth(events), tally, stop))
        watcher.start()
        try:
            yield tally
        finally:
            stop.set()
            watcher.join()

    def _watch(self, probes: list[Probe], truth: Truth, tally: Tally, stop: threading.Event) -> None:
        facts = [(probe, probe.facts(truth)) for probe in probes]
        while not stop.is_set():
            for probe, expected in facts:
                self._judge_one(probe, expected, tally)
            stop.wait(0.02)

    def _judge_one(self, probe: Probe, facts: Answer, tally: Tally) -> None:
        try:
            answer = self.ask(probe)
        except (DemoFailed, httpx.HTTPError) as error:
            tally.wrong.append(f"{probe.title}: {error!r}")
            return
        tally.judged += 1
        tally.incomplete += not answer["complete"]
        verdicts = judge(answer["rows"][0]["measures"], facts) if answer["complete"] else []
        tally.wrong += [
            f"{probe.title} {v.measure}: {v.told} is not {v.truth}" for v in verdicts if not v.right
        ]


def until(probe: Probe, end: str) -> Probe:
    """The same question, up to `end`."""
    return replace(probe, end=min(probe.end, end))


def _rows(probe: Probe, answer: dict[str, Any], truth: Truth, tally: Tally) -> list[tuple[str, ...]]:
    row = answer["rows"][0]
    rows = []
    for verdict in judge(row["measures"], probe.facts(truth)):
        name = verdict.measure
        parts = [shown(name, (row[layer] or {}).get(name)) for layer in ("batch", "speed")]
        rows.append(table.row(probe.title, verdict, *parts))
        tally.judged += 1
        if not verdict.right or not answer["complete"]:
            tally.wrong.append(
                f"{probe.title} {name}: {verdict.told} is not {verdict.truth} {answer['reasons']}"
            )
    return rows
