"""The visits of a micro-batch on a real Redis, without Spark: replays, forgetting, and who is looked up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from redis import Redis

from core.errors import StateLost
from core.handoff import Generation, Progress
from core.layout import Layout
from core.logs import get_logger
from core.visits import Visit, Visits
from speed_layer.clients import RedisAddress
from speed_layer.faults import Superseded
from speed_layer.janitor import Janitor
from speed_layer.plan import NOTE, POSITION, SEGMENT
from speed_layer.scripts import Fence
from speed_layer.state import SpeedState
from speed_layer.visit_index import VisitIndex
from speed_layer.visit_state import Held, VisitState, forget
from speed_layer.visit_step import _SHARD, VisitStep

LAYOUT = Layout("test", "site")
GENERATION = Generation("g1", "site", 0, {}, "abc", 2, "cluster", "topic")
VISITS = Visits(gap="10 seconds", carry=["page"]).bind({"user": "string", "page": "string"})
Told = list[tuple[str | None, int | None, str | None]]
Row = tuple[str | None, int, int, str]  # user, segment, second, page


class Shared(RedisAddress):
    """The test's own client."""

    client: Redis

    def shared(self) -> Redis:
        return type(self).client


class Known(VisitIndex):
    """An index in memory."""

    def look_up(self, visits: Visits, users: Any) -> dict[str, Visit]:
        asked = list(users)
        ASKED.append(asked)
        return {user: INDEXED[user] for user in asked if user in INDEXED}


ASKED: list[list[str]] = []
INDEXED: dict[str, Visit] = {}
SECOND = 1_000_000


@pytest.fixture
def state(redis_client: Redis) -> SpeedState:
    Shared.client = redis_client
    ASKED.clear()
    INDEXED.clear()
    state = SpeedState(redis_client, LAYOUT)
    state.begin(GENERATION, Progress(-1, {0: 0}, 0, 0))
    return state


def step(state: SpeedState, batch: int, count_from: int = 0, index: bool = False) -> VisitStep:
    known = Known(1, Path(), ()) if index else None
    fence, address = Fence(batch, state.token), Shared("redis://test", ())
    return VisitStep(VISITS, "at", address, LAYOUT, GENERATION.id, fence, count_from, known)


def run(given: VisitStep, rows: Sequence[Row]) -> Told:
    """What each row got, in the order in which they are given."""
    columns: list[Any] = [
        pa.array([0] * len(rows), pa.int32()),
        pa.array([row[0] for row in rows], pa.string()),
        pa.array([row[1] for row in rows], pa.int64()),
        pa.array([row[2] * SECOND for row in rows], pa.timestamp("us", "UTC")),
        pa.array(range(len(rows)), pa.int64()),
        pa.array([row[3] for row in rows], pa.string()),
        pa.nulls(len(rows), pa.string()),
    ]
    names = [_SHARD, "user", SEGMENT, "at", POSITION, "page", NOTE]
    found = list(given(iter([pa.RecordBatch.from_arrays(columns, names)])))
    told = [row for batch in found for row in batch.to_pylist()]
    assert "visits_seconds" in told[-1][NOTE]
    return [(row["visit_role"], row["visit_step"], row["visit_page"]) for row in told[:-1]]


def test_a_user_is_followed_over_micro_batches_in_order_of_segment_and_time(state: SpeedState) -> None:
    found = run(step(state, 0), [("a", 0, 5, "y"), (None, 0, 1, "-"), ("a", 0, 1, "x"), ("b", 1, 0, "z")])
    assert found == [("second", 4, "x"), (None, None, None), ("start", 0, "x"), ("start", 0, "z")]
    state.stamp(GENERATION, 0)
    assert run(step(state, 1), [("a", 2, 15, "w"), ("b", 2, 11, "v")]) == [
        ("later", 10, "x"),
        ("start", 0, "v"),
    ]


def test_a_replay_decides_what_was_decided_whatever_was_stored(state: SpeedState) -> None:
    rows: list[Row] = [("a", 0, 1, "x"), ("a", 0, 3, "y"), ("b", 0, 0, "z")]
    first = run(step(state, 0), rows)
    assert [run(step(state, 0), rows) for _ in range(3)] == [first] * 3
    state.stamp(GENERATION, 0)
    more: list[Row] = [("a", 0, 4, "x"), ("b", 0, 5, "z")]
    second = run(step(state, 1), more)
    assert second == [("later", 1, "x"), ("second", 5, "z")]
    assert run(step(state, 1), more) == second


def test_state_without_what_was_before_would_count_a_replay_twice(
    state: SpeedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(self: VisitState, shard: int, users: Sequence[str]) -> dict[str, Visit | None]:
        return {user: held.after for user, held in self._held(shard, users)}

    rows: list[Row] = [("a", 0, 1, "x")]
    assert run(step(state, 0), rows) == [("start", 0, "x")]
    monkeypatch.setattr(VisitState, "before", forgetful)
    assert run(step(state, 0), rows) == [("second", 0, "x")]


def test_who_is_unknown_is_looked_up_and_so_is_who_was_forgotten(state: SpeedState) -> None:
    INDEXED["a"] = Visit(0, 2 * SECOND, True, ("home",))
    rows: list[Row] = [("a", 3, 4, "x"), ("b", 3, 4, "y")]
    first = run(step(state, 0, 3, index=True), rows)
    assert first == [("second", 2, "home"), ("start", 0, "y")]
    assert run(step(state, 0, 3, index=True), rows) == first and ASKED == [["a", "b"], []]
    state.stamp(GENERATION, 0)
    INDEXED["a"] = Visit(0, 4 * SECOND, False, ("home",))
    assert run(step(state, 1, 4, index=True), [("a", 5, 6, "x")]) == [("later", 2, "home")]
    assert ASKED[-1] == ["a"]  # of whom the generation holds nothing from segment 4 on


def test_a_replay_from_a_higher_floor_begins_from_what_a_version_says(state: SpeedState) -> None:
    rows: list[Row] = [("a", 3, 1, "x"), ("a", 4, 2, "y")]
    assert run(step(state, 0, 3, index=True), rows) == [("start", 0, "x"), ("second", 1, "x")]
    INDEXED["a"] = Visit(SECOND, SECOND, True, ("x",))
    assert run(step(state, 0, 4, index=True), rows[1:]) == [("second", 1, "x")]


def test_a_job_that_another_one_followed_and_a_task_that_was_given_up_write_nothing(
    state: SpeedState,
) -> None:
    late = step(state, 0)
    run(late, [("a", 0, 1, "x")])
    state.stamp(GENERATION, 0)
    run(step(state, 1), [("a", 0, 2, "y")])
    with pytest.raises(StateLost, match="is at micro-batch 1, not 0"):
        run(late, [("a", 0, 1, "x")])
    writer = VisitState(state.client, LAYOUT, GENERATION.id, Fence(0, state.token), VISITS, 0)
    writer.store(0, {"a": Held(0, 0, 0, None, Visit(9, 9, True, ("-",)))})
    assert dict(writer._held(0, ["a"]))["a"].batch == 1
    SpeedState(state.client, LAYOUT, "another").claim(GENERATION)
    with pytest.raises(Superseded):
        run(step(state, 1), [("b", 0, 2, "y")])


def test_users_below_the_floor_are_forgotten_and_nobody_else(state: SpeedState) -> None:
    rows: list[Row] = [(f"u{n}", n % 4, n, "x") for n in range(3000)]
    run(step(state, 0), rows)
    key = LAYOUT.visits(GENERATION.id, 0)
    assert forget(state.client, key, 2) == 1500 and state.client.hlen(key) == 1500
    assert forget(state.client, key, 2) == 0
    janitor = Janitor(state, Path("/nowhere"), get_logger("test"))
    janitor.drop_segments(replace(GENERATION, shards=1), 3)
    assert state.client.hlen(key) == 750


def test_a_user_takes_so_much_room(state: SpeedState) -> None:
    rows: list[Row] = [(f"user-{n:06}", 0, n, "a page of the site") for n in range(20_000)]
    run(step(state, 0), rows)
    state.stamp(GENERATION, 0)
    run(step(state, 1), [(user, 0, at + 1, page) for user, _, at, page in rows])
    used = state.client.memory_usage(LAYOUT.visits(GENERATION.id, 0), samples=0)
    assert used is not None and 100 < used / len(rows) < 300
