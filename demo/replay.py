"""`python -m demo.replay`: real events into Kafka, as fast as they go or at a multiple of real time.

Which ones the setting LAMBDA_APPLICATION decides: flights for the flights, Wikipedia's edits for any other.

Idempotent producer, acks=all: what it reports as sent, the log holds once.
"""

import argparse
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError
from tqdm import tqdm

from conf.clients import kafka_options
from conf.settings import Settings, get_settings
from core.errors import LambdaError
from core.instants import parse_instant
from demo.dataset import Event, multiply, shifted
from demo.play import Dataset
from demo.plays import play_of
from local.topics import ensure_topic
from local.wait import for_kafka

__all__ = ["Pace", "Producer", "Replayed", "make_producer", "part_of_day", "replay", "to_now"]


# Without a limit on what is under way, kafka-python queues a whole day and lets records grow too old to send.
WINDOW = 5_000
PATIENCE = 120.0  # seconds


class ReplayFailed(LambdaError):
    """Kafka did not take an event. `sent` events were handed over before it was noticed."""

    def __init__(self, sent: int, error: BaseException) -> None:
        super().__init__(
            f"Kafka refused an event, {sent} were handed over before: {error!r}; look at its log"
        )
        self.sent, self.error = sent, error


class Producer(Protocol):
    """The part of `KafkaProducer` that a replay needs."""

    def send(self, topic: str, *, key: bytes, value: bytes) -> Any: ...

    def flush(self) -> Any: ...


@dataclass(frozen=True)
class Pace:
    """How fast: `speed` times real time (0: as fast as possible), at most `rate` events a second (0: any)."""

    speed: float = 0.0
    rate: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def follow(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events, each when it is due; events out of time order are not waited for."""
        if not self.speed and not self.rate:
            yield from events
            return
        start, first = self.clock(), None
        for number, event in enumerate(events):
            first = first or event
            due = max(self._by_time(first, event), number / self.rate if self.rate else 0.0)
            self._wait(start + due)
            yield event

    def _by_time(self, first: Event, event: Event) -> float:
        if not self.speed:
            return 0.0
        micros = parse_instant(event["event_time"]) - parse_instant(first["event_time"])
        return micros / 1_000_000 / self.speed

    def _wait(self, due: float) -> None:
        left = due - self.clock()
        if left > 0:
            self.sleep(left)


@dataclass(frozen=True)
class Replayed:
    """How far a replay came: events that the log holds now, and the last of them."""

    sent: int
    seconds: float
    last: Event | None
    interrupted: bool = False

    def __str__(self) -> str:
        how = "interrupted after" if self.interrupted else "replayed"
        last = f", the last of {self.last['event_time']}" if self.last else ""
        rate = self.sent / self.seconds if self.seconds else 0.0
        return f"{how} {self.sent:,} events in {self.seconds:.1f} s ({rate:,.0f} events/s){last}"


def replay(events: Iterable[Event], producer: Producer, topic: str, pace: Pace | None = None) -> Replayed:
    """Sends events in their order, keyed by `log_key`, and waits until Kafka has all of them.

    Ctrl-C ends it early: what was sent is waited for and reported. Raises ReplayFailed if Kafka refuses one.
    """
    pace = pace or Pace()
    sending: deque[Any] = deque()
    sent, last, interrupted = 0, None, False
    start = pace.clock()
    try:
        for event in pace.follow(events):
            sending.append(producer.send(topic, key=log_key(event), value=orjson.dumps(event)))
            sent, last = sent + 1, event
            if len(sending) > WINDOW:
                sending.popleft().get(PATIENCE)
    except KeyboardInterrupt:
        interrupted = True
    except KafkaError as error:
        raise ReplayFailed(sent, error) from error
    _settle(producer, sending, sent)
    return Replayed(sent, pace.clock() - start, last, interrupted)


def log_key(event: Event) -> bytes:
    """What copies of an event have in common, and an event with the one that it corrects: its Kafka key."""
    key: str = event.get("corrects") or event["event_id"]
    return key.encode()


def _settle(producer: Producer, sending: Iterable[Any], sent: int) -> None:
    try:
        producer.flush()
        for future in sending:
            future.get(PATIENCE)
    except KafkaError as error:
        raise ReplayFailed(sent, error) from error


def make_producer(settings: Settings) -> KafkaProducer:
    """A producer that loses and doubles nothing; large batches, for kafka-python pays for each one."""
    return KafkaProducer(
        **kafka_options(settings),
        acks="all",
        enable_idempotence=True,
        linger_ms=10,
        batch_size=262_144,
    )


def part_of_day(events: Iterable[Event], frm: str | None, to: str | None) -> Iterator[Event]:
    """Events from `frm` on and before `to`, each HH:MM or HH:MM:SS of the day in UTC."""
    for event in events:
        clock = event["event_time"][11:]
        if (frm is None or clock >= frm) and (to is None or clock < to):
            yield event


def to_now(events: Sequence[Event], now: datetime) -> Iterator[Event]:
    """The events moved in time, so that the first happens now."""
    if not events:
        return iter(())
    return shifted(events, now - datetime.fromisoformat(events[0]["event_time"]))


def _time_of_day(text: str) -> str:
    datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").replace(tzinfo=UTC)
    return text


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.replay", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--topic", help="where to (default: that of the source)")
    add("--speed", type=float, default=0.0, help="times real time; 0 (default): as fast as possible")
    add("--rate", type=float, default=0.0, help="events a second at most; 0 (default): no limit")
    add("--from", dest="frm", type=_time_of_day, metavar="HH:MM", help="leave out what happened before")
    add("--to", type=_time_of_day, metavar="HH:MM", help="leave out what happened then or later")
    add(
        "--repeat",
        type=_positive,
        default=1,
        metavar="N",
        help="N times, each later by as many days as there are, with new ids",
    )
    add("--shift-to-now", action="store_true", help="move all in time, so that the first happens now")
    add("--limit", type=_positive, help="so many events and no more")
    return parser.parse_args(argv)


def _chosen(
    arguments: argparse.Namespace, dataset: Dataset, settings: Settings
) -> tuple[Iterable[Event], int]:
    events = list(part_of_day(dataset.events(settings), arguments.frm, arguments.to))
    if arguments.shift_to_now:
        events = list(to_now(events, datetime.now(UTC)))
    total = min(len(events) * arguments.repeat, arguments.limit or sys.maxsize)
    repeated = multiply(events, arguments.repeat, by=dataset.span)
    return (event for event, _ in zip(repeated, range(total), strict=False)), total


def _run(arguments: argparse.Namespace, settings: Settings) -> Replayed:
    for_kafka(settings)
    dataset = play_of(settings.application).dataset
    topic = arguments.topic or dataset.source.topic
    with KafkaAdminClient(**kafka_options(settings)) as admin:
        ensure_topic(admin, topic, settings.topic_partitions)
    events, total = _chosen(arguments, dataset, settings)
    with make_producer(settings) as producer, tqdm(events, total=total, unit=" events", disable=None) as bar:
        return replay(bar, producer, topic, Pace(arguments.speed, arguments.rate))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        replayed = _run(arguments, get_settings())
    except (LambdaError, KafkaError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(replayed)
    return 130 if replayed.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
