"""The life of the speed job: one generation after the other, each written until it cannot go on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from conf.settings import Settings, SettingsError
from core.application import BoundSource
from core.cuts import reaches
from core.errors import SourceUnusable, StateLost
from core.folders import Folders
from core.handoff import Generation, Progress
from core.layout import Layout
from core.logs import Logger
from speed_layer.clients import RedisAddress
from speed_layer.faults import RedisAway, RedisFull, SpeedJobRuns, StartOver, Superseded, TaskFailed
from speed_layer.heartbeat import NOEVICTION
from speed_layer.janitor import Janitor
from speed_layer.log import Log
from speed_layer.micro_batches import Stopped
from speed_layer.opening import Opening
from speed_layer.state import SpeedState
from speed_layer.succession import Interrupted, Succession
from speed_layer.writers import Writers

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
        folders = Folders(self.settings.data_dir, name)
        self.state = SpeedState(self.redis.connect(), Layout(self.settings.namespace, name))
        self.opening = Opening(self.settings, self.bound, self.source, self.state, folders, self.log)
        self.writers = Writers(
            self.spark,
            self.settings,
            self.bound,
            self.source,
            self.redis,
            self.state,
            folders,
            folders.cuts(),
            Janitor(self.state, folders.checkpoint("x").parent, self.log),
            self.log,
            self.stop,
        )
        self._condemned: dict[str, str] = {}
        self._failures = 0

    def run(self) -> None:
        """Raises `LambdaError` for what only an operator can mend."""
        while not self.stop.is_set():
            began = self.clock()
            generation, progress, target = self._patiently(self._open)
            self._leader = self.writers.leader(generation, progress, target)
            try:
                return self._lead(target)
            except (StartOver, StateLost) as error:
                self._condemn(str(error))
            except (Superseded, Interrupted) as error:
                self.log.warning("starting_again", reason=str(error))
            except (StreamingQueryException, TaskFailed) as error:
                self._second_try(error)
            if self.clock() - began < _SHORT_LIFE:
                self.stop.wait(1.0)

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
        self._require_noeviction()
        self._refuse_rival()
        target = self.source.ends()
        return *self.opening.open(self._condemned), target

    def _require_noeviction(self) -> None:
        policy = self.state.server().policy
        if policy != NOEVICTION:
            raise SettingsError(
                "maxmemory-policy of Redis",
                policy,
                "must be noeviction, for any other drops parts of the speed state unseen",
            )

    def _refuse_rival(self) -> None:
        """A lease that a dead job left expires within seconds; one that is renewed has a job behind it."""
        first = found = self.state.rival()
        while first is not None and found is not None:
            generation, lease = found
            if lease.at != first[1].at:
                raise SpeedJobRuns(self.bound.source.name, generation)
            if self.stop.wait(_LOOK):
                raise Stopped("before the start")
            found = self.state.rival()

    def _lead(self, target: dict[int, int]) -> None:
        """Write one generation after the other that succeeds it, until the job is to end or one fails."""
        succession = Succession(self.opening, self.writers, self.state, self._condemned, self.log)
        try:
            while not self.stop.wait(_LOOK) and self._leader.runs():
                if not self.until_caught_up:
                    self._leader = succession.step(self._leader)
                elif reaches(self._leader.end, target):
                    self._patiently(self._leader.heartbeat.use_if_caught_up)
                    break
        finally:
            succession.close()
            self._leader.close()
        self._leader.release()

    def _condemn(self, reason: str) -> None:
        generation = self._leader.generation.id
        self._condemned[generation] = reason
        self.log.warning("generation_ended", generation=generation, reason=reason)

    def _second_try(self, error: StreamingQueryException | TaskFailed) -> None:
        """The query failed: Kafka is away, records are gone, the checkpoint is torn, a worker was killed.

        Try again from where it was; if that fails at once, from the boundary; if that fails at once, give up.
        """
        reason, generation = str(error).splitlines()[0], self._leader.generation.id
        self._failures = 1 if self._leader.advanced else self._failures + 1
        if self._failures > 2:
            raise error
        if self._failures == 2:
            self._condemned[generation] = reason
        self.log.warning("query_failed", generation=generation, reason=reason)
