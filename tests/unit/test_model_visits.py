"""A visit counts once under any schedule that Hypothesis draws; simpler versions of the protocol miscount."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.visits import BeginsWithNothing, NeverForgets, NewestVersion, OnlyAfter, Platform

Act = Callable[[Platform], None]

sends = st.builds(lambda user, pause: lambda p: p.send(user, pause), st.integers(0, 3), st.integers(0, 12))
steps = st.builds(
    lambda appetite, crash: lambda p: p.micro_batch(appetite, crash),
    st.integers(0, 4), st.sampled_from([None, None, None, "stored", "fields"]),
)  # fmt: skip
others = st.one_of(
    st.builds(lambda leader: lambda p: p.make_cut(leader), st.booleans()),
    st.just(lambda p: p.publish()),
    st.builds(lambda forget: lambda p: p.maintain(forget), st.booleans()),
    st.just(lambda p: p.begin()),
)
schedules = st.lists(st.one_of(sends, sends, steps, steps, others), max_size=60)


@settings(deadline=None, max_examples=400)
@given(schedules)
def test_a_visit_counts_once_under_any_schedule(schedule: list[Act]) -> None:
    platform = Platform()
    for act in schedule:
        act(platform)
        if platform.complete:
            assert platform.answer() == platform.truth()
    platform.maintain(True)
    for _ in range(3):
        platform.micro_batch(100)
    if platform.complete:
        assert platform.answer() == platform.truth()


def a_crash_after_the_state_was_stored(platform: Platform) -> None:
    platform.send(0, 1)
    platform.micro_batch(9, "stored")


def batch_goes_ahead_of_a_speed_job_that_lags(platform: Platform) -> None:
    platform.make_cut(False)
    platform.publish()
    platform.publish()
    platform.maintain(True)
    platform.send(0, 1)
    platform.send(0, 2)
    platform.make_cut(False)
    platform.publish()


def segments_are_left_to_batch_in_the_middle_of_a_visit(platform: Platform) -> None:
    platform.send(0, 1)
    platform.micro_batch(9)
    platform.make_cut(True)
    platform.send(0, 1)
    platform.make_cut(False)
    for _ in range(2):
        platform.publish()
    platform.maintain(False)
    platform.send(0, 1)


def a_generation_begins_in_the_middle_of_a_visit(platform: Platform) -> None:
    platform.send(0, 1)
    platform.micro_batch(9)
    platform.make_cut(True)
    platform.publish()
    platform.begin()
    platform.send(0, 1)


@pytest.mark.parametrize(
    ("simpler", "schedule", "publish"),
    [
        (lambda: Platform(OnlyAfter), a_crash_after_the_state_was_stored, -1),
        (NewestVersion, batch_goes_ahead_of_a_speed_job_that_lags, -2),  # readers use the version before
        (lambda: Platform(NeverForgets), segments_are_left_to_batch_in_the_middle_of_a_visit, -1),
        (BeginsWithNothing, a_generation_begins_in_the_middle_of_a_visit, -1),
    ],
)
def test_a_simpler_version_miscounts_and_this_one_does_not(
    simpler: Callable[[], Platform], schedule: Act, publish: int
) -> None:
    right, wrong = Platform(), simpler()
    for platform in (right, wrong):
        schedule(platform)
        platform.micro_batch(9)
        assert platform.planned is None
    assert right.answer(publish) == right.truth()
    assert wrong.answer(publish) != wrong.truth()
