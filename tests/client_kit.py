"""The API over fakes as a real HTTP server in a thread, and servers that say what a test tells them to."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from local.tools import free_port

Step = httpx.Response | httpx.TransportError


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Its URL, while the block runs."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            threading.Event().wait(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


class Scripted(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers each request with the next step; keeps the requests."""

    def __init__(self, *steps: Step | Callable[[httpx.Request], Step]) -> None:
        self._steps, self.requests = list(steps), list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = self._steps.pop(0) if self._steps else httpx.ConnectError("refused")
        found = step(request) if callable(step) else step
        if isinstance(found, httpx.TransportError):
            raise found
        return found

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


class Naps:
    """Sleeps that take no time; `taken` are their seconds."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)

    async def later(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in these pieces; an error in it is raised."""

    def __init__(self, pieces: Sequence[bytes | httpx.TransportError]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, httpx.TransportError):
                raise piece
            yield piece

    async def __aiter__(self) -> Any:
        for piece in self:
            yield piece


def stream(*pieces: bytes | httpx.TransportError) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream(pieces))


def problem(status: int, kind: str, **more: Any) -> httpx.Response:
    document = {"type": f"/problems#{kind}", "title": "No", "status": status, "detail": "it is so"}
    headers = {"content-type": "application/problem+json"} | more.pop("headers", {})
    return httpx.Response(status, headers=headers, json={**document, **more})
