"""What writes a generation: a query that brings micro-batches, and a heartbeat that vouches for them."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.settings import Settings
from core.application import BoundSource
from core.corrections import corrections_of
from core.cuts import CutRegistry, Offsets
from core.errors import StateLost
from core.folders import Folders
from core.handoff import Generation, Progress
from core.logs import Logger
from speed_layer.checkpoint import Checkpoint
from speed_layer.clients import RedisAddress
from speed_layer.faults import RedisAway, RedisFull, Superseded
from speed_layer.heartbeat import Heartbeat
from speed_layer.histories import Histories
from speed_layer.janitor import Janitor
from speed_layer.log import Log
from speed_layer.micro_batches import MicroBatches, Stopped
from speed_layer.pipeline import Pipeline
from speed_layer.plan import Plan
from speed_layer.resolutions import Resolutions
from speed_layer.session import start_query
from speed_layer.state import SpeedState

__all__ = ["Writer", "Writers"]

_SMALLER = 5  # micro-batches of one that follows, so that they hold the leader's up for a moment only


class Writer:
    """One generation that is being written, until `close`."""

    def __init__(self, state: SpeedState, batches: MicroBatches, heartbeat: Heartbeat) -> None:
        self.batches, self.heartbeat = batches, heartbeat
        self._state, self._began_at = state, batches.progress.batch
        self._query: StreamingQuery | None = None
        self._stack = ExitStack()

    @property
    def generation(self) -> Generation:
        return self.batches.generation

    @property
    def end(self) -> Offsets:
        """Where the newest micro-batch that was committed ends."""
        return self.batches.progress.end

    @property
    def advanced(self) -> bool:
        """Whether it has written anything since it was started."""
        return self.batches.progress.batch > self._began_at

    def start(self, query: Callable[[], StreamingQuery]) -> None:
        self.heartbeat.start()
        self._stack.callback(self.heartbeat.close)
        self._query = query()

    def runs(self) -> bool:
        """False once it was told to stop; raises what it failed of."""
        if self.heartbeat.failure is not None:
            raise self.heartbeat.failure
        if self._query is None or _active(self._query):
            return True
        if isinstance(self.batches.failure, Stopped):
            return False
        if self.batches.failure is not None:
            raise self.batches.failure
        raise self._query.exception() or StreamingQueryException("the query ended without a reason")

    def freeze(self, seconds: float) -> bool:
        """Write nothing and make no cut from now on, but vouch for what is written; False if it is busy."""
        if not self.batches.lock.acquire(timeout=seconds):
            return False
        try:
            self.batches.leads = False
            self.batches.ended.set()
        finally:
            self.batches.lock.release()
        self._stop_query()
        return True

    def close(self) -> None:
        """End query and heartbeat. The lease stays, and expires."""
        self.batches.ended.set()
        self._stop_query()
        self._stack.close()

    def release(self) -> None:
        """Nobody vouches for the generation any more, which may be deleted already."""
        try:
            self._state.release(self.generation.id)
        except StateLost:
            return
        except (RedisAway, RedisFull, Superseded) as error:
            self.batches.log.warning(
                "lease_not_released", reason=str(error), consequence="it expires by itself"
            )

    def _stop_query(self) -> None:
        """A JVM that got the same signal may be gone already."""
        query, self._query = self._query, None
        if query is None:
            return
        try:
            query.stop()
        except (Py4JError, OSError, StreamingQueryException):
            return


def _active(query: StreamingQuery) -> bool:
    try:
        return query.isActive
    except (Py4JError, OSError) as error:
        raise Stopped("Spark's JVM is gone") from error


@dataclass(frozen=True)
class Writers:
    """Starts writers of one source."""

    spark: SparkSession
    settings: Settings
    bound: BoundSource
    source: Log
    redis: RedisAddress
    state: SpeedState
    folders: Folders
    cuts: CutRegistry
    janitor: Janitor
    log: Logger
    stop: Event

    def leader(self, generation: Generation, progress: Progress, target: dict[int, int]) -> Writer:
        """One that readers move to once it has reached `target`, if they use another."""
        return self._start(self._batches(generation, progress), target, self.settings)

    def follower(self, generation: Generation, progress: Progress, leader: Writer) -> Writer:
        """One that goes no further than `leader` stands, in small micro-batches."""
        batches = self._batches(generation, progress)
        batches.leads, batches.pace = False, lambda: leader.end
        smaller = max(1, self.settings.max_offsets_per_trigger // _SMALLER)
        return self._start(batches, {}, self.settings.model_copy(update={"max_offsets_per_trigger": smaller}))

    def _start(self, batches: MicroBatches, target: dict[int, int], settings: Settings) -> Writer:
        heartbeat = Heartbeat(
            batches, self.state, self.source, batches.log, self.janitor, target, settings.dedupe_window
        )
        writer = Writer(self.state, batches, heartbeat)

        def query() -> StreamingQuery:
            checkpoint = self.folders.checkpoint(batches.generation.id)
            topic, start = self.bound.source.topic, batches.progress.end
            return start_query(self.spark, settings, topic, start, checkpoint, batches)

        try:
            writer.start(query)
        except BaseException:
            writer.close()
            raise
        return writer

    def _batches(self, generation: Generation, progress: Progress) -> MicroBatches:
        pipeline = Pipeline(
            self.bound,
            Plan.of(self.bound.views, self.bound.declarations),
            self.redis,
            self.state.layout,
            generation.id,
            self.state.token,
            generation.shards,
            self.settings.dedupe_window,
            self.spark.sparkContext.defaultParallelism,
            self.folders,
            generation.semantics,
            Resolutions(self.folders).path(generation.resolution),
        )
        corrects = corrections_of(self.bound.source) is not None
        return MicroBatches(
            generation,
            progress,
            self.state,
            pipeline,
            Checkpoint(self.folders.checkpoint(generation.id), self.bound.source.topic),
            self.cuts,
            self.folders.publications(),
            self.settings.cut_interval,
            self.log.bind(generation=generation.id),
            self.stop,
            histories=Histories(self.folders, generation.semantics, self.log) if corrects else None,
        )
