"""The whole platform, or some of its processes, for as long as a block runs.

    with Platform(settings, ["kafka", "redis", "speed"]) as platform:
        platform.kill("speed")  # SIGKILL; the supervisor starts it again

When the block is left, or this process ends in any way, all processes end, with all that they started.
"""

import os
import shutil
import signal
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from conf.settings import Settings, variable
from core.errors import LeaseHeld
from core.leases import hold
from local import supervisor, wait
from local.child import running
from local.errors import LocalError
from local.fetch import jars
from local.processes import Process, chosen
from local.tools import require_port

__all__ = ["AlreadyRuns", "Platform", "ProcessFailed", "Status", "lock_path"]

STOP_ALL_SECONDS = 90.0
TAIL_BYTES = 3000


class ProcessFailed(LocalError):
    """A process that does not stay up. Keeps its name and its log."""

    def __init__(self, name: str, log: Path, tail: str) -> None:
        super().__init__(f"{name} does not stay up. The end of {log}:\n{tail}")
        self.name, self.log = name, log


class AlreadyRuns(LocalError):
    """Another platform works in the same folder. Keeps the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"a platform runs in {folder} already: stop it (make down), "
            "or set LAMBDA_DATA_DIR to another folder"
        )
        self.folder = folder


@dataclass(frozen=True)
class Status:
    """State in supervisor's words (RUNNING, STOPPED, BACKOFF, EXITED, FATAL); pid is 0 if it does not run."""

    state: str
    pid: int
    seconds: int


class Platform:
    """`processes` are names (None: all), `arguments` further arguments of a process by its name."""

    def __init__(
        self,
        settings: Settings,
        processes: Sequence[str] | None = None,
        *,
        arguments: Mapping[str, Sequence[str]] | None = None,
        say: Callable[[str], None] | None = None,
        patience: float = 120.0,
    ) -> None:
        self.settings = settings
        self.processes = chosen(settings, processes, arguments or {})
        self.patience = patience
        self._say = say or _to_stderr
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._hold(stack)
            self._require_ports()
            self._start_supervisor(stack)
            self._start_all()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._say("stopping " + ", ".join(self.processes))
        self._stack.close()

    def start(self, name: str) -> None:
        """Starts a process that does not run, and waits until it is ready. Raises ProcessFailed, NotReady."""
        self._call("startProcess", name, False)
        self.wait_for(name)

    def stop(self, name: str) -> None:
        """Stops a process cleanly and waits for its end; it stays stopped."""
        self._call("stopProcess", name, True)

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL to a process and all that it started. The supervisor starts it again."""
        self.signal(name, signal.SIGKILL)

    def signal(self, name: str, number: int) -> None:
        """Sends a signal to a process and all that it started, such as SIGSTOP and SIGCONT."""
        pid = self.status()[name].pid
        if not pid:
            raise ProcessFailed(name, self.log(name), self.tail(name))
        os.killpg(pid, number)

    def status(self) -> dict[str, Status]:
        """Every process by its name."""
        return {
            info["name"]: Status(info["statename"], info["pid"], max(0, info["now"] - info["start"]))
            for info in self._call("getAllProcessInfo")
        }

    def wait_for(self, name: str, seconds: float | None = None) -> None:
        """Waits until a process is ready. Raises ProcessFailed if it does not stay up, else NotReady."""
        process = self.processes[name]
        wait.until(lambda: self._reason(process), name, seconds or self.patience, log=self.log(name))

    def wait_for_exit(self, name: str, seconds: float) -> None:
        """Waits until a process has done its work and ended by itself, such as a replay."""
        states = ("EXITED", "STOPPED")
        wait.until(lambda: self._unless(name, states), f"the end of {name}", seconds, log=self.log(name))

    def log(self, name: str) -> Path:
        return self.settings.logs_dir / f"{name}.log"

    def tail(self, name: str) -> str:
        """The end of a process's log."""
        path = self.log(name)
        return path.read_bytes()[-TAIL_BYTES:].decode(errors="replace") if path.exists() else "(no log)"

    def _hold(self, stack: ExitStack) -> None:
        """One platform in a folder at a time."""
        for folder in (self.settings.run_dir, self.settings.logs_dir):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(hold(lock_path(self.settings), "a platform"))
        except LeaseHeld as error:
            raise AlreadyRuns(self.settings.data_dir) from error
        # scratch of Spark jobs that were killed; callbacks run last to first, so by then all have ended
        stack.callback(shutil.rmtree, self.settings.data_dir / "tmp", ignore_errors=True)

    def _require_ports(self) -> None:
        for name, process in self.processes.items():
            for field in process.ports:
                require_port(name, getattr(self.settings, field), variable(field))

    def _start_supervisor(self, stack: ExitStack) -> None:
        jars(self.settings, "spark")  # a missing jar is said here and not in five logs
        config = self.settings.run_dir / "supervisord.conf"
        config.write_text(supervisor.configuration(self.settings, self.processes.values()))
        stack.callback(config.unlink, missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)]
        log = self.settings.logs_dir / "supervisord.log"
        environment = {**self.settings.environment(), "PYTHONUNBUFFERED": "1"}
        child = stack.enter_context(running(command, log, environment, grace=STOP_ALL_SECONDS))

        def reason() -> str | None:
            if child.poll() is not None:
                raise ProcessFailed("supervisord", log, log.read_text()[-TAIL_BYTES:])
            return None if supervisor.answers(self.settings) else "its socket does not answer"

        wait.until(reason, "supervisord", log=log)

    def _start_all(self) -> None:
        servers = [name for name, process in self.processes.items() if process.server]
        others = [name for name in self.processes if name not in servers]
        for group in (servers, others):
            begun = time.monotonic()
            for name in group:
                self._say(f"starting {name}")
                self._call("startProcess", name, False)
            for name in group:
                self.wait_for(name)
                self._say(f"{name} is up ({time.monotonic() - begun:.1f} s)")

    def _reason(self, process: Process) -> str | None:
        reason = self._unless(process.name, ("RUNNING", "EXITED"))
        return reason or (process.check() if process.check else None)

    def _unless(self, name: str, states: Sequence[str]) -> str | None:
        state = self.status()[name].state
        if state == "FATAL":
            raise ProcessFailed(name, self.log(name), self.tail(name))
        return None if state in states else f"its state is {state}"

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            return supervisor.call(self.settings, method, *arguments)
        except (OSError, xmlrpc.client.Error) as error:
            raise LocalError(f"supervisor refused {method}{arguments}: {error}") from error


def lock_path(settings: Settings) -> Path:
    """Held by the process that runs a platform in this data folder; holds its pid."""
    return settings.run_dir / "lock"


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
