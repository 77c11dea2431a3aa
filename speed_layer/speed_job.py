"""The life of the speed job: one generation after the other, each written until it cannot go on."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.settings import Settings, SettingsError
from core.application import BoundSource
from core.cuts import reaches
from core.errors import SourceUnusable, StateLost
from core.folders import Folders
from core.handoff import Generation, Progress
from core.layout import Layout
from core.logs import Logger
from speed_layer.clients import RedisAddress
from speed_layer.faults import RedisAway, RedisFull, StartOver
from speed_layer.heartbeat import Heartbeat
from speed_layer.janitor import Janitor
from speed_layer.log import Log
from speed_layer.micro_batches import MicroBatches, Stopped
from speed_layer.opening import Opening
from speed_layer.pipeline import Pipeline
from speed_layer.plan import Plan
from speed_layer.session import start_query
from speed_layer.state import SpeedState

__all__ = ["SpeedJob"]

_Answer = TypeVar("_Answer")
_LOOK = 0.1  # seconds between two looks at the query
_SHORT_LIFE = 10.0


@dataclass
class SpeedJob:
    """Writes the speed state of one source until it is stopped, or has caught up if that is all it is for."""

    spark: SparkSession
    settings: Settings
    bound: BoundSource
    source: Log
    redis: RedisAddress
    log: Logger
    stop: Event = field(default_factory=Event)
    until_caught_up: bool = False
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        name = self.bound.source.name
        self.folders = Folders(self.settings.data_dir, name)
        self.layout = Layout(self.settings.namespace, name)
        self.state = SpeedState(self.redis.connect(), self.layout)
        self.cuts, self.publications = self.folders.cuts(), self.folders.publications()
        self.opening = Opening(self.settings, self.bound, self.source, self.state, self.folders, self.log)
        self.janitor = Janitor(self.state, self.folders.checkpoint("x").parent, self.log)
        self._condemned: dict[str, str] = {}
        self._failures = 0

    def run(self) -> None:
        """Raises `LambdaError` for what only an operator can mend."""
        self._patiently(self._require_noeviction)
        while not self.stop.is_set():
            began = self.clock()
            generation, progress, target = self._patiently(self._open)
            batches = self._batches(generation, progress)
            try:
                return self._stream(batches, target)
            except (StartOver, StateLost) as error:
                self._condemned[generation.id] = str(error)
                self.log.warning("generation_ended", generation=generation.id, reason=str(error))
            except StreamingQueryException as error:
                self._second_try(batches, progress.batch, error)
            if self.clock() - began < _SHORT_LIFE:
                self.stop.wait(1.0)

    def _require_noeviction(self) -> None:
        policy = self.state.eviction()
        if policy != "noeviction":
            raise SettingsError(
                "maxmemory-policy of Redis",
                policy,
                "must be noeviction, for any other drops parts of the speed state unseen",
            )

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """`ask`, until Redis and Kafka answer."""
        wait = 0.25
        while True:
            try:
                return ask()
            except (RedisAway, RedisFull, SourceUnusable) as error:
                if isinstance(error, SourceUnusable) and "compaction" in str(error):
                    raise
                self.log.warning("waiting", reason=str(error))
            if self.stop.wait(wait):
                raise Stopped("before the start")
            wait = min(wait * 2, 5.0)

    def _open(self) -> tuple[Generation, Progress, dict[int, int]]:
        """The generation to write, where it stands, and the log's end now."""
        target = self.source.ends()
        return *self.opening.open(self._condemned), target

    def _stream(self, batches: MicroBatches, target: dict[int, int]) -> None:
        """Write one generation; returns when the job is to end, raises when the generation is at its end."""
        window = self.settings.dedupe_window
        heartbeat = Heartbeat(batches, self.state, self.source, batches.log, self.janitor, target, window)
        with ExitStack() as stack:
            heartbeat.start()
            stack.callback(heartbeat.close)
            query = start_query(
                self.spark,
                self.settings,
                self.bound.source.topic,
                batches.progress.end,
                self.folders.checkpoint(batches.generation.id),
                batches,
            )
            stack.callback(_stop, query)
            stack.callback(batches.ended.set)
            self._watch(query, batches, heartbeat, target)
        self._release(batches.generation)

    def _batches(self, generation: Generation, progress: Progress) -> MicroBatches:
        pipeline = Pipeline(
            self.bound,
            Plan.of(self.bound.views),
            self.redis,
            self.layout,
            generation.id,
            generation.shards,
            self.settings.dedupe_window,
            self.spark.sparkContext.defaultParallelism,
        )
        return MicroBatches(
            generation,
            progress,
            self.state,
            pipeline,
            self.opening.checkpoint(generation.id),
            self.cuts,
            self.publications,
            self.settings.cut_interval,
            self.log.bind(generation=generation.id),
            self.stop,
        )

    def _watch(
        self, query: StreamingQuery, batches: MicroBatches, heartbeat: Heartbeat, target: dict[int, int]
    ) -> None:
        while not self.stop.wait(_LOOK):
            if heartbeat.failure is not None:
                raise heartbeat.failure
            if not _active(query):
                return self._ended(query, batches)
            if self.until_caught_up and reaches(batches.progress.end, target):
                return self._patiently(heartbeat.use_if_caught_up)
        return None

    def _ended(self, query: StreamingQuery, batches: MicroBatches) -> None:
        """Why the query ended by itself."""
        if isinstance(batches.failure, Stopped):
            return
        if batches.failure is not None:
            raise batches.failure
        raise query.exception() or StreamingQueryException("the query ended without a reason")

    def _second_try(self, batches: MicroBatches, began_at: int, error: StreamingQueryException) -> None:
        """The query failed outside a micro-batch: Kafka is away, records are gone, the checkpoint is torn.

        Try again from where it was; if that fails at once, from the boundary; if that fails at once, give up.
        """
        reason = str(error).splitlines()[0]
        self._failures = 1 if batches.progress.batch > began_at else self._failures + 1
        if self._failures > 2:
            raise error
        if self._failures == 2:
            self._condemned[batches.generation.id] = reason
        self.log.warning("query_failed", generation=batches.generation.id, reason=reason)

    def _release(self, generation: Generation) -> None:
        try:
            self.state.release(generation.id)
        except (RedisAway, RedisFull) as error:
            self.log.warning("lease_not_released", reason=str(error), consequence="it expires by itself")


def _active(query: StreamingQuery) -> bool:
    try:
        return query.isActive
    except (Py4JError, OSError) as error:
        raise Stopped("Spark's JVM is gone") from error


def _stop(query: StreamingQuery) -> None:
    """A JVM that got the same signal may be gone already."""
    try:
        query.stop()
    except (Py4JError, OSError, StreamingQueryException):
        return
