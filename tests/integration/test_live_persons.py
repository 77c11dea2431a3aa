"""Live answers about a person over a real log and a real Redis, with a speed job that writes what is sent."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from conf.settings import Settings
from serving_layer.answers import compose
from serving_layer.changes import RedisChanges
from serving_layer.interests import Interest, interest_of
from serving_layer.listeners import Given
from serving_layer.live import PAUSE, Live, Watched
from serving_layer.questions import Question, parse_question
from tests.identity_kit import LOG, Asking, People, event, open_people, said
from tests.speed_kit import running, until
from tests.unit.test_serving_live import Ear, data

pytestmark = pytest.mark.timeout(900)

PATIENCE = 120  # seconds: a machine may have other work


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[People]:
    with open_people(spark, settings, redis_client, topic) as opened:
        yield opened


@dataclass
class Hall:
    """An API process's watcher, round by round."""

    world: People
    asking: Asking

    def __post_init__(self) -> None:
        desk = self.asking.desk
        changes = RedisChanges(self.world.layout, self.asking.pipe, desk.semantics)
        watched = {self.world.name: Watched(self.asking.watch, changes)}
        self.live = Live(self._ask, self._concern, watched, 10, 1e9, log=LOG)

    async def _ask(self, view: str, given: Given) -> dict[str, Any]:
        question = self._question(view, given)
        return compose(question, await self.asking.desk.ask(question))

    def _concern(self, view: str, given: Given) -> Interest:
        return interest_of(self._question(view, given), self.asking.desk.pairs)

    def _question(self, view: str, given: Given) -> Question:
        return parse_question(self.asking.desk.bound.view(view), given)

    async def ear(self, person: str) -> Ear:
        return Ear(await self.live.join(self.world.name, "by_person", (("person", person),), None))

    async def hears(self, ear: Ear, count: int) -> None:
        """Rounds until an answer has so many events."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for text in await ear.hear():
                    told = data(text)["rows"][0]["measures"]["n"]
                    if told == count:
                        return
                await asyncio.sleep(PAUSE)
                self.asking.watch.look()
                await self.live.round()


def test_a_listener_hears_of_every_id_of_a_person_and_of_pairs(world: People) -> None:
    async def listen(hall: Hall) -> None:
        hall.asking.watch.look()
        await hall.asking.pipe.start()
        try:
            mine, other = await hall.ear("b"), await hall.ear("z")
            await hall.hears(mine, 2)
            world.send(1, event("2a", "a"))
            await hall.hears(mine, 3)
            world.send(0, said("3c", "c", "a"))  # joins c, who has an event, and is one itself
            await hall.hears(mine, 5)
            world.send(1, event("4c", "c"))
            await hall.hears(mine, 6)
            world.send(0, said("5c", "a", "c", undone=True))
            await hall.hears(mine, 4)
            world.send(1, event("6z", "z"))
            await hall.hears(other, 1)
        finally:
            await hall.asking.pipe.stop()

    world.send(0, said("1a", "a", "b"), event("1b", "b"))
    world.send(1, event("1c", "c"))
    with running(replace(world.job(), until_caught_up=False)):
        until(lambda: world.redis.get(world.layout.current()))
        asyncio.run(listen(Hall(world, world.asking())))
