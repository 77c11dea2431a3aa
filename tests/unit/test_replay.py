from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from demo.dataset import Event
from demo.replay import WINDOW, Pace, Producer, ReplayFailed, main, part_of_day, replay, to_now


class Sent:
    """What a producer gives for a record: acknowledged, or failed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def get(self, timeout: float) -> None:
        if self.error:
            raise self.error


class FakeProducer(Producer):
    """Keeps what it is sent; `on_send` may raise or give another result."""

    def __init__(self, on_send: Callable[[int], Sent] = lambda number: Sent()) -> None:
        self.records: list[tuple[str, bytes, Event]] = []
        self.flushed = 0
        self._on_send = on_send

    def send(self, topic: str, *, key: bytes, value: bytes) -> Any:
        sent = self._on_send(len(self.records))
        self.records.append((topic, key, orjson.loads(value)))
        return sent

    def flush(self) -> Any:
        self.flushed = len(self.records)


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def event(number: int, at: str = "12:00:00") -> Event:
    return {"event_id": f"e{number}", "event_time": f"2015-09-12T{at}.000Z"}


EVENTS = [event(1), event(2, "12:00:10"), event(3, "12:01:00")]


def due(pace_of: Callable[[Clock], Pace], events: list[Event]) -> list[float]:
    """Seconds after the start at which each event comes."""
    clock = Clock()
    return [clock.now - 100.0 for _ in pace_of(clock).follow(events)]


def test_events_go_out_in_order_under_their_id() -> None:
    producer = FakeProducer()
    replayed = replay(EVENTS, producer, "edits")
    assert producer.records == [("edits", e["event_id"].encode(), e) for e in EVENTS]
    assert (replayed.sent, replayed.last, replayed.interrupted) == (3, EVENTS[2], False)
    assert producer.flushed == 3


def test_nothing_to_replay_is_no_error() -> None:
    assert replay([], FakeProducer(), "edits").sent == 0


def test_without_a_pace_nobody_waits() -> None:
    assert due(lambda clock: Pace(clock=clock, sleep=clock.sleep), EVENTS) == [0, 0, 0]


def test_a_speed_divides_the_real_distances() -> None:
    assert due(lambda clock: Pace(speed=10, clock=clock, sleep=clock.sleep), EVENTS) == [0, 1, 6]


def test_a_rate_spaces_events_evenly() -> None:
    assert due(lambda clock: Pace(rate=4, clock=clock, sleep=clock.sleep), EVENTS) == [0, 0.25, 0.5]


def test_of_speed_and_rate_the_slower_decides() -> None:
    assert due(lambda clock: Pace(10, 0.5, clock, clock.sleep), EVENTS) == [0, 2, 6]


def test_an_event_out_of_order_is_not_waited_for() -> None:
    late = [event(1), event(2, "12:00:10"), event(3, "11:00:00"), event(4, "12:00:20")]
    assert due(lambda clock: Pace(speed=10, clock=clock, sleep=clock.sleep), late) == [0, 1, 1, 2]


def test_an_interrupt_reports_what_the_log_has() -> None:
    def interrupt(number: int) -> Sent:
        if number == 2:
            raise KeyboardInterrupt
        return Sent()

    producer = FakeProducer(interrupt)
    replayed = replay(EVENTS, producer, "edits")
    assert (replayed.sent, replayed.last, replayed.interrupted, producer.flushed) == (2, EVENTS[1], True, 2)
    assert "interrupted after 2 events" in str(replayed) and EVENTS[1]["event_time"] in str(replayed)


@pytest.mark.parametrize("count", [3, WINDOW + 10])
def test_an_event_that_kafka_refuses_is_an_error(count: int) -> None:
    producer = FakeProducer(
        lambda number: Sent(MessageSizeTooLargeError("too large") if number == 1 else None)
    )
    with pytest.raises(ReplayFailed, match="too large"):
        replay([event(number) for number in range(count)], producer, "edits")


def test_a_log_that_does_not_answer_is_an_error() -> None:
    def unreachable(number: int) -> Sent:
        raise KafkaTimeoutError("no metadata")

    with pytest.raises(ReplayFailed, match="no metadata"):
        replay(EVENTS, FakeProducer(unreachable), "edits")


def test_no_more_than_a_window_is_under_way() -> None:
    settled: list[int] = []

    class Counted(Sent):
        def get(self, timeout: float) -> None:
            settled.append(1)

    most = 0

    def track(number: int) -> Sent:
        nonlocal most
        most = max(most, number - len(settled))
        return Counted()

    replay((event(number) for number in range(WINDOW + 100)), FakeProducer(track), "edits")
    assert most <= WINDOW


def test_a_part_of_the_day_begins_at_its_begin_and_ends_before_its_end() -> None:
    assert list(part_of_day(EVENTS, "12:00:10", "12:01")) == [EVENTS[1]]
    assert list(part_of_day(EVENTS, None, None)) == EVENTS


def test_shifted_to_now_the_first_event_happens_now() -> None:
    moved = list(to_now(EVENTS, datetime(2026, 1, 1, tzinfo=UTC)))
    assert [e["event_time"][:19] for e in moved] == [
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:10",
        "2026-01-01T00:01:00",
    ]
    assert list(to_now([], datetime(2026, 1, 1, tzinfo=UTC))) == []


@pytest.mark.parametrize(
    "options", [["--from", "25:00"], ["--repeat", "0"], ["--limit", "-1"], ["--speed", "fast"]]
)
def test_an_option_that_makes_no_sense_is_named(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(options)
    assert options[0] in capsys.readouterr().err
