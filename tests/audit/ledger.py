"""What was handed to the producer, and what Kafka acknowledged, by question and time."""

import threading
import time
from collections.abc import Callable, Sequence

from demo.probes import Probe
from demo.truth import Event, Truth
from demo.wikipedia import WIKIPEDIA
from tests.audit.facts import Facts, Past

__all__ = ["Ledger"]


class Ledger:
    """Of copies of an event the first counts, in either list. Times are seconds since 1970."""

    def __init__(self, probes: Sequence[Probe], clock: Callable[[], float] = time.time) -> None:
        self.probes, self._clock, self._lock = probes, clock, threading.Lock()
        self._sent, self._acknowledged = [Past() for _ in probes], [Past() for _ in probes]
        self.events: dict[str, Event] = {}
        self._certain: set[str] = set()

    def sent(self, event: Event) -> None:
        """Before it is handed to the producer: from now on an answer may hold it."""
        with self._lock:
            if event["event_id"] not in self.events:
                self.events[event["event_id"]] = event
                self._add(self._sent, event)

    def acknowledged(self, event: Event) -> None:
        """From now on an answer as of a later moment must hold it."""
        with self._lock:
            if event["event_id"] not in self._certain:
                self._certain.add(event["event_id"])
                self._add(self._acknowledged, event)

    def may(self, probe: int) -> Facts:
        """All that an answer which is here already may hold."""
        with self._lock:
            return self._sent[probe].now()

    def must(self, probe: int, as_of: float) -> Facts:
        """All that a complete answer as of a moment must hold."""
        with self._lock:
            return self._acknowledged[probe].before(as_of)

    @property
    def unacknowledged(self) -> int:
        """How many events Kafka may hold or not."""
        with self._lock:
            return len(self.events) - len(self._certain)

    def _add(self, pasts: Sequence[Past], event: Event) -> None:
        now, alone = self._clock(), Truth([event])
        for probe, past in zip(self.probes, pasts, strict=True):
            if WIKIPEDIA.oracle.facts(probe, alone):
                past.add(now, event)
