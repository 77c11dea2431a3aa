"""The hand-off under any schedule: crashes at every step, late publishers, lost state, new definitions.

What is asserted of every answer that calls itself complete: it holds each event sent before `as_of` once, and
nothing that was never sent. And once everything is let run to its end, answers are complete and exact.
`MODEL_SCHEDULES=20000 pytest tests/unit/test_model.py` runs many more, each of them longer.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.platform import Parts, Platform

which = st.integers(0, 1)
appetite = st.sampled_from([1, 2, 1000])


class Schedules(RuleBasedStateMachine):
    parts = Parts()

    @initialize(history=st.integers(0, 3))
    def start(self, history: int) -> None:
        """Some schedules begin where there is a generation, a cut, or a publish already."""
        self.platform = Platform(self.parts)
        self.platform.run_speed(rounds=min(history, 1))
        if history > 1:
            self.platform.send(partition=0, key="a")
            self.platform.send(partition=1, key="b")
            self.platform.run_speed(rounds=2)
        if history > 2:
            self.platform.publish()

    @rule(
        places=st.lists(st.integers(0, 2), min_size=1, max_size=3),
        key=st.sampled_from("ab"),
        bucket=st.sampled_from([0, 3600]),
        fate=st.sampled_from([(True, False)] * 4 + [(False, False), (False, True)]),
    )
    def send(self, places: list[int], key: str, bucket: int, fate: tuple[bool, bool]) -> None:
        for partition in places:
            self.platform.send(partition, key, bucket, *fate)

    @precondition(lambda self: self.platform.copied())
    @rule(data=st.data())
    def send_a_copy(self, data: Any) -> None:
        self.platform.send_again(data.draw(st.sampled_from(self.platform.copied())))

    @rule(appetite=appetite, rounds=st.integers(1, 3))
    def run_the_speed_job(self, appetite: int, rounds: int) -> None:
        self.platform.run_speed(appetite, rounds)

    @rule(appetite=appetite, count=st.integers(1, 12))
    def let_the_speed_job_stand_still(self, appetite: int, count: int) -> None:
        self.platform.step_speed(count, appetite)

    @rule(appetite=appetite, count=st.integers(1, 12))
    def kill_the_speed_job_on_its_way(self, appetite: int, count: int) -> None:
        self.platform.step_speed(count, appetite)
        self.platform.kill_speed()

    @rule()
    def ask_for_a_rebuild(self) -> None:
        self.platform.ask_for_a_rebuild()

    @rule(appetite=appetite, count=st.integers(1, 12))
    def let_a_rebuild_stand_still(self, appetite: int, count: int) -> None:
        self.platform.step_rebuild(count, appetite)

    @rule(appetite=appetite, force=st.booleans())
    def publish(self, appetite: int, force: bool) -> None:
        self.platform.publish(appetite, force)

    @precondition(lambda self: len(self.platform.world.tables) > 1)
    @rule(version=st.integers(0, 6))
    def roll_back(self, version: int) -> None:
        self.platform.roll_back(version)

    @precondition(lambda self: self.platform.batch.versions.held())
    @rule()
    def roll_forward(self) -> None:
        self.platform.roll_forward()

    @rule(which=which, count=st.integers(1, 5), appetite=appetite)
    def let_a_publisher_stand_still(self, which: int, count: int, appetite: int) -> None:
        self.platform.step_batch(which, count, appetite)

    @rule()
    def ask(self) -> None:
        self.platform.ask()

    @rule(which=which, count=st.integers(1, 4))
    def let_a_query_stand_still(self, which: int, count: int) -> None:
        self.platform.step_query(which, count)

    @rule()
    def let_all_come_to_rest(self) -> None:
        self.platform.rest()

    @rule(data=st.data())
    def misfortune(self, data: Any) -> None:
        platform, world = self.platform, self.platform.world
        happenings = {
            "leases expire": platform.expire_leases,
            "an archiver goes on": lambda: platform.archive(data.draw(appetite)),
            "a publisher dies": lambda: platform.kill_batch(data.draw(which)),
            "the plan is torn": platform.tear_checkpoint,
            "old generations go": platform.remove_old_generations,
        }
        if len(world.log) < 3:
            happenings["a partition is added"] = lambda: world.log.append([])
        if world.redis.writing in world.redis.shards:
            happenings["a shard is saved"] = lambda: platform.save_shard(data.draw(which))
        if world.redis.snapshots:
            last = len(world.redis.snapshots) - 1
            happenings["a shard rewinds"] = lambda: platform.rewind_shard(data.draw(st.integers(0, last)))
        if world.losses.known():
            happenings["the log drops records"] = lambda: platform.drop_records(
                data.draw(which), data.draw(appetite)
            )
            happenings["losses are accepted"] = platform.accept_losses
        if not world.aliases:
            happenings["names are joined"] = platform.join_names
        if world.semantics < 3:
            happenings["definitions change"] = platform.change_definitions
            happenings["an old checkpoint"] = lambda: platform.tear_checkpoint(1)
        happenings[data.draw(st.sampled_from(sorted(happenings)))]()

    @invariant()
    def what_always_holds(self) -> None:
        self.platform.check()


MORE = int(os.environ.get("MODEL_SCHEDULES", "0"))
Schedules.TestCase.settings = settings(
    max_examples=MORE or 150,
    stateful_step_count=80 if MORE else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSchedules = pytest.mark.timeout(36_000 if MORE else 300)(Schedules.TestCase)
