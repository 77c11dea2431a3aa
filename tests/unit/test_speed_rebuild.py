"""When a follower is close, how far it may go, and what the command that asks for a rebuild says."""

from collections.abc import Callable
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from core.handoff import Generation, Lease, Progress
from core.rebuilds import RebuildRequest
from speed_layer.faults import RedisAway
from speed_layer.micro_batches import MicroBatches, Stopped
from speed_layer.rebuild import NoSpeedJob, Rebuild, RebuildGivenUp
from speed_layer.state import SpeedState
from speed_layer.succession import Pursuit


def test_a_follower_is_close_once_it_comes_soon_to_where_the_leader_was() -> None:
    now = [0.0]
    pursuit = Pursuit(clock=lambda: now[0])
    assert not pursuit.close({0: 100}, {0: 0})
    now[0] = 60
    assert not pursuit.close({0: 500}, {0: 99})
    assert not pursuit.close({0: 500}, {0: 100})  # it took a minute: it is as far behind as that
    now[0] = 63
    assert not pursuit.close({0: 520}, {0: 400})
    assert pursuit.close({0: 520}, {0: 500})


def test_a_follower_of_an_idle_log_is_close_at_the_second_look() -> None:
    pursuit = Pursuit(clock=lambda: 0.0)
    assert [pursuit.close({0: 5}, {0: 5}) for _ in range(2)] == [False, True]


def test_a_request_is_read_back_from_its_text() -> None:
    request = RebuildRequest("g1", "because")
    assert RebuildRequest.from_text(request.to_text()) == request


def _follower(leader: dict[int, int], end: dict[int, int], stop: Event) -> MicroBatches:
    nothing: Any = None
    generation = Generation("g", "edits", 0, {}, "abc", 1, "c", "t")
    checkpoint: Any = SimpleNamespace(end=lambda batch: end)
    return MicroBatches(
        generation, Progress(-1, {}, 0, 0), nothing, nothing, checkpoint, nothing, nothing, 30, nothing,
        stop, leads=False, pace=lambda: leader,
    )  # fmt: skip


def test_a_follower_goes_no_further_than_its_leader_stands() -> None:
    stop, leader = Event(), {0: 10, 1: 4}
    _follower(leader, {0: 10, 1: 4}, stop)._keep_pace(0)
    stop.set()
    with pytest.raises(Stopped):
        _follower(leader, {0: 10, 1: 5}, stop)._keep_pace(0)
    free = _follower(leader, {0: 10, 1: 5}, stop)
    free.pace = None
    free._keep_pace(0)


class FakeState(SpeedState):
    """What Redis would say."""

    def __init__(self, used: str | None = "g1", alive: bool = True) -> None:
        self.used, self.alive = used, alive
        self.asked: RebuildRequest | None = None
        self.ends: dict[str, dict[int, int]] = {"g1": {0: 1500, 1: 9}}

    def current(self) -> str | None:
        return self.used

    def writing(self) -> str | None:
        return self.used

    def following(self) -> str | None:
        return "g2" if "g2" in self.ends else None

    def lease(self, generation: str) -> Lease | None:
        return Lease(1, 0.0, 0.0) if self.alive else None

    def progress(self, generation: str) -> Progress | None:
        return Progress(1, self.ends[generation], 0, 0) if generation in self.ends else None

    def requested(self) -> RebuildRequest | None:
        return self.asked

    def request(self, request: RebuildRequest) -> RebuildRequest:
        self.asked = request
        return request


def _rebuild(state: FakeState, *steps: Callable[[], object]) -> tuple[Rebuild, list[str]]:
    said, left, now = list[str](), list(steps), [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds
        if left:
            left.pop(0)()

    return Rebuild(state, "edits", said.append, wait, clock=lambda: now[0]), said


def test_a_rebuild_says_how_far_it_is_and_ends_when_readers_have_moved() -> None:
    state = FakeState()

    def moved() -> None:
        state.used, state.asked = "g2", None

    steps = [lambda: None, lambda: state.ends.update(g2={0: 500}), moved]
    rebuild, said = _rebuild(state, *steps)
    assert rebuild.run("because") == "g2"
    assert said == [
        "generation g1 answers until its successor has caught up",
        "waiting for the speed job to begin",
        "generation g2 is 1,009 records behind",
        "generation g2 is in use",
    ]


def test_a_rebuild_that_the_job_gave_up_is_an_error() -> None:
    state = FakeState()
    rebuild, _ = _rebuild(state, lambda: None, lambda: setattr(state, "asked", None))
    with pytest.raises(RebuildGivenUp, match="g1 stays in use"):
        rebuild.run("because")


def test_without_a_speed_job_nothing_is_asked_for() -> None:
    for state in (FakeState(alive=False), FakeState(used=None)):
        with pytest.raises(NoSpeedJob, match="Nothing was asked for"):
            _rebuild(state)[0].run("because")
        assert state.asked is None


def test_a_speed_job_that_stays_away_leaves_the_request_to_the_next_one() -> None:
    state = FakeState()
    rebuild, said = _rebuild(state, lambda: setattr(state, "alive", False))
    with pytest.raises(NoSpeedJob, match="the next speed job fulfils it"):
        rebuild.run("because")
    assert said[-1] == "waiting for the speed job" and state.asked == RebuildRequest("g1", "because")


def test_a_redis_that_is_away_for_a_while_is_waited_for() -> None:
    class Away(FakeState):
        away = False

        def requested(self) -> RebuildRequest | None:
            if self.away:
                raise RedisAway("connection refused")
            return super().requested()

    state = Away()

    def back() -> None:
        state.away, state.used = False, "g2"

    rebuild, said = _rebuild(state, lambda: setattr(state, "away", True), back)
    assert rebuild.run("because") == "g2"
    assert "waiting for Redis: connection refused" in said
