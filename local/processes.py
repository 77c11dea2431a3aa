"""The processes of the platform: what runs each, and how one sees that it is ready."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from conf.settings import Settings
from local import wait
from local.errors import LocalError
from local.spark_submit import job_command

__all__ = ["Process", "UnknownProcess", "chosen", "processes"]


@dataclass(frozen=True)
class Process:
    """`check` gives None when the process does its work, else the reason why not yet."""

    name: str
    command: tuple[str, ...]
    restart: str = "true"  # supervisor's autorestart
    check: Callable[[], str | None] | None = None
    ports: tuple[str, ...] = ()  # settings that must name free ports
    server: bool = False  # the others need it, so it is started first and stopped last


class UnknownProcess(LocalError):
    """A name that no process has. Keeps the name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no process {name!r}; choose from {', '.join(known)}")
        self.name = name


def processes(settings: Settings) -> dict[str, Process]:
    """Every process, by name. Servers that the settings place elsewhere are not among them."""
    found = [
        Process(
            "kafka",
            _module("local.kafka"),
            check=lambda: wait.kafka_reason(settings),
            ports=("kafka_port", "kafka_controller_port"),
            server=True,
        ),
        Process(
            "redis",
            _module("local.redis"),
            check=lambda: wait.redis_reason(settings),
            ports=("redis_port",),
            server=True,
        ),
        Process("speed", tuple(job_command("speed_layer/job.py"))),
        Process("batch", _batch(settings)),
        Process(
            "api",
            _module("serving_layer"),
            check=lambda: wait.http_reason(settings.api_url + "/healthz"),
            ports=("api_port",),
        ),
        Process("replay", _module("demo.replay"), restart="unexpected"),
    ]
    elsewhere = {"kafka": not settings.runs_kafka, "redis": not settings.runs_redis}
    return {process.name: process for process in found if not elsewhere.get(process.name, False)}


def chosen(
    settings: Settings, names: Sequence[str] | None, arguments: Mapping[str, Sequence[str]]
) -> dict[str, Process]:
    """The named processes (None: all) with further arguments. Raises UnknownProcess."""
    known = processes(settings)
    for name in [*(names or ()), *arguments]:
        if name not in known and name not in ("kafka", "redis"):
            raise UnknownProcess(name, list(known))
    return {
        name: _with(process, arguments.get(name, ()))
        for name, process in known.items()
        if names is None or name in names
    }


def _with(process: Process, arguments: Sequence[str]) -> Process:
    return replace(process, command=(*process.command, *arguments))


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def _batch(settings: Settings) -> tuple[str, ...]:
    return tuple(job_command("batch_layer/job.py", "--every", f"{settings.batch_interval:g}"))
