"""`python -m local.redis`: one Redis on 127.0.0.1, in the foreground. SIGTERM stops it cleanly.

Its data stands in {data_dir}/redis. It evicts nothing: a full one refuses writes, and the speed job says so.
"""

import os
import sys

from conf.settings import Settings, get_settings, variable
from core.errors import LambdaError
from local.tools import redis_server, require_port

__all__ = ["prepare"]


def prepare(settings: Settings) -> list[str]:
    """Makes the folder ready and gives the command that runs the server. Raises PortTaken, MissingTool."""
    require_port("Redis", settings.redis_port, variable("redis_port"))
    folder = settings.data_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": "127.0.0.1",
        "port": str(settings.redis_port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": settings.redis_maxmemory,
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [redis_server(), *(part for name, value in options.items() for part in ("--" + name, value))]


def main() -> int:
    try:
        command = prepare(get_settings())
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
