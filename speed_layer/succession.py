"""A generation that is rebuilt beside the one that is written, and takes its place once it has caught up.

Both are written by this job. The one that follows begins at readers' boundary, splits its records at the cuts
that are made meanwhile, and stays behind the leader. Once it is close behind, the leader stops; what is left
is written, and in one step of Redis the follower leads and readers use it. Before that step a start finds the
leader as it was, and a follower to go on with; after it, the follower in the leader's place.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pyspark.errors import StreamingQueryException

from core.cuts import Offsets, reaches
from core.errors import LambdaError, SourceUnusable, StateLost
from core.logs import Logger
from core.rebuilds import RebuildRequest
from speed_layer.faults import RedisAway, RedisFull, StartOver, TaskFailed
from speed_layer.opening import Opening
from speed_layer.state import SpeedState
from speed_layer.writers import Writer, Writers

__all__ = ["Interrupted", "Pursuit", "Succession"]

_CLOSE = 10.0  # seconds; a slow machine takes some for one micro-batch of each
_LOOK = 1.0
_PATIENCE = 0.2  # to wait for the leader's micro-batch; it is asked again
_ATTEMPTS = 5


class Interrupted(LambdaError):
    """The follower failed after the leader had stopped for it: both are to be started again."""


@dataclass
class Pursuit:
    """Whether a follower is close: it came within some seconds to where the leader had been."""

    clock: Callable[[], float] = time.monotonic
    _mark: Offsets | None = None
    _at: float = 0.0

    def close(self, leader: Offsets, follower: Offsets) -> bool:
        """To be asked often."""
        if self._mark is not None and not reaches(follower, self._mark):
            return False
        close = self._mark is not None and self.clock() - self._at <= _CLOSE
        self._mark, self._at = dict(leader), self.clock()
        return close


@dataclass
class Succession:
    """Of one source, while one writer leads. Adds to `condemned`: generations not to be resumed, and why."""

    opening: Opening
    writers: Writers
    state: SpeedState
    condemned: dict[str, str]
    log: Logger
    clock: Callable[[], float] = time.monotonic
    follower: Writer | None = None
    _frozen: bool = False
    _failures: int = 0
    _given_up: str | None = None  # persons for which a rebuild failed: it is not asked for again
    _not_before: float = float("-inf")
    _pursuit: Pursuit = field(default_factory=Pursuit)

    def step(self, leader: Writer) -> Writer:
        """The writer that leads from now on. To be called often.

        Raises `Interrupted` or `Superseded`; whatever else goes wrong with a rebuild is tried again.
        """
        try:
            if self.follower is None:
                self._look(leader)
                return leader
            return self._step(leader, self.follower)
        except (RedisAway, SourceUnusable) as error:
            self._pause(_LOOK)
            self.log.warning("rebuild_waits", reason=str(error))
        except (RedisFull, StartOver, StateLost, StreamingQueryException, TaskFailed) as error:
            self._fail(error)
        return leader

    def close(self) -> None:
        if self.follower is not None:
            self.follower.close()
        self.follower, self._frozen = None, False

    def _look(self, leader: Writer) -> None:
        """Whether somebody asks for a rebuild; once a second."""
        if self.clock() < self._not_before:
            return
        self._pause(_LOOK)
        request = self.state.requested() or self._own_request(leader)
        if request is None:
            return
        if request.replace == leader.generation.id:
            self.log.info("rebuild_begun", generation=request.replace, reason=request.reason)
            self.follower = self.writers.follower(*self.opening.follow(self.condemned), leader)
            self._pursuit = Pursuit(self.clock)
        elif request.replace != self.state.current():
            self.state.withdraw()

    def _own_request(self, leader: Writer) -> RebuildRequest | None:
        """Where a publish says that other ids are one person than those by which the leader counts."""
        wanted, mine = self.opening.resolution(), leader.generation
        if mine.resolution == wanted or wanted == self._given_up or self.state.current() != mine.id:
            return None
        reason = "a publish says that other ids are one person"
        return self.state.request(RebuildRequest(mine.id, reason))

    def _step(self, leader: Writer, follower: Writer) -> Writer:
        if not follower.runs():
            return leader
        if isinstance(follower.batches.trouble, RedisFull):
            raise follower.batches.trouble
        if not self._frozen:
            self._frozen = self._pursuit.close(leader.end, follower.end) and leader.freeze(_PATIENCE)
            if self._frozen:
                follower.batches.pace = None
        elif reaches(follower.end, leader.end):
            return self._succeed(leader, follower)
        return leader

    def _succeed(self, leader: Writer, follower: Writer) -> Writer:
        self.state.lead(leader.generation.id, follower.generation.id, use=True)
        follower.batches.lead(leader.batches)
        self.follower, self._frozen, self._failures = None, False, 0
        follower.batches.log.info("generation_in_use", reason="it was rebuilt, and has caught up")
        leader.close()
        leader.release()
        return follower

    def _fail(self, error: Exception) -> None:
        reason, frozen = str(error).splitlines()[0], self._frozen
        self._failures = 1 if self.follower and self.follower.advanced else self._failures + 1
        may_pass = isinstance(error, StreamingQueryException | TaskFailed) and self._failures < 2
        if self.follower and not may_pass:
            self.condemned[self.follower.generation.id] = reason
        self.log.warning("rebuild_failed", reason=reason, attempt=self._failures)
        self.close()
        if isinstance(error, RedisFull) or self._failures >= _ATTEMPTS:
            self._give_up(reason)
        self._pause(2.0**self._failures)
        if frozen:
            raise Interrupted(f"the rebuild failed when it had nearly caught up: {reason}") from error

    def _give_up(self, reason: str) -> None:
        self.log.error("rebuild_given_up", reason=reason, consequence="the former generation stays in use")
        self.state.withdraw()
        self._failures, self._given_up = 0, self.opening.resolution()

    def _pause(self, seconds: float) -> None:
        self._not_before = self.clock() + seconds
