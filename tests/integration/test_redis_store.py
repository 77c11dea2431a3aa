"""The speed state on a real Redis, without Spark: fenced fields, marks, stamps, and what is deleted when."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import Count, Source, Uniques, View
from core.errors import StateLost
from core.handoff import Generation, Intent, Lease, Progress
from core.layout import Layout, parse_field, unseal
from core.logs import get_logger
from speed_layer.faults import RedisAway, RedisFull
from speed_layer.fields import FieldWriter, Partial
from speed_layer.janitor import Janitor
from speed_layer.marks import Marks, position
from speed_layer.plan import Plan
from speed_layer.scripts import Fence
from speed_layer.state import SpeedState

LAYOUT = Layout("test", "edits")
GENERATION = Generation("g1", "edits", 0, {}, "abc", 2, "cluster", "topic")
PLAN = Plan.of(
    {
        "edits": View(
            "edits", Source("edits", "edits"), {"n": Count(), "who": Uniques("user")}, key=("page",)
        ).compile({"page": "string", "user": "string", "event_time": "timestamp"})
    }
)
COUNT, WHO = PLAN.views[0].measures


@pytest.fixture
def state(redis_client: Redis) -> SpeedState:
    state = SpeedState(redis_client, LAYOUT)
    state.begin(GENERATION, Progress(-1, {0: 0}, 0, 0))
    return state


def _writer(state: SpeedState, batch: int) -> FieldWriter:
    return FieldWriter(state.client, LAYOUT, GENERATION.id, Fence(batch, state.token), PLAN.views)


def _partial(state: SpeedState, count: int, user: str, *, key: str = "1:a", segment: int = 0) -> Partial:
    packed = _writer(state, 0).codecs[0].pack((count, *WHO.lift(user)))
    return Partial(0, 0, key, segment, 3600, packed)


def _fields(state: SpeedState) -> dict[tuple[str, int, int], tuple[int, int, float]]:
    """(key, segment, bucket) -> micro-batch, count, users."""
    found, codec = {}, _writer(state, 0).codecs[0]
    for key in state.client.scan_iter(LAYOUT.shard(GENERATION.id, 0) + ":f:*"):
        for name, value in cast(dict[bytes, bytes], state.client.hgetall(key)).items():
            batch, packed = unseal(value)
            count, who = codec.unpack(packed)
            text = key.decode().split(":f:edits:0:")[1]
            found[text, *parse_field(name)] = (batch, count, WHO.present((who,))["estimate"])
    return found


def test_a_micro_batch_counts_once_however_often_it_is_written(state: SpeedState) -> None:
    for _ in range(3):
        assert (
            _writer(state, 0).write([_partial(state, 2, "ann"), _partial(state, 1, "bob", key="1:b")])[0] == 2
        )
    assert _fields(state) == {("1:a", 0, 3600): (0, 2, 1.0), ("1:b", 0, 3600): (0, 1, 1.0)}


def test_the_next_micro_batch_is_merged_with_what_is_there(state: SpeedState) -> None:
    _writer(state, 0).write([_partial(state, 2, "ann")])
    state.stamp(GENERATION, 0)
    for _ in range(2):
        _writer(state, 1).write([_partial(state, 3, "bob"), _partial(state, 1, "eve", segment=1)])
    assert _fields(state) == {("1:a", 0, 3600): (1, 5, 2.0), ("1:a", 1, 3600): (1, 1, 1.0)}


def test_parts_of_a_field_from_several_tasks_are_one_field(state: SpeedState) -> None:
    parts = [_partial(state, n, f"user-{n}") for n in (1, 2, 3)]
    assert _writer(state, 0).write(parts) == (1, 0)
    batch, count, users = _fields(state)["1:a", 0, 3600]
    assert (batch, count, round(users)) == (0, 6, 3)


def test_more_fields_than_one_script_takes_are_all_written(state: SpeedState) -> None:
    partials = [_partial(state, 1, "ann", key=f"{len(str(n))}:{n}") for n in range(1203)]
    assert _writer(state, 0).write(partials) == (1203, 0)
    state.stamp(GENERATION, 0)
    assert _writer(state, 1).write(partials) == (1203, 1203)
    assert {count for _, count, _ in _fields(state).values()} == {2}


@pytest.mark.parametrize("held", [-1, 1, 3, None])
def test_a_shard_that_does_not_hold_the_preceding_micro_batch_refuses(
    state: SpeedState, held: int | None
) -> None:
    stamp = LAYOUT.stamp(GENERATION.id, 0)
    state.client.delete(stamp)
    if held is not None:
        state.client.hset(stamp, mapping={"batch": str(held + 2), "token": state.token})
    with pytest.raises(StateLost):
        _writer(state, 0 if held == -1 else 2).write([_partial(state, 1, "ann")])
    assert _fields(state) == {}


def test_ids_beyond_what_a_lua_number_holds_are_told_apart(state: SpeedState) -> None:
    first = 2**53
    for batch in (first, first + 1, first + 2):
        for shard in range(GENERATION.shards):
            state.client.hset(LAYOUT.stamp(GENERATION.id, shard), "batch", str(batch - 1))
        for _ in range(2):
            _writer(state, batch).write([_partial(state, 1, "ann")])
    assert _fields(state) == {("1:a", 0, 3600): (first + 2, 3, 1.0)}


def test_what_is_touched_and_which_containers_there_are_is_listed(state: SpeedState) -> None:
    _writer(state, 0).write([_partial(state, 1, "ann"), _partial(state, 1, "ann", segment=4)])
    touched = state.client.smembers(LAYOUT.touched(GENERATION.id, 0, 4))
    assert touched == {b"edits:0:1:a"}
    assert _containers(state) == {0: 4}


def _containers(state: SpeedState) -> dict[int, int]:
    """Container -> the newest segment in it."""
    held = state.client.zrange(LAYOUT.containers(GENERATION.id, "edits"), 0, -1, withscores=True)
    return {int(name): int(segment) for name, segment in cast(list[tuple[bytes, float]], held)}


def _marks(state: SpeedState, batch: int = 0) -> Marks:
    return Marks(state.client, LAYOUT, GENERATION.id, Fence(batch, state.token), GENERATION.shards, window=2)


def _copies(state: SpeedState, ids: Sequence[str], segment: int, first: int, partition: int = 0) -> list[int]:
    offsets = range(first, first + len(ids))
    return _marks(state).duplicates(ids, [segment] * len(ids), partition, list(offsets))


def test_the_first_copy_counts_and_a_replay_says_the_same(state: SpeedState) -> None:
    for _ in range(2):
        assert _copies(state, ["a", "b", "a", "c", "b"], 0, 100) == [2, 4]
        assert _copies(state, ["c", "d"], 0, 105) == [0]


def test_a_copy_is_known_for_one_window_at_least_and_two_at_most(state: SpeedState) -> None:
    assert _copies(state, ["a"], 1, 10) == []
    assert _copies(state, ["a"], 3, 20) == [0]
    assert _copies(state, ["a"], 4, 30) == []
    assert _copies(state, ["a"], 3, 20) == [0]


def test_the_same_offset_of_another_partition_is_another_position(state: SpeedState) -> None:
    assert position(1, 7) != position(0, 7) and len(position(3, 2**40)) == 12
    assert _copies(state, ["a"], 0, 10, partition=0) == []
    assert _copies(state, ["a"], 0, 10, partition=1) == [0]


def test_many_marks_in_one_call_keep_their_places(state: SpeedState) -> None:
    ids = [f"e{n % 3000}" for n in range(4000)]
    assert _copies(state, ids, 0, 0) == list(range(3000, 4000))


def test_marks_of_lost_state_are_refused(state: SpeedState) -> None:
    state.client.delete(LAYOUT.stamp(GENERATION.id, 0), LAYOUT.stamp(GENERATION.id, 1))
    with pytest.raises(StateLost):
        _copies(state, ["a"], 0, 0)


def test_stamps_follow_one_another(state: SpeedState) -> None:
    for batch in (0, 0, 1):
        state.stamp(GENERATION, batch)
    assert state.stamps(GENERATION) == [1, 1]
    with pytest.raises(StateLost):
        state.stamp(GENERATION, 3)
    state.client.delete(LAYOUT.stamp(GENERATION.id, 1))
    assert state.stamps(GENERATION) == [1, None]


def test_what_is_stored_is_read_back(state: SpeedState) -> None:
    intent, progress = Intent(3, {0: 1}, {0: 9}, 2, "abc"), Progress(3, {0: 9}, 2, 1, "something")
    state.intend("g1", intent)
    state.advance("g1", progress)
    state.use("g1")
    assert (state.meta("g1"), state.intent("g1"), state.progress("g1")) == (GENERATION, intent, progress)
    assert (state.writing(), state.current(), state.generations()) == ("g1", "g1", ["g1"])
    assert [state.meta("other"), state.intent("other"), state.progress("other")] == [None] * 3


def test_a_lease_expires_by_itself_and_can_be_given_up(state: SpeedState) -> None:
    state.renew("g1", Lease(1, 2.0, 3.0))
    assert 0 < state.client.pttl(LAYOUT.of("g1", "lease")) <= 5000
    state.release("g1")
    assert not state.client.exists(LAYOUT.of("g1", "lease"))


def test_segments_below_the_floor_go_and_the_others_stay(state: SpeedState, tmp_path: Path) -> None:
    keys = [f"{len(str(n))}:{n}" for n in range(250)]
    partials = [_partial(state, 1, "ann", key=key, segment=s) for key in keys for s in (0, 1, 2)]
    _writer(state, 0).write(partials)
    Janitor(state, tmp_path, get_logger("test")).drop_segments(GENERATION, 2)
    assert {segment for _, segment, _ in _fields(state)} == {2}
    assert len(_fields(state)) == 250
    assert not state.client.exists(LAYOUT.touched("g1", 0, 0), LAYOUT.touched("g1", 0, 1))


def test_marks_that_nobody_looks_up_go(state: SpeedState, tmp_path: Path) -> None:
    for segment in (0, 2, 4):
        _copies(state, [f"{segment}{letter}" for letter in "abcd"], segment, segment * 10)
    Janitor(state, tmp_path, get_logger("test")).drop_marks(GENERATION, 2, 5)
    blocks = {key.rpartition(b":")[2] for key in state.client.scan_iter("*:m:*")}
    assert blocks == {b"1", b"2"}


def test_a_generation_that_nobody_uses_goes_with_its_checkpoint(state: SpeedState, tmp_path: Path) -> None:
    _writer(state, 0).write([_partial(state, 1, "ann")])
    _copies(state, ["a"], 0, 0)
    state.begin(Generation("g2", "edits", 0, {}, "abc", 2, "cluster", "topic"), Progress(-1, {}, 0, 0))
    state.use("g2")
    for name in ("g1", "g2"):
        (tmp_path / name / "offsets").mkdir(parents=True)
    Janitor(state, tmp_path, get_logger("test")).drop_generations()
    assert not list(state.client.scan_iter("*g1*"))
    assert state.generations() == ["g2"] and state.stamps(GENERATION) == [None, None]
    assert [folder.name for folder in tmp_path.iterdir()] == ["g2"]


def test_a_redis_that_is_away_is_told_apart_from_one_that_is_full(state: SpeedState, full: Redis) -> None:
    with pytest.raises(RedisFull):
        FieldWriter(full, LAYOUT, "g1", Fence(0, state.token), PLAN.views).write([_partial(state, 1, "ann")])
    with pytest.raises(RedisFull):
        SpeedState(full, LAYOUT, state.token).intend("g1", Intent(0, {}, {}, 0, "abc"))
    away = Redis(port=1, retry=Retry(NoBackoff(), 0))
    with pytest.raises(RedisAway):
        FieldWriter(away, LAYOUT, "g1", Fence(0, state.token), PLAN.views).write([_partial(state, 1, "ann")])
    with pytest.raises(RedisAway):
        SpeedState(away, LAYOUT).current()


@pytest.fixture
def full(redis_client: Redis) -> Iterator[Redis]:
    """The same Redis, beyond its limit."""
    redis_client.config_set("maxmemory", "1")
    yield redis_client
    redis_client.config_set("maxmemory", "0")
