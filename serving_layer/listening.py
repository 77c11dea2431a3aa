"""The socket that the API listens on."""

import socket

from conf.settings import Settings, variable
from core.errors import LambdaError

__all__ = ["PortTaken", "listen"]

_BACKLOG = 2048


class PortTaken(LambdaError):
    """Somebody listens where the API should."""


def listen(settings: Settings) -> socket.socket:
    """Where all processes of the API take connections from. Raises `PortTaken`."""
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    # its protocol named, or asyncio leaves Nagle's algorithm on: answers would wait for acknowledgements
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.api_host, settings.api_port))
        # a bound socket that does not listen would let a second API bind as well
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"the API cannot listen on {settings.api_host}:{settings.api_port} ({error.strerror}); "
            f"set {variable('api_port')} to a free port, or stop what listens there"
        ) from error
    listener.set_inheritable(True)
    return listener
