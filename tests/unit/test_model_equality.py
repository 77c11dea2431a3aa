"""The check at each publish: what changed by itself is found and heals; the model has no other alarm."""

import pytest

from tests.model.platform import Platform


def busy(events: int = 6) -> Platform:
    platform = Platform()
    platform.run_speed()
    for number in range(events):
        platform.send(partition=number % 2, key="ab"[number % 2], bucket=3600 * (number % 3))
    platform.run_speed(rounds=3)
    return platform


@pytest.mark.parametrize("which", range(6))
def test_a_field_that_changed_by_itself_is_found_condemned_and_healed(which: int) -> None:
    platform = busy()
    platform.corrupt(which)
    platform.publish()
    assert len(platform.world.alarms) == 1
    assert any("condemned" in reason for reason in platform.ask().reasons)
    condemned = platform.world.redis.current
    platform.rest()
    assert platform.world.redis.current != condemned
    assert len(platform.world.alarms) == 1


def test_a_rebuild_that_is_killed_anywhere_is_finished_later() -> None:
    for steps in range(1, 12):
        platform = busy()
        platform.ask_for_a_rebuild()
        platform.step_rebuild(3)
        platform.step_rebuild(steps, appetite=1)
        before = platform.ask()
        assert not before.reasons, "the former generation goes on answering"
        platform.kill_speed()
        platform.rest()
        assert platform.world.redis.current != "g0"
        platform.check()


def test_a_state_that_is_behind_is_not_compared() -> None:
    platform = busy()
    platform.send()
    platform.expire_leases()
    platform.publish()
    assert platform.world.checks[-1] == "the speed layer has not passed boundary 2"
    assert platform.world.alarms == []


def test_what_the_log_dropped_before_it_was_archived_is_not_compared() -> None:
    platform = busy()
    platform.publish()
    platform.send()
    platform.send()
    platform.run_speed(rounds=3)
    platform.drop_records(0, 10)
    platform.accept_losses()
    platform.publish()
    assert "are lost" in platform.world.checks[-1]
    platform.rest()
    assert platform.world.alarms == []
