"""Redis itself refuses a writer that another one followed, whenever it wakes up; what a full Redis takes."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis import Redis

from core import Count, Source, View
from core.errors import StateLost
from core.handoff import Generation, Intent, Lease, Progress
from core.layout import Layout
from core.logs import get_logger
from core.rebuilds import RebuildRequest
from speed_layer.faults import RedisFull, Superseded
from speed_layer.fields import FieldWriter, Partial
from speed_layer.heartbeat import Heartbeat
from speed_layer.janitor import Janitor
from speed_layer.marks import Marks
from speed_layer.plan import Plan
from speed_layer.scripts import Fence
from speed_layer.state import SpeedState
from speed_layer.writers import Writer

LAYOUT = Layout("test", "edits")
GENERATION = Generation("g1", "edits", 0, {}, "abc", 2, "cluster", "topic")
NEXT = replace(GENERATION, id="g2")
BEGUN = Progress(-1, {0: 0}, 0, 0)
VIEW = View("edits", Source("edits", "edits"), {"n": Count()}, key=("page",))
PLAN = Plan.of({"edits": VIEW.compile({"page": "string", "event_time": "timestamp"})})


@pytest.fixture
def state(redis_client: Redis) -> SpeedState:
    state = SpeedState(redis_client, LAYOUT)
    state.begin(GENERATION, BEGUN)
    state.use(GENERATION.id)
    return state


def _writer(state: SpeedState, batch: int = 0, generation: str = "g1") -> FieldWriter:
    return FieldWriter(state.client, LAYOUT, generation, Fence(batch, state.token), PLAN.views)


def _partial(segment: int = 0, bucket: int = 3600, count: int = 1) -> Partial:
    return Partial(0, 0, "1:a", segment, bucket, _codec().pack((count,)))


def _codec() -> Any:
    return FieldWriter(cast(Redis, None), LAYOUT, "g1", Fence(0, ""), PLAN.views).codecs[0]


def _everything(client: Redis) -> dict[bytes, bytes]:
    return {key: cast(bytes, client.dump(key)) for key in client.scan_iter("*")}


WRITES: dict[str, Callable[[SpeedState], Any]] = {
    "fields": lambda s: _writer(s).write([_partial()]),
    "marks": lambda s: Marks(s.client, LAYOUT, "g1", Fence(0, s.token), 2, 2).duplicates(["a"], [0], 0, [0]),
    "stamp": lambda s: s.stamp(GENERATION, 0),
    "intent": lambda s: s.intend("g1", Intent(0, {}, {}, 0, "abc")),
    "progress": lambda s: s.advance("g1", replace(BEGUN, batch=0)),
    "lease": lambda s: s.renew("g1", Lease(0, 0.0, 0.0)),
    "release": lambda s: s.release("g1"),
    "floor": lambda s: s.raise_floor(GENERATION, 7),
}


@pytest.mark.parametrize("what", WRITES)
def test_nothing_is_written_by_a_job_that_another_one_followed(state: SpeedState, what: str) -> None:
    successor = SpeedState(state.client, LAYOUT)
    successor.claim(GENERATION)
    before = _everything(state.client)
    with pytest.raises(Superseded):
        WRITES[what](state)
    assert _everything(state.client) == before
    WRITES[what](successor)


@pytest.mark.parametrize("what", WRITES)
def test_nothing_is_left_behind_by_a_job_whose_generation_is_deleted(state: SpeedState, what: str) -> None:
    state.client.flushall()
    with pytest.raises(StateLost):
        WRITES[what](state)
    assert _everything(state.client) == {}


def test_readers_are_not_moved_by_a_job_whose_generation_is_not_written_any_more(state: SpeedState) -> None:
    SpeedState(state.client, LAYOUT).begin(NEXT, BEGUN)
    with pytest.raises(Superseded):
        state.use("g1")
    with pytest.raises(Superseded):
        state.lead("g1", "g3", use=True)
    assert (state.current(), state.writing()) == ("g1", "g2")


def test_the_follower_leads_and_is_read_in_one_step_that_may_be_repeated(state: SpeedState) -> None:
    state.begin(NEXT, BEGUN, following=True)
    state.request(RebuildRequest("g1", "a test"))
    assert state.kept() == {"g1", "g2"} and state.writing() == "g1"
    for _ in range(2):
        state.lead("g1", "g2", use=True)
        assert (state.current(), state.writing()) == ("g2", "g2")
        assert (state.following(), state.requested()) == (None, None)


def test_a_request_stands_until_it_is_void(state: SpeedState) -> None:
    first = state.request(RebuildRequest("g1", "one"))
    assert state.request(RebuildRequest("g1", "two")) == first == state.requested()
    assert state.request(RebuildRequest("g2", "three")) == state.requested()
    state.withdraw()
    assert state.requested() is None


def _write_for_ever(port: int, token: str, wrote: Any, ended: Any) -> None:
    """A leader in a process of its own: micro-batches without a pause, until Redis refuses one."""
    state = SpeedState(Redis(port=port), LAYOUT, token)
    batch = 0
    try:
        while True:
            _writer(state, batch).write([_partial(bucket=3600 * n) for n in range(200)])
            state.stamp(GENERATION, batch)
            state.advance("g1", replace(BEGUN, batch=batch))
            batch += 1
            wrote.value = batch
    except Superseded:
        ended.value = 1


def test_a_leader_that_was_paused_while_another_took_over_writes_nothing_when_it_wakes(
    state: SpeedState,
) -> None:
    context = multiprocessing.get_context("spawn")
    wrote, ended = context.Value("q", 0), context.Value("q", 0)
    port = state.client.connection_pool.connection_kwargs["port"]
    process = context.Process(target=_write_for_ever, args=(port, state.token, wrote, ended))
    process.start()
    try:
        while wrote.value < 20:
            time.sleep(0.01)
        os.kill(cast(int, process.pid), signal.SIGSTOP)
        time.sleep(0.2)  # what was sent to Redis is done by then
        successor = SpeedState(state.client, LAYOUT)
        successor.claim(GENERATION)
        before = _everything(state.client)
        os.kill(cast(int, process.pid), signal.SIGCONT)
        process.join(20)
        assert ended.value == 1
        assert _everything(state.client) == before
    finally:
        process.kill()
        process.join()


def test_a_container_is_forgotten_once_no_segment_of_it_is_left(state: SpeedState, tmp_path: Path) -> None:
    day = 86_400
    _writer(state).write(
        [_partial(segment, bucket) for segment, bucket in ((0, 0), (1, day), (2, 0), (2, 2 * day))]
    )
    assert _containers(state) == {0: 2, day: 1, 2 * day: 2}
    janitor = Janitor(state, tmp_path, get_logger("test"))
    janitor.drop_segments(GENERATION, 2)
    assert _containers(state) == {0: 2, 2 * day: 2}
    state.stamp(GENERATION, 0)
    _writer(state, 1).write([_partial(3, 2 * day), _partial(2, day)])
    janitor.drop_segments(GENERATION, 3)
    assert _containers(state) == {2 * day: 3}


def _containers(state: SpeedState) -> dict[int, int]:
    held = state.client.zrange(LAYOUT.containers("g1", "edits"), 0, -1, withscores=True)
    return {int(name): int(segment) for name, segment in cast(list[tuple[bytes, float]], held)}


def test_every_generation_that_nobody_needs_goes_and_no_other(state: SpeedState, tmp_path: Path) -> None:
    for name, following in (("old", False), ("older", False), ("g2", False), ("g3", True)):
        state.begin(replace(GENERATION, id=name), BEGUN, following=following)
        _writer(state, 0, name).write([_partial()])
    state.client.delete(LAYOUT.of("old", "progress"), LAYOUT.stamp("older", 1))  # as after a crash
    Janitor(state, tmp_path, get_logger("test")).drop_generations()
    assert set(state.generations()) == state.kept() == {"g1", "g2", "g3"}
    assert not list(state.client.scan_iter("*old*"))


def test_a_generation_that_is_begun_while_old_ones_are_deleted_stays(
    state: SpeedState, tmp_path: Path
) -> None:
    class Meanwhile(SpeedState):
        """Begins a generation each time it was said which ones are needed."""

        begun = 0

        def kept(self) -> set[str | None]:
            found = super().kept()
            self.begun += 1
            self.begin(replace(GENERATION, id=f"new{self.begun}"), BEGUN, following=True)
            return found

    state.begin(replace(GENERATION, id="old"), BEGUN, following=True)
    meanwhile = Meanwhile(state.client, LAYOUT)
    Janitor(meanwhile, tmp_path, get_logger("test")).drop_generations()
    newest = state.following()
    assert newest == f"new{meanwhile.begun}"
    assert newest in state.generations() and "old" not in state.generations()
    assert state.progress(str(newest)) == BEGUN


@pytest.fixture
def full(redis_client: Redis) -> Iterator[Redis]:
    redis_client.config_set("maxmemory", "1")
    yield redis_client
    redis_client.config_set("maxmemory", "0")


def test_a_full_redis_takes_what_vouches_and_what_makes_room(
    state: SpeedState, full: Redis, tmp_path: Path
) -> None:
    full.config_set("maxmemory", "0")
    _writer(state).write([_partial(0), _partial(1)])
    full.config_set("maxmemory", "1")
    with pytest.raises(RedisFull):
        _writer(state, 0).write([_partial(2)])
    state.renew("g1", Lease(0, 0.0, 0.0, "Redis is full"))
    state.raise_floor(GENERATION, 1)
    state.advance("g1", replace(BEGUN, floor=1))
    Janitor(state, tmp_path, get_logger("test")).drop_segments(GENERATION, 1)
    assert not full.exists(LAYOUT.touched("g1", 0, 0))
    assert full.hget(LAYOUT.stamp("g1", 0), "floor") == b"1"
    assert (state.lease("g1"), state.progress("g1")) == (
        Lease(0, 0.0, 0.0, "Redis is full"),
        replace(BEGUN, floor=1),
    )


def _heartbeat(state: SpeedState) -> Heartbeat:
    batches: Any = SimpleNamespace(generation=GENERATION, leads=True)
    nothing: Any = None
    return Heartbeat(batches, state, nothing, get_logger("test"), nothing, {}, 20)


def test_a_redis_that_may_drop_what_it_likes_ends_the_generation_for_good(state: SpeedState) -> None:
    heart = _heartbeat(state)
    heart._inspect()
    state.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StateLost, match="allkeys-lru"):
            heart._inspect()
    finally:
        state.client.config_set("maxmemory-policy", "noeviction")
    assert state.stamps(GENERATION) == [None, None]


def test_a_lease_of_a_generation_that_is_deleted_already_is_given_up_all_the_same(state: SpeedState) -> None:
    batches: Any = SimpleNamespace(generation=GENERATION, progress=BEGUN)
    writer = Writer(state, batches, _heartbeat(state))
    state.renew("g1", Lease(0, 0.0, 0.0))
    writer.release()
    assert state.lease("g1") is None
    state.client.flushall()
    writer.release()


def test_a_job_whose_generation_is_not_the_one_that_is_written_knows_it(state: SpeedState) -> None:
    heart = _heartbeat(state)
    heart._require_lead()
    SpeedState(state.client, LAYOUT).begin(NEXT, BEGUN)
    with pytest.raises(Superseded, match="g2"):
        heart._require_lead()
    state.client.delete(LAYOUT.writing())
    with pytest.raises(StateLost):
        heart._require_lead()
