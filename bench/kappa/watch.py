"""A reader who asks without a pause while definitions change, and moves once the new ones answer."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx

from bench.report import percentile
from demo.judge import judge
from demo.probes import Probe
from demo.truth import Answer
from demo.wikipedia import TRUTH

__all__ = ["Reader", "Round", "Seen", "Told", "summary", "told"]

_PAUSE = 0.05  # seconds between two rounds


@dataclass(frozen=True)
class Told:
    """`state` is "away", "incomplete", "behind" (complete up to too early a time) or "answers"."""

    state: str
    right: bool = True
    lag: float = 0.0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Round:
    """What readers of the old definitions and those of the new ones were told, `at` seconds."""

    at: float
    old: Told
    new: Told

    @property
    def answered(self) -> bool:
        return "answers" in (self.old.state, self.new.state)


@dataclass(frozen=True)
class Seen:
    """What a reader saw of a change: seconds until the new definitions answered, and until then the rest.

    `without` are the seconds in which neither definition answered; `lag` is how old the old answers were.
    """

    asked: int
    moved_after: float
    without: float
    wrong: int
    lag: float
    reasons: Sequence[str]


@dataclass
class Reader:
    """Of one question at two APIs. `since` (seconds since 1970): answers must hold all that was sent before.

    Those of the new definitions must hold what was sent before reading began.
    """

    old_url: str
    new_url: str
    probe: Probe
    old_facts: Answer
    new_facts: Answer
    since: float
    rounds: list[Round] = field(default_factory=list)
    moved: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def reading(self) -> Iterator["Reader"]:
        stop = threading.Event()
        thread = threading.Thread(target=self._read, args=(stop,), name="reader")
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def last(self) -> str:
        """The newest round in a few words."""
        if not self.rounds:
            return "nothing was asked yet"
        newest = self.rounds[-1]
        return f"old definitions: {newest.old.state}, new ones: {newest.new.state}"

    def _read(self, stop: threading.Event) -> None:
        began, at_least = time.monotonic(), time.time()
        with httpx.Client(timeout=10) as client:
            while not stop.is_set() and not self.moved.is_set():
                old = self._ask(client, self.old_url, self.old_facts, self.since)
                new = self._ask(client, self.new_url, self.new_facts, at_least)
                self.rounds.append(Round(time.monotonic() - began, old, new))
                if new.state == "answers":
                    self.moved.set()
                stop.wait(_PAUSE)

    def _ask(self, client: httpx.Client, url: str, facts: Answer, since: float) -> Told:
        try:
            response = client.get(f"{url}/v1/views/{self.probe.view}", params=self.probe.parameters)
        except httpx.TransportError:
            return Told("away")
        if response.status_code != 200:
            return Told("away", reasons=(f"status {response.status_code}",))
        return told(response.json(), facts, since, time.time())


def told(answer: dict[str, Any], facts: Answer, since: float, now: float) -> Told:
    """One answer, judged if it says that it holds all that was sent before `since`."""
    if not answer["complete"]:
        return Told("incomplete", reasons=tuple(answer["reasons"]))
    as_of = datetime.fromisoformat(answer["as_of"]).timestamp()
    if as_of < since:
        return Told("behind", lag=now - as_of)
    right = all(verdict.right for verdict in judge(answer["rows"][0]["measures"], facts, TRUTH))
    return Told("answers", right, now - as_of)


def summary(rounds: Sequence[Round]) -> Seen:
    """All rounds of one change; the last one is that in which readers moved."""
    pairs = pairwise(rounds)
    without = sum(later.at - one.at for one, later in pairs if not one.answered)
    tellings = [told for round in rounds for told in (round.old, round.new)]
    lags = [round.old.lag for round in rounds if round.old.state == "answers"]
    return Seen(
        asked=2 * len(rounds),
        moved_after=rounds[-1].at if rounds else 0.0,
        without=without,
        wrong=sum(not told.right for told in tellings),
        lag=percentile(lags, 0.99) if lags else 0.0,
        reasons=sorted({reason for round in rounds for reason in round.old.reasons}),
    )
