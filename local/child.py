"""A server as a child process: started on a tether, stopped with everything it started."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from local.tether import GRACE, tethered

__all__ = ["running"]


@contextmanager
def running(
    command: list[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    grace: float = GRACE,
    niceness: int = 0,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs `command`, its output in `log`, until the block is left. It dies with this process in any case.

    It has a session of its own; `niceness` says how much all of that yields to other sessions.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            tethered(command, grace),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    _weigh(process.pid, niceness)
    try:
        yield process
    finally:
        _stop(process, grace)


def _weigh(leader: int, niceness: int) -> None:
    """Linux may divide its time by sessions first: a process is nice to those of its own session only."""
    group = Path(f"/proc/{leader}/autogroup")
    if niceness and group.exists():
        # it takes one such wish each tenth of a second: without it the session yields less
        with suppress(BlockingIOError):
            group.write_text(str(niceness))


def _stop(process: "subprocess.Popen[bytes]", grace: float) -> None:
    """Ends a tethered process and its group; returns when all of it is gone."""
    process.terminate()
    try:
        process.wait(grace + 5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
