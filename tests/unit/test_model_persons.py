"""Persons under any schedule: whoever is asked about, an answer that is complete has all of one person.

`MODEL_SCHEDULES=20000 pytest tests/unit/test_model_persons.py` runs many more, each of them longer.
"""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.groups import resolution, standing
from tests.model.machine import TIMEOUT, drawn
from tests.model.persons import planted
from tests.model.persons.machine import PersonSchedules
from tests.model.persons.people import USERS, Visit
from tests.model.persons.platform import PersonParts, PersonPlatform
from tests.model.persons.truth import Truth, heard
from tests.model.world import Record

PersonSchedules.TestCase.settings = drawn(60)
TestPersonSchedules = pytest.mark.timeout(TIMEOUT)(PersonSchedules.TestCase)

users = st.sampled_from(USERS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), users, users, st.booleans()), max_size=10))
def test_the_loops_of_the_model_say_of_all_that_was_sent_what_the_rule_says(
    said: list[tuple[int, str, str, bool]],
) -> None:
    sent: list[Record] = [
        Visit(partition, at, at, f"e{at}", "a", 0, 1, user=one, same=other, undone=undone)
        for at, (partition, one, other, undone) in enumerate(said)
    ]
    truth = Truth(heard(sent, 1, [], {}, float("inf")))
    words = [(*one.visit.pair, one.visit.word(0)) for one in truth.all if one.visit.pair]
    persons = resolution(standing(words))
    for most in (False, True):
        assert {user: min(ids) for user, ids in truth.true(most).items()} == {
            user: persons.get(user, user) for user in USERS
        }
        assert truth.joined(most) == truth.true(most)


def consumed(platform: PersonPlatform, rounds: int = 1) -> None:
    """All that was sent, and a cut behind it."""
    platform.world.now += 2
    platform.run_speed(rounds=rounds)


def published(platform: PersonPlatform) -> None:
    """All that was sent, also in a generation that counts by its persons."""
    consumed(platform)
    platform.publish()
    platform.run_speed(rounds=8)


def visits(platform: PersonPlatform) -> None:
    for place, user in enumerate(USERS):
        platform.send(place % 2, "ab"[place % 2], user=user)


def two_become_one_before_a_publish(platform: PersonPlatform) -> None:
    visits(platform)
    consumed(platform)
    platform.join("b", "a")
    consumed(platform)
    platform.publish()
    visits(platform)
    platform.run_speed()


def the_rebuild_reads_much_behind_the_boundary(platform: PersonPlatform) -> None:
    two_become_one_before_a_publish(platform)
    platform.run_speed(rounds=8)


def a_publish_is_followed_by_another_before_the_rebuild(platform: PersonPlatform) -> None:
    two_become_one_before_a_publish(platform)
    platform.world.now += 2
    platform.step_speed(100)
    platform.publish()


def two_are_one_no_longer(platform: PersonPlatform) -> None:
    platform.join("a", "b")
    visits(platform)
    published(platform)
    platform.ask_for_a_rebuild()
    platform.run_speed(rounds=8)
    platform.join("b", "a", partition=1, undone=True)
    visits(platform)
    published(platform)


def a_word_on_the_other_partition_is_newer(platform: PersonPlatform) -> None:
    for _ in range(3):
        platform.send(partition=0, user="f")
    platform.join("a", "b", partition=0)
    published(platform)
    platform.join("a", "b", partition=1, undone=True)
    visits(platform)
    published(platform)


def two_groups_become_one(platform: PersonPlatform) -> None:
    for one, other in ("ab", "bc", "de", "ef"):
        platform.join(one, other)
    visits(platform)
    published(platform)
    platform.join("f", "c", partition=1)
    visits(platform)
    consumed(platform)
    platform.ask()
    published(platform)


def a_query_sleeps_while_two_become_one(platform: PersonPlatform) -> None:
    visits(platform)
    consumed(platform, rounds=3)
    for steps in range(1, 60):
        platform.step_query(0, steps)
        for undone in (False, True):
            platform.join("a", "d", undone=undone)
            platform.run_speed()
            platform.answer_all()


def a_shard_with_pairs_rewinds(platform: PersonPlatform) -> None:
    visits(platform)
    consumed(platform, rounds=3)
    for shard in (0, 1):
        for one, other in ("ab", "cd", "ef", "bc"):
            platform.save_shard(shard)
            platform.join(one, other)
            platform.run_speed()
            platform.rewind_shard(-1)
            platform.ask()
            platform.run_speed(rounds=3)


Schedule = Callable[[PersonPlatform], None]


@pytest.mark.parametrize(
    ("schedule", "simpler"),
    [
        (a_publish_is_followed_by_another_before_the_rebuild, PersonParts(speed=planted.CountsByTheNewest)),
        (the_rebuild_reads_much_behind_the_boundary, PersonParts(speed=planted.FollowsByTheOld)),
        (two_are_one_no_longer, PersonParts(speed=planted.NeverRebuilds)),
        (two_are_one_no_longer, PersonParts(batch=planted.KeepsWhatItJoined)),
        (a_word_on_the_other_partition_is_newer, PersonParts(batch=planted.OrdersByOffset)),
        (two_groups_become_one, PersonParts(batch=planted.JoinsInOnePass)),
        (two_groups_become_one, PersonParts(reader=planted.ForgetsLateJoins)),
        (two_groups_become_one, PersonParts(reader=planted.SaysNoBounds)),
        (two_become_one_before_a_publish, PersonParts(reader=planted.CallsThemByTheVersion)),
        (a_query_sleeps_while_two_become_one, PersonParts(reader=planted.LooksAgain)),
        (a_shard_with_pairs_rewinds, PersonParts(reader=planted.AsksNoOtherShard)),
    ],
    ids=lambda part: part.__name__ if callable(part) else "",
)
def test_a_schedule_breaks_the_simpler_version_and_not_this_one(
    schedule: Schedule, simpler: PersonParts
) -> None:
    play(schedule, PersonParts())
    with pytest.raises(AssertionError):
        play(schedule, simpler)


def play(schedule: Schedule, parts: PersonParts) -> None:
    platform = PersonPlatform(parts)
    schedule(platform)
    platform.check()
    platform.ask()
    platform.rest()
    platform.check()
