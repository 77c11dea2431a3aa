"""Once a second: does Redis still hold what was written, up to when is nothing missing, and who says so."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Thread

from core.cuts import reaches
from core.errors import SourceUnusable, StateLost
from core.handoff import Lease, Progress, as_of, check_same_log
from core.logs import Logger
from speed_layer.faults import RedisAway, RedisFull, Superseded
from speed_layer.janitor import Janitor
from speed_layer.log import Log
from speed_layer.micro_batches import MicroBatches
from speed_layer.state import Server, SpeedState

__all__ = ["NOEVICTION", "Heartbeat", "require_stamps"]

NOEVICTION = "noeviction"

_SECONDS = 1.0
_SILENCE = 5.0  # between two lines about the same trouble


def require_stamps(stamps: Sequence[int | None], batch: int) -> None:
    """Raises `StateLost` unless every shard holds micro-batch `batch` or a newer one."""
    behind = {shard: held for shard, held in enumerate(stamps) if held is None or held < batch}
    if behind:
        raise StateLost(f"micro-batch {batch} was written, and these shards hold older ones: {behind}")


@dataclass
class Heartbeat:
    """Of one generation, from `start` to `close`. `failure` is why it ended before."""

    batches: MicroBatches
    state: SpeedState
    source: Log
    log: Logger
    janitor: Janitor
    target: dict[int, int]
    window: int
    clock: Callable[[], float] = time.time
    failure: Exception | None = None
    _as_of: float | None = None
    _server: Server | None = None
    _threads: list[Thread] = field(default_factory=list)
    _closed: bool = False

    def start(self) -> None:
        for work in (self.beat, self.clean):
            thread = Thread(target=self._repeat, args=(work,), name=work.__name__, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        self._closed = True
        for thread in self._threads:
            thread.join(10)

    def _repeat(self, work: Callable[[], None]) -> None:
        spoke = float("-inf")
        while not self._closed and self.failure is None:
            began = time.monotonic()
            try:
                work()
            except (RedisAway, RedisFull, SourceUnusable) as error:
                if began - spoke >= _SILENCE:
                    self.log.warning("heartbeat_failed", what=work.__name__, reason=str(error))
                    spoke = began
            except Exception as error:  # noqa: BLE001  raised again in the main thread
                self.failure = error
            self.batches.stop.wait(max(0.05, began + _SECONDS - time.monotonic()))

    def beat(self) -> None:
        """One heartbeat. Raises `StateLost`, `StartOver` or `Superseded` if this generation cannot go on."""
        progress = self.batches.progress
        require_stamps(self.state.stamps(self.batches.generation), progress.batch)
        self._require_lead()
        self._inspect()
        self._renew(progress)
        self.use_if_caught_up()
        self._maintain()

    def _require_lead(self) -> None:
        """Another job may have begun a generation without claiming this one."""
        generation, writing = self.batches.generation.id, self.state.writing()
        if not self.batches.leads or writing == generation:
            return
        if writing is None:
            raise StateLost("Redis lost which generation is written")
        raise Superseded(f"generation {writing} is written, and not {generation} any more")

    def _inspect(self) -> None:
        """The server may be another one, or may have been told to drop what it likes."""
        server, former = self.state.server(), self._server
        if former is not None and server.run_id != former.run_id:
            self.log.warning("redis_restarted", consequence="it holds all that was written: going on")
            former = None
        evicted = server.evicted - (former.evicted if former else 0)
        if server.policy != NOEVICTION or (former and evicted):
            self.state.condemn(self.batches.generation)
            raise StateLost(
                f"Redis may have dropped parts unseen: its maxmemory-policy is {server.policy}, and it "
                f"evicted {evicted} keys"
            )
        self._server = server

    def _renew(self, checked: Progress) -> None:
        """Vouch for what was written when the stamps were checked; of newer micro-batches say nothing."""
        try:
            self._as_of = self.measure()
        except SourceUnusable as error:
            self.log.warning("log_unreachable", reason=str(error), consequence="as_of stands still")
        if self._as_of is not None:
            trouble = self.batches.trouble
            note = None if trouble is None else f"nothing advances: {trouble}"
            lease = Lease(checked.batch, self._as_of, self.clock(), note)
            self.state.renew(self.batches.generation.id, lease)

    def measure(self) -> float | None:
        """The time up to which nothing acknowledged is missing; None if that is not known.

        Raises `ForeignLog` if another log stands under the name of the one that is written.
        """
        checked_at = self.clock()  # before the ends: what comes between must not count as known
        ends = self.source.ends()
        self._require_same_log()
        consumed = self.batches.progress.end
        behind = {p: consumed.get(p, 0) for p, end in ends.items() if end > consumed.get(p, 0)}
        oldest = self.source.times(behind)
        if set(oldest) != set(behind):
            return self._as_of
        return as_of(checked_at, ends, consumed, oldest)

    def _require_same_log(self) -> None:
        """After its ends were read: a log that was made anew would pass for one that is all consumed."""
        meta = self.batches.generation
        known = meta.cluster_id, meta.topic_id
        check_same_log(known, (meta.cluster_id, self.source.topic_id()), meta.source)

    def use_if_caught_up(self) -> None:
        """Readers move to a generation once it has written what the log held when it was opened."""
        generation = self.batches.generation.id
        if not self.batches.leads:
            return
        if self.state.current() != generation and reaches(self.batches.progress.end, self.target):
            self.state.use(generation)
            self.log.info("generation_in_use", reason="it has caught up")

    def _maintain(self) -> None:
        if self.batches.lock.acquire(blocking=False):
            try:
                self.batches.maintain()
            finally:
                self.batches.lock.release()

    def clean(self) -> None:
        """One round of deleting."""
        generation = self.batches.generation
        self.janitor.drop_segments(generation, self.batches.progress.floor)
        self.janitor.drop_marks(generation, self.window, self.batches.segment())
        self.janitor.drop_events(generation, self.window, self.batches.progress.floor)
        if self.batches.leads and self.state.current() == generation.id:
            self.janitor.drop_generations()
