"""Schedules on which simpler protocols serve wrong numbers, and this one does not.

A round of the speed job has these steps: follow the cuts, vouch, plan, intend, write shard 0, write shard 1,
progress, commit, cut. A run of the batch job: archive, cut where no leader is, recompute, manifest, point.
"""

from collections.abc import Callable

import pytest

from tests.model import planted
from tests.model.platform import Parts, Platform

FOLLOWED, INTENDED, FIRST_SHARD, BOTH_SHARDS = 2, 4, 5, 6


def cut_after_two(platform: Platform) -> None:
    """Two events, consumed, with a cut behind them that the job has seen."""
    platform.send(key="a")
    platform.send(key="b")
    platform.run_speed(rounds=3)


def a_drain_ends_before_the_newest_cut(platform: Platform) -> None:
    cut_after_two(platform)
    platform.archive()
    cut_after_two(platform)
    platform.publish(appetite=0)
    platform.run_speed()


def batch_cuts_behind_what_a_sleeping_job_goes_on_to_consume(platform: Platform) -> None:
    platform.run_speed()
    platform.send()
    platform.send()
    platform.step_speed(FOLLOWED)
    platform.expire_leases()
    platform.step_batch(0, 2)
    platform.send()
    platform.send()
    platform.step_speed(20)
    platform.step_batch(0, 20)
    platform.run_speed(rounds=3)


def shards_come_back_empty_while_the_log_is_idle(platform: Platform) -> None:
    platform.run_speed()
    platform.save_shard(0)
    platform.save_shard(1)
    cut_after_two(platform)
    platform.rewind_shard(0)
    platform.rewind_shard(1)


def a_torn_plan_is_made_anew_with_more_records(platform: Platform) -> None:
    platform.run_speed()
    platform.send()
    platform.step_speed(BOTH_SHARDS)
    platform.tear_checkpoint()
    platform.send()
    platform.run_speed(rounds=3)


def a_cut_divides_a_micro_batch_that_is_replayed(platform: Platform) -> None:
    platform.run_speed()
    platform.send()
    platform.send()
    platform.step_speed(FOLLOWED)
    platform.expire_leases()
    platform.step_batch(0, 2)
    platform.send()
    platform.step_speed(BOTH_SHARDS - FOLLOWED)
    platform.kill_speed()
    platform.run_speed()


def the_job_dies_between_two_shards(platform: Platform) -> None:
    platform.run_speed()
    for number in range(8):
        platform.send(key="ab"[number % 2])
    platform.step_speed(FIRST_SHARD)
    platform.kill_speed()
    platform.run_speed(rounds=2)


def a_copy_comes_after_a_generation_began(platform: Platform) -> None:
    first = platform.send()
    cut_after_two(platform)
    platform.publish()
    platform.publish()
    platform.tear_checkpoint(commits=1)
    platform.send()
    platform.run_speed(rounds=2)
    platform.send_again(first)
    platform.run_speed(rounds=3)


def a_query_sleeps_across_two_publishes(platform: Platform) -> None:
    cut_after_two(platform)
    platform.publish()
    cut_after_two(platform)
    platform.step_query(0, 2)
    platform.publish()
    cut_after_two(platform)
    platform.publish()
    platform.run_speed()
    platform.step_query(0, 20)


def the_job_dies_before_its_progress(platform: Platform) -> None:
    platform.run_speed()
    platform.send()
    platform.step_speed(BOTH_SHARDS)
    platform.kill_speed()
    platform.run_speed(rounds=2)


def a_slow_publisher_ends_after_a_fast_one(platform: Platform) -> None:
    cut_after_two(platform)
    platform.step_batch(0, 3)
    cut_after_two(platform)
    platform.publish()
    platform.step_batch(0, 20)


def a_generation_begins_where_cuts_are_newer_than_the_boundary(platform: Platform) -> None:
    cut_after_two(platform)
    platform.tear_checkpoint(commits=1)
    cut_after_two(platform)
    platform.run_speed(rounds=3)


def two_archivers_work_side_by_side(platform: Platform) -> None:
    cut_after_two(platform)
    platform.archive()
    platform.publish()


Schedule = Callable[[Platform], None]
PLANTED: list[tuple[Schedule, Parts]] = [
    (a_drain_ends_before_the_newest_cut, Parts(batch=planted.BorderOfTime)),
    (
        batch_cuts_behind_what_a_sleeping_job_goes_on_to_consume,
        Parts(speed=planted.IgnoresForeignCuts),
    ),
    (
        shards_come_back_empty_while_the_log_is_idle,
        Parts(speed=planted.TrustsRedis, reader=planted.ReadsNoStamps),
    ),
    (a_torn_plan_is_made_anew_with_more_records, Parts(speed=planted.ForgetsTheIntent)),
    (a_cut_divides_a_micro_batch_that_is_replayed, Parts(speed=planted.ReplaysByNewCuts)),
    (the_job_dies_between_two_shards, Parts(speed=planted.MarksAreSeen)),
    (a_copy_comes_after_a_generation_began, Parts(speed=planted.KnowsNoEarlierCopies)),
    (a_query_sleeps_across_two_publishes, Parts(reader=planted.ReadsNoFloors)),
    (the_job_dies_before_its_progress, Parts(speed=planted.BareIncrement)),
    (the_job_dies_before_its_progress, Parts(speed=planted.TouchesLater)),
    (a_slow_publisher_ends_after_a_fast_one, Parts(publications=planted.LastWriterWins)),
    (
        a_generation_begins_where_cuts_are_newer_than_the_boundary,
        Parts(speed=planted.StartsAtTheNewestCut),
    ),
    (two_archivers_work_side_by_side, Parts(batch=planted.TwoArchivers)),
]


def play(schedule: Schedule, parts: Parts) -> None:
    platform = Platform(parts)
    schedule(platform)
    platform.check()
    platform.ask()
    platform.rest()
    platform.check()


def name_of(part: object) -> str:
    if isinstance(part, Parts):
        plain = Parts()
        return "+".join(kind.__name__ for name, kind in vars(part).items() if kind is not vars(plain)[name])
    return getattr(part, "__name__", "")


@pytest.mark.parametrize(("schedule", "simpler"), PLANTED, ids=name_of)
def test_a_schedule_breaks_the_simpler_protocol_and_not_this_one(schedule: Schedule, simpler: Parts) -> None:
    play(schedule, Parts())
    with pytest.raises(AssertionError):
        play(schedule, simpler)
