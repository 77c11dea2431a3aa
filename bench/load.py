"""An open-loop HTTP load: requests leave on a timetable, whatever the answers do.

Latency counts from the time a request was due, so that a stall shows in every request it delays.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Load", "drive"]

CONNECTIONS = 32
_KEPT = 2.0  # seconds; uvicorn keeps an idle connection for five
_HEAD_END = b"\r\n\r\n"
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Load:
    """What came of a load: seconds of each good answer, when it was due (since 1970); how many failed."""

    seconds: list[float] = field(default_factory=list)
    due: list[float] = field(default_factory=list)
    failed: int = 0
    late: float = 0.0  # the generator's own worst delay

    def between(self, start: float, end: float) -> list[float]:
        """Seconds of the answers that were due in [start, end)."""
        return [took for took, due in zip(self.seconds, self.due, strict=True) if start <= due < end]

    def add(self, other: "Load") -> None:
        self.seconds += other.seconds
        self.due += other.due
        self.failed += other.failed
        self.late = max(self.late, other.late)


def drive(
    host: str,
    port: int,
    path: Callable[[int], str],
    rate: float,
    duration: float,
    body: Callable[[int], bytes] | None = None,
) -> Load:
    """`rate` requests a second for `duration` seconds, GET or POST of a `body`, each made of its number."""
    return asyncio.run(_drive(host, port, lambda number: _written(path, body, number), rate, duration))


def _written(path: Callable[[int], str], body: Callable[[int], bytes] | None, number: int) -> bytes:
    if body is None:
        return f"GET {path(number)} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    sent = body(number)
    head = f"POST {path(number)} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(sent)}\r\n\r\n"
    return head.encode() + sent


@dataclass(frozen=True)
class _Connections:
    """Kept ones, opened anew once idle for longer than servers keep them."""

    host: str
    port: int
    idle: asyncio.Queue[tuple[float, _Streams]] = field(default_factory=asyncio.LifoQueue)

    def put(self, streams: _Streams) -> None:
        self.idle.put_nowait((time.perf_counter(), streams))

    async def open(self) -> _Streams:
        return await asyncio.open_connection(self.host, self.port, limit=1 << 24)

    async def take(self) -> _Streams:
        since, streams = await self.idle.get()
        if time.perf_counter() - since < _KEPT:
            return streams
        streams[1].close()
        return await self.open()

    def close(self) -> None:
        while not self.idle.empty():
            self.idle.get_nowait()[1][1].close()


async def _drive(host: str, port: int, written: Callable[[int], bytes], rate: float, duration: float) -> Load:
    load, connections = Load(), _Connections(host, port)
    for _ in range(CONNECTIONS):
        connections.put(await connections.open())
    began, tasks = time.perf_counter(), []
    for number in range(int(rate * duration)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        load.late = max(load.late, time.perf_counter() - due)
        tasks.append(asyncio.create_task(_request(connections, written(number), due, load)))
    await asyncio.gather(*tasks)
    connections.close()
    return load


async def _request(connections: _Connections, written: bytes, due: float, load: Load) -> None:
    reader, writer = await connections.take()
    writer.write(written)
    head = await reader.readuntil(_HEAD_END)
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line[:15].lower() == b"content-length:"
    )
    body = await reader.readexactly(length)
    connections.put((reader, writer))
    if head[9:12] == b"200" and b'"complete":true' in body:
        now = time.perf_counter()
        load.seconds.append(now - due)
        load.due.append(time.time() - (now - due))
    else:
        load.failed += 1
