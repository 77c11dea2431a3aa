"""The socket that the API listens on."""

import asyncio
import socket

import pytest

from conf.settings import Settings
from local.tools import free_port
from serving_layer.listening import PortTaken, listen


def test_answers_leave_at_once_and_do_not_wait_for_acknowledgements() -> None:
    assert asyncio.run(_accepted(listen(Settings(api_port=free_port())))) != 0


async def _accepted(listener: socket.socket) -> int:
    """TCP_NODELAY of a connection that asyncio, as uvicorn uses it, took from `listener`."""
    found = asyncio.get_running_loop().create_future()

    async def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        delay = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
        await writer.wait_closed()
        found.set_result(delay)

    async with await asyncio.start_server(taken, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        delay = int(await found)
        writer.close()
        await writer.wait_closed()
    return delay


def test_a_taken_port_names_the_setting_to_change() -> None:
    settings = Settings(api_port=free_port())
    with listen(settings), pytest.raises(PortTaken, match=f"{settings.api_port}.*LAMBDA_API_PORT"):
        listen(settings)
