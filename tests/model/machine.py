"""Schedules that Hypothesis draws: what happens to a platform, step by step."""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.parts import Parts
from tests.model.platform import Platform

MORE = int(os.environ.get("MODEL_SCHEDULES", "0"))
TIMEOUT = 36_000 if MORE else 300

which = st.integers(0, 1)
appetite = st.sampled_from([1, 2, 1000])


class Schedules(RuleBasedStateMachine):
    """Of a platform of any kind, which another kind of event extends by rules of its own."""

    kind: type[Platform] = Platform
    parts = Parts()

    @initialize(history=st.integers(0, 3))
    def start(self, history: int) -> None:
        """Some schedules begin where there is a generation, a cut, or a publish already."""
        self.platform = self.kind(self.parts)
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
        happenings = self.happenings(data)
        happenings[data.draw(st.sampled_from(sorted(happenings)))]()

    def happenings(self, data: Any) -> dict[str, Callable[[], None]]:
        """What may befall it now."""
        platform, world = self.platform, self.platform.world
        found: dict[str, Callable[[], None]] = {
            "leases expire": platform.expire_leases,
            "an archiver goes on": lambda: platform.archive(data.draw(appetite)),
            "a publisher dies": lambda: platform.kill_batch(data.draw(which)),
            "the plan is torn": platform.tear_checkpoint,
            "old generations go": platform.remove_old_generations,
        }
        if len(world.log) < 3:
            found["a partition is added"] = lambda: world.log.append([])
        if world.redis.writing in world.redis.shards:
            found["a shard is saved"] = lambda: platform.save_shard(data.draw(which))
        if world.redis.snapshots:
            last = len(world.redis.snapshots) - 1
            found["a shard rewinds"] = lambda: platform.rewind_shard(data.draw(st.integers(0, last)))
        if world.losses.known():
            found["the log drops records"] = lambda: platform.drop_records(
                data.draw(which), data.draw(appetite)
            )
            found["losses are accepted"] = platform.accept_losses
        if platform.joins_names and not world.aliases:
            found["names are joined"] = platform.join_names
        if world.semantics < 3:
            found["definitions change"] = platform.change_definitions
            found["an old checkpoint"] = lambda: platform.tear_checkpoint(1)
        return found

    @invariant()
    def what_always_holds(self) -> None:
        self.platform.check()


def drawn(examples: int) -> settings:
    """So many schedules, or as many as `MODEL_SCHEDULES` says, each of them longer."""
    return settings(
        max_examples=MORE or examples,
        stateful_step_count=80 if MORE else 40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
