"""Schedules in which users become one person: chains and circles, late pairs, pairs that are undone."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.machine import Schedules
from tests.model.persons.people import USERS
from tests.model.persons.platform import PersonParts, PersonPlatform
from tests.model.speed import CUT_INTERVAL

users, which = st.sampled_from(USERS), st.integers(0, 1)


class PersonSchedules(Schedules):
    kind = PersonPlatform
    parts = PersonParts()

    @rule(
        some=st.lists(st.tuples(which, users), min_size=1, max_size=4),
        key=st.sampled_from("ab"),
        bucket=st.sampled_from([0, 3600]),
    )
    def visit(self, some: list[tuple[int, str]], key: str, bucket: int) -> None:
        for partition, user in some:
            self.people.send(partition, key, bucket, user=user)

    @rule(
        chain=st.lists(users, min_size=2, max_size=4),
        data=st.data(),
        undone=st.sampled_from([False, False, True]),
    )
    def join(self, chain: list[str], data: Any, undone: bool) -> None:
        """Or take back; an id and itself say nothing."""
        for one, other in pairwise(chain):
            self.people.join(one, other, data.draw(which), undone)

    @rule(pair=st.permutations(USERS), partition=which, valid=st.booleans(), undone=st.booleans())
    def say_something_of_two(self, pair: list[str], partition: int, valid: bool, undone: bool) -> None:
        """Also in an event that the contract refuses, or refused first."""
        self.people.send(partition, valid=valid, heals=not valid, user=pair[0], same=pair[1], undone=undone)

    @rule(users=st.permutations(USERS), publish=st.booleans(), partition=which)
    def join_two_groups_late(self, users: list[str], publish: bool, partition: int) -> None:
        """By one pair, after each of them was counted as one."""
        for one, other in pairwise(users):
            if other != users[len(users) // 2]:
                self.people.join(one, other, partition)
        self.people.world.now += CUT_INTERVAL
        self.people.run_speed()
        if publish:
            self.people.publish()
            self.people.run_speed(rounds=3)
        self.people.join(users[-1], users[0], 1 - partition)

    @precondition(lambda self: self.people.said())
    @rule(data=st.data(), partition=which)
    def contradict(self, data: Any, partition: int) -> None:
        """The opposite of what was said of two, perhaps on another partition."""
        said = data.draw(st.sampled_from(self.people.said()))
        self.people.contradict(said, partition)

    @rule(pair=st.permutations(USERS), undone=st.booleans(), data=st.data(), rounds=st.integers(0, 3))
    def go_on_behind_a_publish(self, pair: list[str], undone: bool, data: Any, rounds: int) -> None:
        """By which other ids may be one person: what comes then is counted before the rebuild, or in it."""
        self.people.join(pair[0], pair[1], data.draw(which), undone)
        self.people.world.now += CUT_INTERVAL
        self.people.run_speed()
        self.people.publish()
        for user in pair[:3]:
            self.people.send(data.draw(which), user=user)
        self.people.world.now += CUT_INTERVAL
        self.people.run_speed(rounds=rounds)
        self.people.ask()
        if data.draw(st.booleans()):
            self.people.publish()

    @precondition(lambda self: self.people.world.redis.writing in self.people.world.redis.shards)
    @rule(shard=which, pair=st.permutations(USERS))
    def lose_a_pair(self, shard: int, pair: list[str]) -> None:
        """A shard comes back as it was before two became one, and the speed job has not looked yet."""
        self.people.save_shard(shard)
        self.people.join(pair[0], pair[1], shard)
        self.people.run_speed()
        self.people.rewind_shard(-1)
        self.people.ask()

    @rule(which=which, pair=st.permutations(USERS), count=st.integers(1, 70))
    def let_a_query_sleep_while_two_become_one(self, which: int, pair: list[str], count: int) -> None:
        self.people.step_query(which, count)
        self.people.join(pair[0], pair[1], which)
        self.people.run_speed()
        self.people.answer_all()

    def happenings(self, data: Any) -> dict[str, Callable[[], None]]:
        return {**super().happenings(data), "resolutions are lost": self.people.lose_resolutions}

    @property
    def people(self) -> PersonPlatform:
        assert isinstance(self.platform, PersonPlatform)
        return self.platform
