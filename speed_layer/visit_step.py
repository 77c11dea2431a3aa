"""Visits in a micro-batch: events shuffled by their users' shards, and each given its role, once.

A user's events are taken by segment, then time, then position. The state is stored before any event goes
on, and a field is written only after all events went on: a replay finds for every event that was counted the
state that its role was decided from.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.errors import StateLost
from core.folders import Folders
from core.keys import shard_sql
from core.layout import VISITS, Layout
from core.visits import Followed, Visit, Visits, follow
from speed_layer.clients import RedisAddress
from speed_layer.notes import Notes
from speed_layer.plan import NOTE, POSITION, SEGMENT
from speed_layer.scripts import Fence
from speed_layer.visit_index import VisitIndex, choose
from speed_layer.visit_state import Held, VisitState

__all__ = ["VisitStep", "by_user", "known", "unknown_before"]

_SHARD = "_user_shard"


class _Event(NamedTuple):
    user: str
    segment: int
    at: int
    position: int
    place: int
    carried: tuple[Any, ...]


@dataclass(frozen=True)
class VisitStep:
    """For `mapInArrow` over events of whole shards. Rows without a user, and notes, pass."""

    visits: Visits
    event_time: str
    redis: RedisAddress
    layout: Layout
    generation: str
    fence: Fence
    count_from: int
    index: VisitIndex | None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = [batch for batch in batches if batch.num_rows]
        if not held:
            return
        began, table = time.perf_counter(), pa.Table.from_batches(held)
        told: list[Followed | None] = [None] * table.num_rows
        for shard, events in self._by_shard(table):
            for place, found in self._shard(shard, events):
                told[place] = found
        derived = self._with(table, told)
        yield from derived.to_batches()
        notes = Notes()
        notes.add(visits_seconds=time.perf_counter() - began)
        yield pa.RecordBatch.from_pylist([{_SHARD: 0, NOTE: notes.text()}], derived.schema)

    def _by_shard(self, table: pa.Table) -> Iterator[tuple[int, list[_Event]]]:
        names = [_SHARD, self.visits.user, SEGMENT, self.event_time, POSITION, *self.visits.carry]
        columns = [
            table.column(name).cast(pa.int64()) if name == self.event_time else table.column(name)
            for name in names
        ]
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        shards: dict[int, list[_Event]] = {}
        for place, (shard, user, segment, at, position, *carried) in enumerate(rows):
            if user is not None:
                event = _Event(str(user), segment, at, position, place, tuple(carried))
                shards.setdefault(shard, []).append(event)
        return ((shard, sorted(events)) for shard, events in shards.items())

    def _shard(self, shard: int, events: Sequence[_Event]) -> Iterator[tuple[int, Followed]]:
        state = self._state()
        users = {user: list(some) for user, some in groupby(events, lambda event: event.user)}
        before = self._before(state, shard, list(users))
        after, told = dict[str, Held](), list[tuple[int, Followed]]()
        for user, some in users.items():
            visit = before.get(user)
            for event in some:
                found, visit = follow(visit, event.at, event.carried, self.visits.gap_micros)
                told.append((event.place, found))
            assert visit is not None
            segments = some[0].segment, some[-1].segment
            after[user] = Held(self.fence.batch, *segments, before.get(user), visit)
        state.store(shard, after)
        yield from told

    def _state(self) -> VisitState:
        return VisitState(
            self.redis.shared(), self.layout, self.generation, self.fence, self.visits, self.count_from
        )

    def _before(self, state: VisitState, shard: int, users: list[str]) -> Mapping[str, Visit | None]:
        known = state.before(shard, users)
        if self.index is None:
            return known
        return self.index.look_up(self.visits, [user for user in users if user not in known]) | known

    def _with(self, table: pa.Table, told: Sequence[Followed | None]) -> pa.Table:
        """The rows with their derived columns; NULL where nobody was told of."""
        roles, steps = ([one and one[place] for one in told] for place in (0, 1))
        table = table.append_column("visit_role", pa.array(roles, pa.string()))
        table = table.append_column("visit_step", pa.array(steps, pa.int64()))
        for place, (name, column) in enumerate(zip(self.visits.carry, self.visits.carried, strict=True)):
            values = [one and one.carried[place] for one in told]
            table = table.append_column(column, pa.array(values, table.schema.field(name).type))
        return table


def by_user(
    events: DataFrame, visits: Visits, step: VisitStep, shards: int, tasks: int, schema: Mapping[str, str]
) -> DataFrame:
    """Events with the columns of `visits`; `schema` has their types in Spark."""
    user = f"cast(`{visits.user}` as string)"
    shard = shard_sql(f"'{VISITS}'", user, shards)
    placed = events.withColumn(_SHARD, F.expr(f"coalesce({shard}, 0)"))
    ddl = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in placed.schema.fields)
    derived = ", ".join(f"`{name}` {kind}" for name, kind in schema.items())
    return placed.repartitionById(tasks, F.col(_SHARD)).mapInArrow(step, f"{ddl}, {derived}")


def known(
    folders: Folders,
    semantics: str,
    count_from: int,
    consumed: int,
    whole: bool,
    resolution: str | None = None,
) -> VisitIndex | None:
    """Where users are looked up of whom Redis knows nothing; None where there is nothing before. Users who
    are persons are those of `resolution`.

    Raises `StateLost` if a generation that began `whole` cannot know what lies before: a new one does.
    """
    found = choose(folders, semantics, count_from, consumed, resolution) if count_from else None
    if found is None and count_from and whole:
        raise StateLost(f"no version has users' visits as of a cut from {count_from} to {consumed}")
    return found


def unknown_before(
    folders: Folders, semantics: str, start_cut: int, resolution: str | None = None
) -> str | None:
    """Why a generation that starts at a cut does not know the visits that are under way there; None if so."""
    if not start_cut or choose(folders, semantics, start_cut, start_cut, resolution):
        return None
    return f"no version of these definitions has the visits that are under way at cut {start_cut}"
