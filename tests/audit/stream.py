"""Edits into Kafka at a steady rate, some late and some twice, written down in the ledger as they go."""

import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Self

import orjson
from kafka import KafkaProducer
from kafka.errors import KafkaError

from conf.clients import kafka_options
from conf.settings import Settings
from demo.truth import Event
from tests.audit.ledger import Ledger

__all__ = ["Stream", "disturbed"]

_LATE, _TWICE, _BACK = 0.02, 0.03, 100


def disturbed(events: Iterable[Event], seed: int = 1) -> Iterator[Event]:
    """The events in order; some happened long before, and after some a recent one comes again."""
    draw, recent = random.Random(seed), list[Event]()
    for event in events:
        late = {**event, "event_time": "2015-09-12T00:15:00Z"}
        recent = [*recent, late if draw.random() < _LATE else event][-_BACK:]
        yield recent[-1]
        if draw.random() < _TWICE:
            yield draw.choice(recent)


class Stream:
    """Sends while the block runs, except while `paused` is set. `rate` is events a second."""

    def __init__(
        self, settings: Settings, topic: str, events: Iterable[Event], ledger: Ledger, rate: float
    ) -> None:
        self._topic, self._events, self.ledger, self._rate = topic, events, ledger, rate
        self._stop, self.paused = threading.Event(), threading.Event()
        self._refused: deque[Event] = deque()
        self._producer = KafkaProducer(
            **kafka_options(settings),
            acks="all",
            enable_idempotence=True,
            metadata_max_age_ms=5_000,  # a new partition is used soon
        )
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(90)
        self._producer.close(10)

    def settle(self, patience: float = 60) -> bool:
        """Pause, and wait until Kafka has acknowledged all; whether it has."""
        self.paused.set()
        deadline = time.monotonic() + patience
        while self.ledger.unacknowledged and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.ledger.unacknowledged

    def _run(self) -> None:
        for event in disturbed(self._events):
            self._stop.wait(1 / self._rate)
            self._send_again()
            while self.paused.is_set() and not self._stop.wait(0.1):
                self._send_again()
            if self._stop.is_set():
                return
            self._send(event)

    def _send_again(self) -> None:
        """What Kafka did not take, for an auditor can only be exact about what is in the log or not."""
        for _ in range(len(self._refused)):
            self._send(self._refused.popleft())

    def smuggle(self, event: Event) -> None:
        """Into the log, and not into the ledger: the auditor has to notice."""
        self._produce(event).get(60)

    def _produce(self, event: Event) -> Any:
        return self._producer.send(self._topic, key=event["event_id"].encode(), value=orjson.dumps(event))

    def _send(self, event: Event) -> None:
        self.ledger.sent(event)
        try:
            sending = self._produce(event)
        except KafkaError:
            self._refused.append(event)
            return
        sending.add_callback(lambda _: self.ledger.acknowledged(event))
        sending.add_errback(lambda _: self._refused.append(event))
