"""`python -m local.tether [--grace SECONDS] COMMAND ...` runs a command that never outlives its parent.

The command and all it starts share a process group with this process. When the parent is gone (also by
SIGKILL), or the command ends, or this process is told to stop, whatever is left of the group is told to stop,
then killed.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

__all__ = ["members", "tethered"]

POLL = 0.3
GRACE = 10.0


def tethered(command: list[str], grace: float = GRACE) -> list[str]:
    """The command line that runs `command` on a tether; told to stop, it has `grace` seconds to do so."""
    return [sys.executable, "-m", "local.tether", "--grace", str(grace), *command]


def members(group: int) -> list[int]:
    """Processes of a process group that still run, zombies not counted."""
    if Path("/proc/self/stat").exists():
        stats = (_stat(path) for path in Path("/proc").glob("[0-9]*/stat"))
        return [pid for pid, state, pgrp in stats if pgrp == group and state not in "ZX"]
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,stat=,pgid="], capture_output=True, text=True, check=True
    )
    rows = (line.split() for line in listed.stdout.splitlines())
    return [int(pid) for pid, state, pgrp in rows if int(pgrp) == group and state[0] != "Z"]


def _stat(path: Path) -> tuple[int, str, int]:
    try:
        text = path.read_text()
    except OSError:  # ended while we looked
        return 0, "X", -1
    state, _, pgrp = text.rpartition(")")[2].split()[:3]
    return int(path.parent.name), state, int(pgrp)


def run(command: list[str], grace: float = GRACE) -> int:
    """Runs the command to its end and gives its exit status; 128 + n where signal n ended it."""
    parent = os.getppid()
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: told.append(number))
    child = subprocess.Popen(command)
    while child.poll() is None and not told and os.getppid() == parent:
        _pause(child)
    _end_group(child, grace)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _pause(child: "subprocess.Popen[bytes]") -> None:
    try:
        child.wait(POLL)
    except subprocess.TimeoutExpired:
        return


def _end_group(child: "subprocess.Popen[bytes]", grace: float) -> None:
    signal.signal(signal.SIGTERM, _ignore)
    deadline = time.monotonic() + grace
    if _others():
        os.killpg(0, signal.SIGTERM)
    while _others() and time.monotonic() < deadline:
        child.poll()
        time.sleep(0.05)
    for pid in _others():
        os.kill(pid, signal.SIGKILL)
    child.wait()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Our own SIGTERM to the group comes back to us."""


def _others() -> list[int]:
    return [pid for pid in members(os.getpgrp()) if pid != os.getpid()]


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--grace"]:
        return run(arguments[2:], float(arguments[1]))
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
