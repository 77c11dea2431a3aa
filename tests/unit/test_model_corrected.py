"""Corrections under any schedule: what can be subtracted from is right, and all else is right or named.

`MODEL_SCHEDULES=20000 pytest tests/unit/test_model_corrected.py` runs many more, each of them longer.
"""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corrections import Sent, counting, firsts, retracts, stopped_by
from tests.model.corrected import planted
from tests.model.corrected.machine import CorrectedSchedules
from tests.model.corrected.orders import Order, plainly
from tests.model.corrected.platform import CorrectedPlatform, CorrectingParts
from tests.model.machine import TIMEOUT, drawn

CorrectedSchedules.TestCase.settings = drawn(100)
TestCorrectedSchedules = pytest.mark.timeout(TIMEOUT)(CorrectedSchedules.TestCase)

IDS = st.sampled_from("abcd")
sent = st.builds(Sent, IDS, st.none() | IDS, st.booleans(), st.sampled_from([True, True, False]))


@settings(max_examples=200, deadline=None)
@given(st.lists(sent, max_size=12))
def test_the_loop_of_the_model_is_the_one_of_the_other_tests(log: list[Sent]) -> None:
    orders = [
        Order(0, at, 0, one.id, "a", 0, 1, one.valid, corrects=one.target, cancels=one.retracts)
        for at, one in enumerate(log)
    ]
    found = plainly(orders, 1)
    assert [order.offset for order in found.counts] == counting(log)
    ended = {at: by for at in firsts(log) if (by := stopped_by(log, at)) is not None}
    assert {order.offset: by.offset for order, by in found.stopped} == ended
    assert all(order.retracts == retracts(log[order.offset]) for order, _ in found.stopped)


def consumed(platform: CorrectedPlatform, rounds: int = 3) -> None:
    """All that was sent, and a cut behind it."""
    platform.world.now += 2
    platform.run_speed(rounds=rounds)


def a_correction_is_replayed(platform: CorrectedPlatform) -> None:
    order = platform.send()
    consumed(platform)
    platform.cancel(order)
    platform.step_speed(20)
    for steps in range(1, 20):
        platform.edit(order)
        platform.step_speed(steps)
        platform.kill_speed()
    platform.run_speed()


def what_is_corrected_lies_below_the_boundary(platform: CorrectedPlatform) -> None:
    order = platform.send()
    consumed(platform)
    platform.publish()
    platform.publish()
    consumed(platform)
    platform.cancel(order)
    consumed(platform)


def definitions_change_before_a_correction(platform: CorrectedPlatform) -> None:
    order = platform.send()
    consumed(platform)
    platform.publish()
    platform.change_definitions()
    platform.cancel(order)
    consumed(platform)
    platform.send(partition=1)
    platform.publish()
    platform.run_speed(rounds=3)


def readers_go_back_to_before_what_is_corrected(platform: CorrectedPlatform) -> None:
    platform.send()
    consumed(platform)
    platform.publish()
    order = platform.send()
    consumed(platform)
    platform.publish()
    consumed(platform)
    platform.roll_back(1)
    platform.cancel(order)
    consumed(platform)


def late_copies_come(platform: CorrectedPlatform) -> None:
    """Of an event, of its correction, and of the event once more."""
    order = platform.send()
    edit = platform.edit(order)
    for record in (order, edit, order):
        for _ in range(3):
            platform.send(partition=1)
            consumed(platform, rounds=1)
        platform.send_again(record)
        consumed(platform, rounds=1)
    platform.ask()
    platform.edit(edit)
    platform.edit(order)
    consumed(platform)


def the_greatest_is_taken_back(platform: CorrectedPlatform) -> None:
    platform.send()
    order = platform.send()
    platform.cancel(order)
    consumed(platform)


def each_edit_names_the_first_id(platform: CorrectedPlatform) -> None:
    order = platform.send()
    for _ in range(3):
        platform.edit(order)
    consumed(platform)
    platform.publish()


def what_was_counted_is_lost(platform: CorrectedPlatform) -> None:
    platform.loses_events = True
    platform.send(partition=1)
    consumed(platform)
    platform.publish()
    order = platform.send()
    consumed(platform)
    platform.drop_records(0, 5)
    platform.accept_losses()
    platform.send(partition=1)
    consumed(platform)
    platform.publish()
    assert any("lost" in reason for reason in platform.ask().reasons)
    platform.cancel(order)
    consumed(platform, rounds=8)


Schedule = Callable[[CorrectedPlatform], None]


@pytest.mark.parametrize(
    ("schedule", "simpler"),
    [
        (a_correction_is_replayed, CorrectingParts(speed=planted.TakesBackAtOnce)),
        (what_is_corrected_lies_below_the_boundary, CorrectingParts(speed=planted.AsksRedisAlone)),
        (definitions_change_before_a_correction, CorrectingParts(speed=planted.CallsNothingLost)),
        (readers_go_back_to_before_what_is_corrected, CorrectingParts(speed=planted.DropsTooSoon)),
        (late_copies_come, CorrectingParts(speed=planted.LastCopyCounts)),
        (late_copies_come, CorrectingParts(speed=planted.CopiesCorrect)),
        (the_greatest_is_taken_back, CorrectingParts(speed=planted.SaysNothing)),
        (each_edit_names_the_first_id, CorrectingParts(batch=planted.FollowsNoChain)),
        (each_edit_names_the_first_id, CorrectingParts(batch=planted.ComparesWhatCame)),
        (what_was_counted_is_lost, CorrectingParts(batch=planted.KeepsWhatIsLost)),
    ],
    ids=lambda part: part.__name__ if callable(part) else "",
)
def test_a_schedule_breaks_the_simpler_version_and_not_this_one(
    schedule: Schedule, simpler: CorrectingParts
) -> None:
    play(schedule, CorrectingParts())
    with pytest.raises(AssertionError):
        play(schedule, simpler)


def play(schedule: Schedule, parts: CorrectingParts) -> None:
    platform = CorrectedPlatform(parts)
    schedule(platform)
    platform.check()
    platform.ask()
    platform.rest()
    platform.check()
