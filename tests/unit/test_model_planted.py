"""Schedules on which simpler protocols serve wrong numbers, and this one does not.

A round of the speed job has these steps: follow the cuts, vouch, plan, intend, write shard 0, write shard 1,
progress, commit, cut. A run of the batch job: archive, cut where no leader is, recompute, manifest, point.
"""

from collections.abc import Callable

import pytest

from tests.model import planted, planted_late
from tests.model.parts import Parts
from tests.model.platform import Platform

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


def one_partition_lags_behind_the_other(platform: Platform) -> None:
    platform.run_speed()
    for _ in range(3):
        platform.send(partition=0)
    platform.send(partition=1)
    platform.run_speed(appetite=1)


def a_mended_contract_accepts_what_it_had_refused(platform: Platform) -> None:
    platform.send(valid=False, heals=True)
    cut_after_two(platform)
    platform.publish()
    platform.change_definitions()
    cut_after_two(platform)
    platform.run_speed(rounds=2)
    platform.publish()


def an_accepted_event_was_archived_as_refused(platform: Platform) -> None:
    platform.run_speed()
    platform.send(valid=False, heals=True)
    platform.archive()
    platform.change_definitions()
    cut_after_two(platform)
    platform.publish()


def a_refused_record_lies_among_the_archived(platform: Platform) -> None:
    platform.send(valid=False)
    cut_after_two(platform)
    platform.publish()


def a_cut_is_made_behind_a_rebuild_that_ran_ahead(platform: Platform) -> None:
    cut_after_two(platform)
    platform.ask_for_a_rebuild()
    platform.step_rebuild(3)
    platform.send()
    platform.step_batch(0, 1)
    platform.send()
    platform.step_rebuild(BOTH_SHARDS)
    platform.expire_leases()
    platform.step_batch(0, 1)
    platform.step_rebuild(20)
    platform.run_speed(rounds=3)
    platform.step_batch(0, 20)


def a_rebuild_begins_where_much_is_to_be_read(platform: Platform) -> None:
    cut_after_two(platform)
    platform.ask_for_a_rebuild()
    platform.step_rebuild(3)
    platform.step_rebuild(20, appetite=1)


def the_topic_is_made_anew(platform: Platform) -> None:
    cut_after_two(platform)
    platform.publish()
    platform.make_the_log_anew()
    platform.send()
    platform.run_speed(rounds=2)
    platform.publish()


def the_log_drops_what_was_not_archived(platform: Platform) -> None:
    cut_after_two(platform)
    platform.publish()
    cut_after_two(platform)
    platform.drop_records(0, 3)
    platform.publish()


def names_are_joined_between_two_publishes(platform: Platform) -> None:
    cut_after_two(platform)
    platform.join_names()
    cut_after_two(platform)
    platform.ask()
    platform.publish()
    cut_after_two(platform)


Schedule = Callable[[Platform], None]
PLANTED: list[tuple[int, Schedule, Parts]] = [
    (1, a_drain_ends_before_the_newest_cut, Parts(batch=planted.BorderOfTime)),
    (1, batch_cuts_behind_what_a_sleeping_job_goes_on_to_consume, Parts(speed=planted.IgnoresForeignCuts)),
    (1, a_cut_is_made_behind_a_rebuild_that_ran_ahead, Parts(speed=planted_late.RunsAhead)),
    (
        2,
        shards_come_back_empty_while_the_log_is_idle,
        Parts(speed=planted.TrustsRedis, reader=planted.ReadsNoStamps),
    ),
    (3, a_torn_plan_is_made_anew_with_more_records, Parts(speed=planted.ForgetsTheIntent)),
    (3, a_cut_divides_a_micro_batch_that_is_replayed, Parts(speed=planted.ReplaysByNewCuts)),
    (4, the_job_dies_between_two_shards, Parts(speed=planted.MarksAreSeen)),
    (4, a_copy_comes_after_a_generation_began, Parts(speed=planted.KnowsNoEarlierCopies)),
    (5, one_partition_lags_behind_the_other, Parts(speed=planted.NewestTime)),
    (5, a_query_sleeps_across_two_publishes, Parts(reader=planted.ReadsNoFloors)),
    (6, a_mended_contract_accepts_what_it_had_refused, Parts(batch=planted.DifferenceOfVersions)),
    (7, a_slow_publisher_ends_after_a_fast_one, Parts(publications=planted.LastWriterWins)),
    (8, an_accepted_event_was_archived_as_refused, Parts(batch=planted_late.StaleVerdicts)),
    (8, a_refused_record_lies_among_the_archived, Parts(batch=planted_late.TwoTables)),
    (
        9,
        a_generation_begins_where_cuts_are_newer_than_the_boundary,
        Parts(speed=planted_late.StartsAtTheNewestCut),
    ),
    (9, a_rebuild_begins_where_much_is_to_be_read, Parts(speed=planted_late.TakesTheWriting)),
    (
        10,
        the_topic_is_made_anew,
        Parts(batch=planted_late.TrustsTheName, speed=planted_late.TrustsTheNameToo),
    ),
    (11, the_log_drops_what_was_not_archived, Parts(batch=planted_late.SkipsWhatIsGone)),
    (12, names_are_joined_between_two_publishes, Parts(reader=planted_late.ReadsOneName)),
    (12, names_are_joined_between_two_publishes, Parts(speed=planted_late.CountsByName)),
    (13, the_job_dies_before_its_progress, Parts(speed=planted_late.TouchesLater)),
    (14, two_archivers_work_side_by_side, Parts(batch=planted_late.TwoArchivers)),
]
BESIDES: list[tuple[int, Schedule, Parts]] = [
    (0, the_job_dies_before_its_progress, Parts(speed=planted.BareIncrement)),
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
    return str(part) if isinstance(part, int) else getattr(part, "__name__", "")


@pytest.mark.parametrize(("number", "schedule", "simpler"), [*PLANTED, *BESIDES], ids=name_of)
def test_a_schedule_breaks_the_simpler_protocol_and_not_this_one(
    number: int, schedule: Schedule, simpler: Parts
) -> None:
    play(schedule, Parts())
    with pytest.raises(AssertionError):
        play(schedule, simpler)


def test_each_of_the_fourteen_schedules_has_a_simpler_protocol_that_it_breaks() -> None:
    assert {number for number, _, _ in PLANTED} == set(range(1, 15))
