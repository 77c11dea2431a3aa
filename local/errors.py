"""Errors of the commands that run the platform on one machine.

LocalError
  MissingTool       java, or a redis-server, is not there
  PortTaken         another program listens where ours should
  NotReady          a server did not answer in time
  fetch.FetchError  jars that could not be fetched
  sdists.SdistRefused  a source distribution that could not be fetched, or another one
  platform.ProcessFailed  a supervised process that does not stay up
"""

from pathlib import Path

from core.errors import LambdaError

__all__ = ["LocalError", "MissingTool", "NotReady", "PortTaken"]


class LocalError(LambdaError):
    """Whatever keeps the platform from running on this machine."""


class MissingTool(LocalError):
    def __init__(self, tool: str, remedy: str) -> None:
        super().__init__(f"{tool} is missing: {remedy}")
        self.tool = tool


class PortTaken(LocalError):
    """Keeps the port and the variable that moves the server elsewhere."""

    def __init__(self, server: str, port: int, key: str) -> None:
        super().__init__(
            f"{server} cannot listen on 127.0.0.1:{port}: the port is taken. "
            f"Stop what listens there, or set {key} to a free port."
        )
        self.server, self.port, self.key = server, port, key


class NotReady(LocalError):
    """Keeps what was waited for, how long (seconds), and the last thing it said."""

    def __init__(self, what: str, seconds: float, last: str, log: Path | None = None) -> None:
        where = f" Its log: {log}" if log else ""
        super().__init__(f"{what} did not answer within {seconds:.0f} s (last: {last}).{where}")
        self.what, self.seconds, self.last = what, seconds, last
