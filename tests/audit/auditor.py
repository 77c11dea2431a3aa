"""The auditor: asks over HTTP in turn, judges what comes, and knows when answers were last fresh."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import httpx

from demo.probes import Probe
from tests.audit.facts import NOTHING
from tests.audit.ledger import Ledger
from tests.audit.verdict import objections

__all__ = ["Auditor", "Tally"]

_PAUSE = 0.1  # seconds between two rounds of questions: the servers share the machine with us
_REFUSALS = (503,)


@dataclass
class Tally:
    """What became of the questions of a while. `seconds` are those of the answers."""

    judged: int = 0
    incomplete: int = 0
    unanswered: int = 0
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)

    def p99(self) -> float:
        """In seconds; 0 without an answer."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))] if ordered else 0.0


class Auditor:
    """Runs while the block does. `tally` is the one that is written now."""

    def __init__(self, url: str, ledger: Ledger, client: httpx.Client | None = None) -> None:
        self.ledger, self.tally = ledger, Tally()
        self._client = client or httpx.Client(base_url=url, timeout=10)
        self._fresh, self._stop = threading.Condition(), threading.Event()
        self._as_of = [0.0] * len(ledger.probes)
        self._thread = threading.Thread(target=self._run, name="auditor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        self._client.close()

    def begin(self) -> Tally:
        """A new tally from now on."""
        self.tally = Tally()
        return self.tally

    def wait_fresh(self, after: float, patience: float) -> float | None:
        """Seconds from `after` until every question had a complete answer as of a later moment."""
        with self._fresh:
            if not self._fresh.wait_for(lambda: min(self._as_of) > after, patience):
                return None
        return time.time() - after

    def answer(self, probe: Probe) -> dict[str, Any]:
        """The answer to one question, not judged."""
        answer: dict[str, Any] = self._get(probe).raise_for_status().json()
        return answer

    def ask(self, number: int) -> None:
        """One question, and its answer judged."""
        tally, probe, began = self.tally, self.ledger.probes[number], time.monotonic()
        try:
            response = self._get(probe)
        except httpx.HTTPError:
            tally.unanswered += 1
            return
        tally.seconds.append(time.monotonic() - began)
        if response.status_code in _REFUSALS:
            tally.unanswered += 1
        elif response.status_code != 200:
            tally.wrong.append(f"{probe.title}: {response.status_code} {response.text}")
        else:
            self._judge(number, response.json(), tally)

    def _get(self, probe: Probe) -> httpx.Response:
        return self._client.get(f"/v1/views/{probe.view}", params=probe.parameters)

    def _judge(self, number: int, answer: dict[str, Any], tally: Tally) -> None:
        as_of = _seconds(answer["as_of"]) if answer["complete"] else None
        must = NOTHING if as_of is None else self.ledger.must(number, as_of)
        found = objections(answer["rows"][0]["measures"], must, self.ledger.may(number))
        tally.judged += 1
        tally.wrong += [f"{self.ledger.probes[number].title} {text} {_told(answer)}" for text in found]
        tally.versions.add(answer["manifest"]["version"] if answer["manifest"] else 0)
        if as_of is None:
            tally.incomplete += 1
            tally.reasons.update(answer["reasons"])
        else:
            self._told_fresh(number, as_of)

    def _told_fresh(self, number: int, as_of: float) -> None:
        with self._fresh:
            self._as_of[number] = as_of
            self._fresh.notify_all()

    def _run(self) -> None:
        while not self._stop.is_set():
            for number in range(len(self.ledger.probes)):
                self.ask(number)
            self._stop.wait(_PAUSE)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _told(answer: dict[str, Any]) -> str:
    row, kept = answer["rows"][0], ("complete", "as_of", "generation", "reasons", "read")
    parts = {layer: (row[layer] or {}).get("edits") for layer in ("batch", "speed")}
    return str(parts | {name: answer[name] for name in kept} | {"manifest": answer["manifest"]})
