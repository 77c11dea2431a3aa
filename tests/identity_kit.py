"""A source that says which ids are one person, on real servers, and plain Python over what was sent to it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from kafka import KafkaProducer
from pyspark.sql import SparkSession
from redis import Redis

from batch_layer.boundary import RedisSpeed
from batch_layer.clients import RedisAddress as BatchAddress
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from batch_layer.speed_state import RedisSpeedState
from conf.clients import kafka_options, redis_options
from conf.settings import Settings
from core import Count, Identity, Source, Sum, Uniques, View
from core.application import BoundSource
from core.contracts import Contract
from core.groups import resolution, standing, word
from core.layout import Layout
from core.logs import get_logger
from core.manifest import Manifest
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.gathering import KeysDesk
from serving_layer.key_answers import compose_page, compose_query, compose_ranking
from serving_layer.listings import parse_page, parse_ranking
from serving_layer.live_pairs import LivePairs
from serving_layer.master_events import Limits
from serving_layer.past import Past
from serving_layer.past_desks import PastDesks
from serving_layer.pipes import Address, Pipe
from serving_layer.queries import parse_query
from serving_layer.questions import parse_question
from serving_layer.rendering import to_json
from serving_layer.snapshots import Watch
from serving_layer.speed_state import RedisSpeedStore
from tests.speed_kit import World

__all__ = ["CONTRACT", "Asking", "People", "event", "open_people", "said"]

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: visits
version: "1.0.0"
schema:
  - name: visits
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: user, logicalType: string}
      - {name: same_as, logicalType: string}
      - {name: undone, logicalType: boolean}
      - {name: page, logicalType: string}
      - {name: size, logicalType: integer}
"""
AT = 1_767_225_600
LOG = get_logger("test")
Event = dict[str, Any]


def views_of(source: Source) -> list[View]:
    measures = {"n": Count(), "size": Sum("size")}
    return [
        View("by_person", source, key=("person",), measures={**measures, "pages": Uniques("page")}),
        View("by_page", source, key=("page",), measures={"n": Count(), "people": Uniques("person")}),
        View("everybody", source, bucket="1 day", measures={"n": Count(), "people": Uniques("person")}),
        View("by_user", source, key=("user",), measures={"n": Count()}),
    ]


def event(id_: str, user: str | None, hour: int = 0, size: int = 1, page: str = "p") -> Event:
    return {
        "event_id": id_, "event_time": (AT + hour * 3600) * 1000, "user": user, "size": size, "page": page,
        "same_as": None, "undone": None,
    }  # fmt: skip


def said(id_: str, one: str, other: str, undone: bool | None = None) -> Event:
    """An event that says that two ids are one person, or takes it back."""
    return {**event(id_, one), "same_as": other, "undone": undone}


@dataclass
class Asking:
    """What an API process would answer now."""

    desk: Desk
    watch: Watch
    pipe: Pipe

    def one(self, view: str, **given: str) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            question = parse_question(self.desk.bound.view(view), list(given.items()), time.time)
            return compose(question, await self.desk.ask(question), self.desk.shown)

        return self._run(ask)

    def many(self, view: str, keys: Sequence[dict[str, Any]]) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            query = parse_query(self.desk.bound.view(view), to_json({"keys": list(keys)}), time.time)
            return await compose_query(query, await KeysDesk(self.desk, 1000).ask(query))

        return self._run(ask)

    def page(self, view: str, **given: str) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            page = parse_page(self.desk.bound.view(view), list(given.items()), time.time)
            return await compose_page(page, await KeysDesk(self.desk, 1000).page(page))

        return self._run(ask)

    def top(self, view: str, **given: str) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            ranking = parse_ranking(self.desk.bound.view(view), list(given.items()), time.time)
            return await compose_ranking(ranking, await KeysDesk(self.desk, 1000).rank(ranking))

        return self._run(ask)

    def _run(self, ask: Callable[[], Any]) -> dict[str, Any]:
        async def run() -> dict[str, Any]:
            await self.pipe.start()
            try:
                self.watch.look()
                found: dict[str, Any] = await ask()
                return found
            finally:
                await self.pipe.stop()

        return asyncio.run(run())


@dataclass
class People(World):
    """A world whose events are about people."""

    run: BatchRun = field(kw_only=True)

    def publish(self) -> Manifest:
        manifest = self.run.run()
        assert manifest is not None
        return manifest

    def as_of(self, past: Past, view: str, **given: str) -> dict[str, Any]:
        """The answer as of a moment of the past."""
        semantics, limits = self.bound.semantics(self.settings.dedupe_window), Limits(10_000, 10_000)
        desks = PastDesks(self.bound, semantics, self.folders, limits, 60.0, time.time)
        question = parse_question(self.bound.view(view), list(given.items()), time.time)
        return asyncio.run(desks.answer(past, question))

    def asking(self) -> Asking:
        semantics = self.bound.semantics(self.settings.dedupe_window)
        watch = Watch(self.folders, semantics, LOG)
        pipe = Pipe(Address.of(self.settings.redis_address, redis_options(self.settings)), LOG)
        store = RedisSpeedStore(self.layout, pipe, semantics, watch.cuts)
        pairs = LivePairs(self.bound, store, self.folders)
        return Asking(Desk(self.bound, semantics, watch, store, pairs), watch, pipe)

    def events(self) -> Iterator[tuple[int, int, int, Event]]:
        """Segment, partition and offset of every event that counts, in log order."""
        placed = [
            (segment, partition, offset, one)
            for one, segment in self._counted()
            for partition, events in self.sent.items()
            for offset, other in enumerate(events)
            if other is one
        ]
        yield from sorted(placed, key=lambda place: place[:3])

    def persons(self, below: int | None = None) -> dict[str, str]:
        """Ids in groups and their persons, by what events of segments below a cut say, or all."""
        return resolution(standing(self._words(0, below)))

    def known(self, boundary: int) -> dict[str, str]:
        """The same to readers of a version up to a cut: what was undone since then parts nobody yet."""
        since = standing(self._words(boundary, None))
        return resolution([*standing(self._words(0, boundary)), *since])

    def _words(self, first: int, end: int | None) -> list[tuple[str, str, str]]:
        """What events of segments from `first` to before `end` say of two ids."""
        return [
            (one["user"], one["same_as"], word(segment, partition, offset, bool(one["undone"])))
            for segment, partition, offset, one in self.events()
            if one["same_as"] is not None and one["user"] is not None
            if segment >= first and (end is None or segment < end)
        ]

    def counts(self, persons: dict[str, str]) -> dict[str | None, int]:
        """Events by person."""
        found: dict[str | None, int] = {}
        for *_, one in self.events():
            person = persons.get(one["user"], one["user"])
            found[person] = found.get(person, 0) + 1
        return found


def bound_to(topic: str) -> BoundSource:
    source = Source(topic, contract="visits", declares=[Identity("user", "same_as", "undone")])
    return BoundSource.of(source, Contract.load(CONTRACT), {view.name: view for view in views_of(source)})


@contextmanager
def open_people(
    spark: SparkSession,
    settings: Settings,
    redis: Redis,
    topic: Callable[..., str],
    bind: Callable[[str], BoundSource] = bound_to,
    partitions: int = 2,
) -> Iterator[People]:
    bound = bind(topic(partitions=partitions))
    source = bound.source
    small = settings.model_copy(
        update={"shards": 4, "cut_interval": 1.0, "trigger_interval": 0.05, "handoff_wait": 20.0}
    )
    session = build_session("test")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    with (
        KafkaProducer(**kafka_options(settings), acks="all") as producer,
        open_log(small, source.name, LOG, seconds=10) as kafka,
    ):
        layout = Layout(small.namespace, source.name)
        state = RedisSpeedState(BatchAddress.of(small), layout)
        run = BatchRun(session, small, bound, kafka, RedisSpeed(redis, layout, LOG), LOG, state=state)
        yield People(spark, small, redis, bound, producer, {n: [] for n in range(partitions)}, run=run)


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{n}" for n in range(count)]


def chain(prefix: str, ids: Iterable[str]) -> list[Event]:
    """Events that join ids one after the other."""
    known = list(ids)
    return [said(f"{prefix}-{a}-{b}", b, a) for a, b in pairwise(known)]
