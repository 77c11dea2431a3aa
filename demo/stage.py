"""What the demo does to the platform and asks of it, over HTTP and Kafka like any user."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from conf.settings import Settings
from core.errors import LambdaError
from demo import table
from demo.judge import Verdict, judge, shown
from demo.play import Play
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
    """The running platform as the demo of an application sees it."""

    def __init__(self, settings: Settings, play: Play) -> None:
        self.settings, self.play = settings, play
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
            answer = self.ask(self.play.pulse)
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
        truth, tally, rows = self.play.oracle.truth(events), Tally(), []
        for probe in probes:
            rows += self._rows(probe, truth, tally)
        say(table.render(rows))
        return tally

    @contextmanager
    def watched(self, probes: Iterable[Probe], events: Iterable[Any]) -> Iterator[Tally]:
        """Ask without a pause while the block runs, and judge every answer."""
        tally, stop, truth = Tally(), threading.Event(), self.play.oracle.truth(events)
        watcher = threading.Thread(target=self._watch, args=(list(probes), truth, tally, stop))
        watcher.start()
        try:
            yield tally
        finally:
            stop.set()
            watcher.join()

    def _watch(self, probes: list[Probe], truth: Truth, tally: Tally, stop: threading.Event) -> None:
        facts = [(probe, self.play.oracle.facts(probe, truth)) for probe in probes]
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
        verdicts = self._judged(answer, facts) if answer["complete"] else []
        tally.wrong += [
            f"{probe.title} {v.measure}: {v.told} is not {v.truth}" for v in verdicts if not v.right
        ]

    def _judged(self, answer: Mapping[str, Any], facts: Answer) -> list[Verdict]:
        return judge(answer["rows"][0]["measures"], facts, self.play.oracle.measures)

    def _rows(self, probe: Probe, truth: Truth, tally: Tally) -> list[tuple[str, ...]]:
        answer, rows = self.ask(probe), []
        for verdict in self._judged(answer, self.play.oracle.facts(probe, truth)):
            rows.append(table.row(probe.title, verdict, *_parts(answer["rows"][0], verdict.measure)))
            tally.judged += 1
            if not verdict.right or not answer["complete"]:
                said = f"{verdict.told} is not {verdict.truth} {answer['reasons']}"
                tally.wrong.append(f"{probe.title} {verdict.measure}: {said}")
        return rows


def _parts(row: Mapping[str, Any], measure: str) -> list[str]:
    """What each layer gave to a measure."""
    return [shown((row[layer] or {}).get(measure)) for layer in ("batch", "speed")]
