"""One connection to Redis that all requests of a process share.

Commands of concurrent requests follow each other on the wire without waiting for replies. While Redis is away
nobody waits for it: requests are refused at once, and one task connects again, ever less often.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from core.logs import Logger
from serving_layer.ports import SpeedSilent
from serving_layer.resp import Replies, ReplyError, encode

__all__ = ["Address", "Command", "Pipe"]

Command = Sequence[str | bytes | int]
TIMEOUT = 0.5
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


@dataclass(frozen=True)
class Address:
    """Where Redis is, and how to be let in."""

    host: str
    port: int
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, url: str, options: Mapping[str, Any]) -> "Address":
        """From a `redis://` or `rediss://` URL and the options of `conf.clients.redis_options`."""
        parts = urlsplit(url)
        database = dict(parse_qsl(parts.query)).get("db") or parts.path.strip("/") or "0"
        tls = None
        if parts.scheme == "rediss":
            tls = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        return cls(
            parts.hostname or "localhost", parts.port or 6379, int(database),
            options.get("username"), options.get("password"), tls,
        )  # fmt: skip

    @property
    def greeting(self) -> list[Command]:
        """What is said first; the reply to PING shows that Redis is there and lets us in."""
        said: list[Command] = []
        if self.password:
            said.append(["AUTH", *([self.username] if self.username else []), self.password])
        if self.database:
            said.append(["SELECT", self.database])
        return [*said, ["PING"]]


class Pipe:
    """Executes pipelines; raises `SpeedSilent` at once while there is no connection."""

    def __init__(self, address: Address, log: Logger, timeout: float = TIMEOUT) -> None:
        self._address, self._log, self._timeout = address, log, timeout
        self._link: _Link | None = None
        self._why = "Redis was not asked yet"
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Try to connect once, then keep connected until `stop`."""
        await self._connect()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._keeper:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._link:
            self._link.close("the API stops")
            await asyncio.sleep(0)  # the loop closes a socket in its next turn

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, in order. Raises `SpeedSilent` if Redis is away, too slow, or refuses a command."""
        link = self._link
        if link is None or link.lost.done():
            raise SpeedSilent(f"Redis at {self._place} is away: {self._why}")
        try:
            async with asyncio.timeout(self._timeout):
                replies = await link.ask(commands)
        except TimeoutError:
            link.close(f"no answer within {self._timeout} s")
            raise SpeedSilent(f"Redis at {self._place} is away: no answer within {self._timeout} s") from None
        except ConnectionError as error:
            raise SpeedSilent(f"Redis at {self._place} is away: {error}") from error
        return replies

    @property
    def _place(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    async def _keep(self) -> None:
        pause = _PAUSE
        while True:
            if self._link is not None:
                self._why, pause = await self._link.lost, _PAUSE
                self._link = None
                self._log.warning("redis_lost", reason=self._why)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            await self._connect()

    async def _connect(self) -> None:
        address, link = self._address, None
        try:
            async with asyncio.timeout(2 * self._timeout):
                _, link = await asyncio.get_running_loop().create_connection(
                    _Link, address.host, address.port, ssl=address.tls
                )
                await link.ask(address.greeting)
        except (OSError, TimeoutError, SpeedSilent) as error:
            self._why = str(error) or f"no answer within {2 * self._timeout} s"
            if link is not None:
                link.close(self._why)
            return
        self._link = link
        self._log.info("redis_connected", address=self._place)


class _Link(asyncio.Protocol):
    """One connection: replies come in the order of the commands."""

    def __init__(self) -> None:
        self._replies = Replies()
        self._waiting: deque[tuple[int, list[Any], asyncio.Future[list[Any]]]] = deque()
        self._transport: asyncio.Transport | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def ask(self, commands: Sequence[Command]) -> "asyncio.Future[list[Any]]":
        """Send now; the future has the replies, or ConnectionError."""
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if self._transport is None or self.lost.done():
            future.set_exception(ConnectionError("the connection was lost"))
            return future
        self._waiting.append((len(commands), [], future))
        self._transport.write(b"".join(map(encode, commands)))
        return future

    def close(self, why: str) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            replies = self._replies.feed(data)
        except ValueError as error:
            self.close(str(error))
            return
        for reply in replies:
            self._deliver(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc or "Redis closed the connection"))

    def _deliver(self, reply: Any) -> None:
        wanted, got, future = self._waiting[0]
        got.append(reply)
        if len(got) == wanted:
            self._waiting.popleft()
            _settle(future, got)

    def _end(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)
        while self._waiting:
            future = self._waiting.popleft()[2]
            if not future.done():
                future.set_exception(ConnectionError(why))


def _settle(future: "asyncio.Future[list[Any]]", got: list[Any]) -> None:
    if future.done():  # whoever asked went away
        return
    refused = next((reply for reply in got if isinstance(reply, ReplyError)), None)
    if refused is not None:
        future.set_exception(SpeedSilent(f"Redis refuses: {refused}"))
    else:
        future.set_result(got)
