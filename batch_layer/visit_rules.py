"""Visits as the speed layer counted them in some segments, by the same rule and in the order of the log.

The rule goes from the generation's start, where its users' visits were those of batch, so that it drifts as
the generation did. The order within a segment is that of times: right for every user whose events came so.
Of any other user nobody knows how the events fell into micro-batches, nor how partitions met: that is a
doubt, and what such events may have been is listed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, product
from operator import attrgetter
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.compared import Compared
from batch_layer.events import _below, _losers, _valid
from batch_layer.positions import POSITION
from batch_layer.segment_events import SEGMENT, Contested, SegmentEvents, read_segments
from batch_layer.speed_persons import with_persons_of_generation
from batch_layer.visits import last_visits, roles
from core.cuts import Cut
from core.equality import Cause
from core.visits import LATER, SECOND, START, Visit, Visits, follow, in_order

__all__ = ["as_counted"]

_BITS = 48
_ROWS = 20_000
_USER, _KIND, _AT, _MAYBE, _DOUBTED = "__user", "__kind", "__at", "__maybe", "__doubted"
_STATE, _EVENT = 0, 1  # the visit before stands before the events
_ORDER, _STATES = (_USER, _KIND, SEGMENT, _AT, POSITION), ("first", "last", "alone")
_SQL = {"string": "string", "long": "bigint", "boolean": "boolean"}
_ARROW = {"string": pa.string(), "long": pa.int64(), "boolean": pa.bool_()}


def as_counted(events: SegmentEvents, visits: Visits, compared: Compared) -> SegmentEvents:
    """The events with the columns of `visits` as the generation derived them, and its doubts."""
    began = Cut(compared.generation.start_cut, compared.generation.offsets)
    since = events if began.number == compared.start.number else _since(compared, began)
    users = events.counted.select(_user(visits)).where(f"{_USER} IS NOT NULL").distinct().persist()
    before = _before(compared, began, visits, users)
    event_time = compared.contract.event_time
    told = _told(since, before, visits, event_time, compared.start.number).persist()
    joined = events.frame.join(told.where(f"NOT {_MAYBE}").drop(_MAYBE), POSITION, "left")
    if told.where(_MAYBE).isEmpty():
        return replace(events, frame=joined.drop(_DOUBTED))
    maybe = events.counted.join(told.where(_MAYBE).drop(_MAYBE, _DOUBTED), POSITION)
    doubt = Contested(maybe, Cause.OUT_OF_ORDER, frozenset(visits.columns))
    restated = roles(_history(before, since), visits, event_time, POSITION)
    of_batch = restated.join(events.by_batch.select(POSITION), POSITION, "left_semi")
    doubtful = joined.where(_DOUBTED).drop(_DOUBTED)
    return replace(
        events, frame=joined.drop(_DOUBTED), doubts=(*events.doubts, doubt), restated=(of_batch, doubtful)
    )


def _since(compared: Compared, began: Cut) -> SegmentEvents:
    """All that the generation counted, before the segments compared as well."""
    found = read_segments(
        compared.master, compared.contract, compared.cuts, began, compared.generation.reads_from,
        compared.settings.dedupe_window,
    )  # fmt: skip
    return replace(found, frame=with_persons_of_generation(found.frame, compared))


def _user(visits: Visits) -> Column:
    return F.col(f"`{visits.user}`").cast("string").alias(_USER)


def _of(users: DataFrame, frame: DataFrame, visits: Visits) -> DataFrame:
    return frame.join(users, frame[f"`{visits.user}`"].cast("string") == users[_USER], "left_semi")


def _before(compared: Compared, began: Cut, visits: Visits, users: DataFrame) -> DataFrame | None:
    """What batch counts of these users below the generation's start."""
    if not began.number:
        return None
    contract, cuts = compared.contract, compared.cuts[: began.number]
    below = compared.master.where(_below(began.offsets))
    stale = int(not below.where(F.col("contract") != contract.fingerprint).isEmpty())
    valid = _valid(below, contract, stale)
    losers = _losers(valid, contract.event_id, cuts)
    counted = valid if losers is None else valid.join(losers, POSITION, "left_anti")
    return _of(users, with_persons_of_generation(counted, compared), visits).persist()


def _history(before: DataFrame | None, since: SegmentEvents) -> DataFrame:
    """All that batch counts of the users who are compared, and of some others only what came since."""
    return since.by_batch if before is None else before.unionByName(since.by_batch.select(*before.columns))


def _told(
    since: SegmentEvents, before: DataFrame | None, visits: Visits, event_time: str, start: int
) -> DataFrame:
    """Of every event from segment `start` on: its position, its columns, and whether they are in doubt.

    Those in doubt have further rows, marked `_MAYBE`: what they may have been.
    """
    carries = [F.col(f"`{n}`").alias(c) for n, c in zip(visits.carry, visits.carried, strict=True)]
    doubted = F.expr("coalesce(contested, false)" if since.copies else "false")
    rows = since.counted.where(f"`{visits.user}` IS NOT NULL").select(
        _user(visits), F.lit(_EVENT).alias(_KIND), F.col(SEGMENT),
        F.expr(f"unix_micros(`{event_time}`)").alias(_AT), F.col(POSITION), doubted.alias(_DOUBTED),
        *carries,
    )  # fmt: skip
    states = rows.where("false")
    if before is not None:
        found = last_visits(roles(before, visits, event_time, POSITION), visits, event_time)
        states = _typed(found, visits).withColumn(_KIND, F.lit(_STATE))
    both = states.unionByName(rows, allowMissingColumns=True)
    columns = [*_ORDER, _DOUBTED, *visits.carried, *_STATES]
    missing = [F.lit(None).cast("bigint").alias(name) for name in _STATES if name not in both.columns]
    ordered = both.select("*", *missing).select(*columns).repartition(_USER).sortWithinPartitions(*_ORDER)
    carried = [f"`{name}` {_SQL[kind]}" for name, kind in zip(visits.carried, visits.kinds, strict=True)]
    own = [f"{POSITION} bigint", "visit_role string", "visit_step bigint"]
    return ordered.mapInArrow(
        _following(visits, start), ", ".join([*own, *carried, f"{_MAYBE} boolean", f"{_DOUBTED} boolean"])
    )


def _typed(states: DataFrame, visits: Visits) -> DataFrame:
    """What visits carry with the types of the columns it came from."""
    carried = [
        F.col(f"`{name}`").cast(_SQL[kind]).alias(name)
        for name, kind in zip(visits.carried, visits.kinds, strict=True)
    ]
    return states.select(_USER, *_STATES, *carried)


def _following(visits: Visits, start: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    schema = pa.schema(
        [(POSITION, pa.int64()), ("visit_role", pa.string()), ("visit_step", pa.int64())]
        + [(name, _ARROW[kind]) for name, kind in zip(visits.carried, visits.kinds, strict=True)]
        + [(_MAYBE, pa.bool_()), (_DOUBTED, pa.bool_())]
    )

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = (
            _Row(row[0], row[1], row[2], row[3], row[4], row[5], row[6 : -len(_STATES)], row[-len(_STATES) :])
            for batch in batches
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        )
        held = list[tuple[Any, ...]]()
        for _, some in groupby(rows, attrgetter("user")):
            held += _of_one(list(some), visits, start)
            if len(held) >= _ROWS:
                yield _batch(held, schema)
                held = []
        yield _batch(held, schema)

    return run


class _Row(NamedTuple):
    """Of one user: the visit before all of these, or an event; `state` is a visit's first three figures."""

    user: str
    kind: int
    segment: int
    at: int
    position: int
    doubted: bool
    carried: tuple[Any, ...]
    state: tuple[Any, ...]


def _of_one(rows: Sequence[_Row], visits: Visits, start: int) -> Iterator[tuple[Any, ...]]:
    """What became of the events of one user; in doubt each may have any role, and carry what others do."""
    states = [
        Visit(row.state[0], row.state[1], bool(row.state[2]), row.carried)
        for row in rows
        if row.kind == _STATE
    ]
    visit, events = states[0] if states else None, [row for row in rows if row.kind == _EVENT]
    placed = sorted((row.position, row.at) for row in events)
    places = [(position >> _BITS, at) for position, at in placed]
    doubted = any(row.doubted for row in events) or not in_order(visit, places)
    carried = {row.carried for row in (*events, *(row for row in rows if row.kind == _STATE))}
    for row in events:
        found, visit = follow(visit, row.at, row.carried, visits.gap_micros)
        if row.segment < start:
            continue
        yield (row.position, found.role, found.step, *found.carried, False, doubted)
        for role, other in product((START, SECOND, LATER), carried) if doubted else ():
            yield (row.position, role, found.step, *other, True, doubted)


def _batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
