"""The wire protocol, the shared connection, and the reading of a speed state."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.state import speed_commands
from core.layout import Layout
from serving_layer.pipes import Address, Pipe
from serving_layer.ports import SpeedSilent
from serving_layer.resp import Replies, ReplyError, encode
from serving_layer.speed_state import RedisSpeedStore
from tests.serving_kit import (
    BOUND,
    DAY,
    SEMANTICS,
    FakePipe,
    edit,
    fields_of,
    generation,
    lease,
    place,
    progress,
    silent_logger,
)  # fmt: skip

values = st.recursive(
    st.none() | st.binary(max_size=9) | st.integers(-(2**63), 2**63 - 1),
    lambda inner: st.lists(inner, max_size=4),
)


def written(value: Any) -> bytes:
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, bytes):
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if isinstance(value, int):
        return b":%d\r\n" % value
    return b"*%d\r\n" % len(value) + b"".join(map(written, value))


@given(replies=st.lists(values, max_size=5), cut=st.integers(1, 30))
def test_replies_are_the_same_however_they_arrive(replies: list[Any], cut: int) -> None:
    raw, parser, found = b"".join(map(written, replies)), Replies(), []
    for at in range(0, len(raw), cut):
        found += parser.feed(raw[at : at + cut])
    assert found == replies


def test_an_error_stands_where_the_value_would() -> None:
    ok, error = Replies().feed(b"+OK\r\n-ERR no\r\n")
    assert ok == b"OK" and isinstance(error, ReplyError) and str(error) == "ERR no"
    with pytest.raises(ValueError, match="not RESP 2"):
        Replies().feed(b"%1\r\n")


def test_a_command_may_hold_text_bytes_and_numbers() -> None:
    assert encode(["SET", b"\xff", 12]) == b"*3\r\n$3\r\nSET\r\n$1\r\n\xff\r\n$2\r\n12\r\n"


def test_an_address_knows_how_to_be_let_in() -> None:
    address = Address.of("redis://h:7000/3", {"username": "u", "password": "p"})
    assert (address.host, address.port) == ("h", 7000)
    assert address.greeting == [["AUTH", "u", "p"], ["SELECT", 3], ["PING"]]
    assert Address.of("redis://h", {}).greeting == [["PING"]]


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def with_server(answer: Answer, use: Callable[[Pipe], Awaitable[None]]) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pipe = Pipe(Address("127.0.0.1", port), silent_logger(), timeout=0.1)
    await pipe.start()
    try:
        await use(pipe)
    finally:
        await pipe.stop()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each command with its last word; `sleep` is answered late, `die` not at all."""
    with suppress(ConnectionError, asyncio.CancelledError):
        await _echo(reader, writer)
    writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await reader.readline():
        words = []
        for _ in range(int(head[1:])):
            await reader.readline()
            words.append((await reader.readline()).strip())
        if words[-1] == b"die":
            break
        if words[-1] == b"sleep":
            await asyncio.sleep(0.3)
        writer.write(b"-ERR refused\r\n" if words[-1] == b"refuse" else b"+%b\r\n" % words[-1])


def test_concurrent_pipelines_get_their_own_replies() -> None:
    async def use(pipe: Pipe) -> None:
        asked = [pipe.execute([("GET", f"{n}"), ("GET", f"{n}b")]) for n in range(50)]
        assert await asyncio.gather(*asked) == [[f"{n}".encode(), f"{n}b".encode()] for n in range(50)]

    asyncio.run(with_server(echo, use))


def test_a_slow_redis_is_refused_at_once_until_it_is_back() -> None:
    async def use(pipe: Pipe) -> None:
        with pytest.raises(SpeedSilent, match=r"within 0\.1 s"):
            await pipe.execute([("GET", "sleep")])
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(SpeedSilent, match="is away"):
                await pipe.execute([("GET", "a")])
        assert time.monotonic() - began < 0.1
        await asyncio.sleep(0.4)
        assert await pipe.execute([("GET", "a")]) == [b"a"]

    asyncio.run(with_server(echo, use))


def test_a_lost_connection_is_made_again() -> None:
    async def use(pipe: Pipe) -> None:
        with pytest.raises(SpeedSilent, match="closed"):
            await pipe.execute([("GET", "die")])
        await asyncio.sleep(0.4)
        assert await pipe.execute([("GET", "a")]) == [b"a"]

    asyncio.run(with_server(echo, use))


def test_a_refused_command_is_told() -> None:
    async def use(pipe: Pipe) -> None:
        with pytest.raises(SpeedSilent, match="ERR refused"):
            await pipe.execute([("GET", "a"), ("GET", "refuse")])
        assert await pipe.execute([("GET", "a")]) == [b"a"]

    asyncio.run(with_server(echo, use))


def test_nobody_at_the_address_is_told() -> None:
    async def use() -> None:
        pipe = Pipe(Address("127.0.0.1", 1), silent_logger(), timeout=0.1)
        await pipe.start()
        with pytest.raises(SpeedSilent, match="is away"):
            await pipe.execute([("PING",)])
        await pipe.stop()

    asyncio.run(use())


VIEW = BOUND.view("edits_by_user")
LAYOUT = Layout("t", BOUND.source.name)
SPAN = (DAY, DAY + 86_400)
MARY = place(VIEW, edit(1))[0]


def commands(name: str = "g1", **wanted: Any) -> list[Any]:
    fields = fields_of(VIEW, wanted.get("events", [(0, edit(1)), (1, edit(2)), (2, edit(3))]))
    stand = wanted.get("stand", progress(2))
    return list(speed_commands(LAYOUT, generation(name=name), stand, lease(), [(VIEW, fields)]))


def read(store: RedisSpeedStore, boundary: int = 1, span: tuple[int, int] = SPAN) -> Any:
    return asyncio.run(store.read(VIEW, MARY, span, boundary))


def test_only_segments_from_the_boundary_on_are_read() -> None:
    pipe = FakePipe(commands())
    found = read(RedisSpeedStore(LAYOUT, pipe, SEMANTICS))
    assert sum(VIEW.present(partial)["edits"] for _, partial in found.buckets) == 2
    assert (found.stamps, found.floor, found.generation) == ((7,), 0, generation())


def test_a_known_generation_costs_one_pipeline_that_asks_in_the_right_order() -> None:
    pipe = FakePipe(commands())
    store = RedisSpeedStore(LAYOUT, pipe, SEMANTICS)
    read(store)
    pipe.pipelines.clear()
    read(store)
    (asked,) = pipe.pipelines
    names = [str(command[1]).rpartition(":")[2] for command in asked]
    assert names[:3] == ["condemned", "lease", "progress"] and names[-2:] == ["stamp", "current"]


def test_a_new_generation_is_noticed_by_the_read_that_meets_it() -> None:
    pipe = FakePipe(commands())
    store = RedisSpeedStore(LAYOUT, pipe, SEMANTICS)
    read(store)
    pipe.apply(commands("g2", events=[(1, edit(9))]))
    found = read(store)
    assert found.generation.id == "g2"
    assert sum(VIEW.present(partial)["edits"] for _, partial in found.buckets) == 1


def test_a_new_container_is_noticed_by_the_read_that_meets_it() -> None:
    pipe = FakePipe(commands())
    store = RedisSpeedStore(LAYOUT, pipe, SEMANTICS)
    wide = (DAY - 86_400 * 90, DAY + 86_400 * 90)
    assert len(read(store, span=wide).buckets) == 2
    pipe.apply(commands(events=[(2, edit(9, event_time="2015-08-01T00:00:00Z"))]))
    assert len(read(store, span=wide).buckets) == 3


def test_the_state_tells_of_a_successor_that_is_being_built() -> None:
    pipe = FakePipe(commands())
    store = RedisSpeedStore(LAYOUT, pipe, SEMANTICS)
    assert asyncio.run(store.state()).successor is None
    pipe.apply([("SET", LAYOUT.following(), "g2")])
    assert asyncio.run(store.state()).successor == ("g2", None)
    pipe.apply([("SET", LAYOUT.of("g2", "progress"), json.dumps(progress(1).to_json()))])
    assert asyncio.run(store.state()).successor == ("g2", progress(1))


def test_state_of_other_definitions_is_not_read() -> None:
    pipe = FakePipe(commands())
    found = read(RedisSpeedStore(LAYOUT, pipe, "other"))
    assert found.buckets is None and found.generation == generation()


def test_state_of_another_format_is_refused() -> None:
    pipe = FakePipe(commands())
    meta = LAYOUT.of("g1", "meta")
    pipe.data[meta] = pipe.data[meta].replace(b'"format": 1', b'"format": 9')
    with pytest.raises(SpeedSilent, match="format 9"):
        read(RedisSpeedStore(LAYOUT, pipe, SEMANTICS))


def test_an_empty_redis_holds_no_state() -> None:
    assert read(RedisSpeedStore(LAYOUT, FakePipe(), SEMANTICS)).generation is None


def test_the_floor_is_the_one_that_stands_after_the_fields() -> None:
    pipe = FakePipe(commands())
    pipe.apply([("HSET", LAYOUT.stamp("g1", shard), "floor", 2) for shard in range(4)])
    assert read(RedisSpeedStore(LAYOUT, pipe, SEMANTICS)).floor == 2
