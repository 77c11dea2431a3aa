"""The configuration of supervisord, and calls to one that runs."""

import shlex
import socket
import tempfile
import xmlrpc.client
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from conf.settings import Settings
from local.processes import Process
from local.tether import tethered

__all__ = ["call", "configuration", "socket_path"]

LONGEST_SOCKET_PATH = 90  # the system allows 107, and supervisor binds a longer name first
STOP_SECONDS = 20


def configuration(settings: Settings, processes: Iterable[Process]) -> str:
    """A supervisord.conf. Nothing starts by itself: the platform starts servers first."""
    programs = "\n".join(_program(settings, process) for process in processes)
    return f"""\
[supervisord]
nodaemon=true
silent=true
logfile={_escaped(settings.logs_dir / "supervisord.log")}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={_escaped(settings.run_dir / "supervisord.pid")}

[unix_http_server]
file={_escaped(socket_path(settings))}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

{programs}"""


def _program(settings: Settings, process: Process) -> str:
    return f"""\
[program:{process.name}]
command={_escaped(shlex.join(tethered(list(process.command))))}
priority={1 if process.server else 10}
autostart=false
autorestart={process.restart}
startsecs=5
startretries=5
stopasgroup=true
killasgroup=true
stopwaitsecs={STOP_SECONDS}
redirect_stderr=true
stdout_logfile={_escaped(settings.logs_dir / process.name)}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
"""


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")


def socket_path(settings: Settings) -> Path:
    """Where supervisord listens: in the run folder, or in the temporary folder if that path is too long."""
    path = settings.run_dir / "supervisor.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.gettempdir()) / f"lambda-{zlib.crc32(str(path).encode()):08x}.sock"


def call(settings: Settings, method: str, *arguments: object) -> Any:
    """One call of supervisor's XML-RPC interface. Raises OSError or xmlrpc.client.Error."""
    transport = SupervisorTransport(None, None, f"unix://{socket_path(settings)}")
    with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as server:
        return getattr(server.supervisor, method)(*arguments)


def answers(settings: Settings) -> bool:
    """Whether a supervisord listens for these settings."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(socket_path(settings))) == 0
