"""The step that takes events back, on a real Redis and real index files, under any split and with replays."""

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from redis import Redis

from batch_layer.event_index import write_file
from conf.settings import Settings
from core.chains import CHAINS_FOLDER, Link, Named, chain_digest, chain_file, chain_part
from core.contracts import Contract
from core.copies import Copy, judge
from core.corrections import Corrections, EventCodec
from core.layout import Layout
from speed_layer.clients import RedisAddress
from speed_layer.correct_step import CorrectStep
from speed_layer.decode_step import DecodeStep, Segments
from speed_layer.event_chains import History
from speed_layer.plan import NOTE, SEGMENT, SIGN
from speed_layer.scripts import Fence
from tests.correcting_kit import CONTRACT, some_orders
from tests.corrections import Sent, counting, firsts, retracts

Event = dict[str, Any]
LAYOUT = Layout("t", "orders")
BOUND = Contract.load(CONTRACT)
DECLARED = Corrections("corrects", "action = 'cancel'").bind(BOUND.types)
USED = {name: kind for name, kind in BOUND.types.items() if name not in ("event_id", "corrects", "action")}
SHARDS, WINDOW, FILES, CUT = 3, 2, 2, 25  # a cut each so many records


class Log:
    """One partition, read by a generation that starts at cut `start`, and micro-batches of any size."""

    def __init__(self, settings: Settings, redis: Redis, events: Sequence[Event | None], start: int) -> None:
        self.address, self.redis, self.events, self.start = RedisAddress.of(settings), redis, events, start
        self.history: History | None = None
        self.floor = start
        redis.flushall()
        for shard in range(SHARDS):
            redis.hset(LAYOUT.stamp("g", shard), mapping={"batch": -1, "token": "me", "floor": 0})

    def run(self, batch: int, first: int, last: int) -> list[Event]:
        """What comes out of a micro-batch: events with their sign and segment."""
        fence = Fence(batch, "me")
        segments = Segments(0, {0: range(CUT, len(self.events) + CUT, CUT)})
        columns = tuple(dict.fromkeys([*USED, *DECLARED.reads, "event_id", "event_time"]))
        decode = DecodeStep(
            BOUND, columns, segments, self.floor, self.address, LAYOUT, "g", fence, SHARDS, WINDOW, True
        )
        correct = CorrectStep(
            DECLARED, BOUND, USED, self.address, LAYOUT, "g", fence, SHARDS, WINDOW, self.floor, self.history
        )
        raw = [b"{" if one is None else json.dumps(one).encode() for one in self.events[first:last]]
        offsets = range(first, last)
        records = pa.RecordBatch.from_pydict(
            {"value": pa.array(raw, pa.binary()), "partition": pa.array([0] * len(raw), pa.int32()),
             "offset": pa.array(offsets, pa.int64())}
        )  # fmt: skip
        rows = [row for found in correct(decode(iter([records]))) for row in found.to_pylist()]
        assert correct.schema.count(" ") and all(NOTE in row for row in rows)
        return [row for row in rows if row[NOTE] is None]

    def commit(self, batch: int) -> None:
        for shard in range(SHARDS):
            self.redis.hset(LAYOUT.stamp("g", shard), "batch", str(batch))


def sent(events: Sequence[Event | None]) -> list[Sent]:
    return [
        Sent("", valid=False) if one is None
        else Sent(one["event_id"], one["corrects"], one["action"] == "cancel")
        for one in events
    ]  # fmt: skip


def published(folder: Path, events: Sequence[Event | None], boundary: int) -> History:
    """The chains of all that lies below a cut, as a version has them."""
    logged, pack = sent(events), EventCodec(USED).packer()
    decode = BOUND.decoder().decode
    rows = defaultdict[int, list[tuple[bytes, int, bool, bytes]]](list)
    for at in firsts(logged[: boundary * CUT]):
        values = dict(zip(BOUND.types, decode(json.dumps(events[at]).encode()).values, strict=True))
        one, own = logged[at], chain_digest(0, logged[at].id)
        target = None if one.target is None else chain_digest(0, one.target)
        retracts = one.retracts and target is not None
        link = Link(at, own, target, retracts, b"" if retracts else pack(tuple(values[n] for n in USED)))
        rows[chain_part(own, FILES)].append((own, at, False, link.pack()))
        if target is not None:
            rows[chain_part(target, FILES)].append((target, at, True, Named(at, own).pack()))
    path = folder / str(boundary) / CHAINS_FOLDER
    path.mkdir(parents=True)
    for part in range(FILES):
        write_file(
            path / chain_file(part), ((d, names, packed) for d, _, names, packed in sorted(rows[part]))
        )
    return History(path, FILES)


def sums(rows: Sequence[Mapping[str, Any]]) -> dict[Any, tuple[int, Any]]:
    """Count and sum of prices by hour and shop, without those that are nothing."""
    found = defaultdict[Any, tuple[int, Any]](lambda: (0, 0))
    for row in rows:
        place, sign = (row["event_time"], row["shop"], row["gift"]), row.get(SIGN, 1)
        count, total = found[place]
        found[place] = count + sign, total + sign * row["price"]
    return {place: both for place, both in found.items() if both != (0, 0)}


def truth(events: Sequence[Event | None]) -> list[Event]:
    return [decoded(events[at]) for at in counting(sent(events))]


def shown(values: Event) -> Event:
    moment = pa.scalar(values["event_time"], pa.timestamp("us", tz="UTC")).as_py()
    return {**values, "event_time": moment}


@pytest.mark.parametrize("seed", range(12))
def test_what_comes_out_is_what_the_loop_says_at_every_step(
    settings: Settings, redis_client: Redis, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    events = some_orders(draw, [], 200, "o")
    start = draw.choice([0, 0, 2, 4])
    log = Log(settings, redis_client, events, start)
    if start:
        log.history = published(tmp_path, events, start)
    at, batch, boundary, rows = start * CUT, 0, start, list[Event]()
    while at < len(events):
        end = min(len(events), at + draw.randrange(1, 40))
        found = log.run(batch, at, end)
        if draw.random() < 0.4:
            assert log.run(batch, at, end) == found
        log.commit(batch)
        rows, at, batch = [*rows, *found], end, batch + 1
        newest = at // CUT
        if newest > boundary and draw.random() < 0.4:
            log.history, boundary = published(tmp_path, events, newest), newest
            blocks(log, boundary)
        kept = [row for row in rows if row[SEGMENT] >= boundary]
        batched = [{**one, SIGN: 1} for one in truth(events[: boundary * CUT])]
        expected = truth(events[:at])
        late = late_copies(events[:at], start * CUT, boundary)
        assert sums([*batched, *kept]) == sums([*expected, *late]), (seed, at, boundary)


def late_copies(events: Sequence[Event | None], read_from: int, boundary: int) -> list[Event]:
    """Copies beyond the window, which the speed layer counts until batch does not."""
    copies = defaultdict[str, list[Copy]](list)
    for at, one in enumerate(sent(events)):
        if one.valid:
            copies[one.id].append(Copy(at // CUT, 0, at, at >= read_from))
    late = [
        copy.offset
        for some in copies.values()
        for copy, verdict in zip(some, judge(some, WINDOW), strict=True)
        if verdict.late and copy.segment >= boundary and not retracts(sent(events)[copy.offset])
    ]
    return [decoded(events[at]) for at in late]


def decoded(event: Event | None) -> Event:
    values = BOUND.decoder().decode(json.dumps(event).encode()).values
    return shown(dict(zip(BOUND.types, values, strict=True)))


def blocks(log: Log, floor: int) -> None:
    """The floor rises, and the janitor drops what lies below it."""
    log.floor = floor
    for block in range(floor // WINDOW):
        for shard in range(SHARDS):
            log.redis.delete(LAYOUT.events("g", shard, block))
