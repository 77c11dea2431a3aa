"""What the processes that this one started use: CPU seconds by role, memory of all of them, room on disk."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from redis import Redis

from conf.clients import redis_options
from conf.settings import Settings

__all__ = ["Meter", "Phase", "Stat", "disk_usage", "minus", "parse_stat", "redis_memory", "roles", "total"]

# what a command line holds tells the role of a process, and of all that it starts
MARKS: Mapping[str, str] = {
    "local.kafka": "kafka",
    "local.redis": "redis",
    "speed_layer/job.py": "speed",
    "batch_layer/": "batch",
    "serving_layer": "api",
}
_OTHER = "supervisor"
_LOOK = 0.25  # seconds: of a process that ends, what it used after the last look is not seen
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Stat:
    """A process at one moment: CPU seconds of its own, resident bytes. A pid alone may come again."""

    pid: int
    parent: int
    started: int
    cpu: float
    resident: int

    @property
    def identity(self) -> tuple[int, int]:
        return self.pid, self.started


@dataclass
class Phase:
    """A part of a run: how long, CPU seconds by role, and the most memory of all processes together."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    peak: int = 0

    def __add__(self, other: "Phase") -> "Phase":
        roles = {*self.cpu, *other.cpu}
        cpu = {role: self.cpu.get(role, 0.0) + other.cpu.get(role, 0.0) for role in roles}
        return Phase(self.seconds + other.seconds, cpu, max(self.peak, other.peak))


def total(phase: Phase) -> float:
    """CPU seconds of all roles."""
    return sum(phase.cpu.values())


def parse_stat(text: str) -> Stat:
    """The text of /proc/PID/stat; a command's name may hold blanks and parentheses."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Stat(
        pid=int(head.partition(" ")[0]),
        parent=int(fields[1]),
        started=int(fields[19]),
        cpu=(int(fields[11]) + int(fields[12])) / _TICK,
        resident=int(fields[21]) * _PAGE,
    )


def roles(stats: Iterable[Stat], root: int, commands: Mapping[int, str]) -> dict[int, str]:
    """The role of every process below `root`, by pid: its own mark, else that of who started it."""
    children: dict[int, list[int]] = {}
    for stat in stats:
        children.setdefault(stat.parent, []).append(stat.pid)
    found, waiting = dict[int, str](), [(pid, _OTHER) for pid in children.get(root, ())]
    while waiting:
        pid, inherited = waiting.pop()
        role = inherited if inherited != _OTHER else _marked(commands.get(pid, ""))
        found[pid] = role
        waiting += [(child, role) for child in children.get(pid, ())]
    return found


def _marked(command: str) -> str:
    return next((role for mark, role in MARKS.items() if mark in command), _OTHER)


def minus(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What each role has used since."""
    return {role: seconds - before.get(role, 0.0) for role, seconds in now.items()}


def disk_usage(folder: Path) -> int:
    """Bytes that the files below a folder take on disk; a file with several names counts once."""
    found = dict[tuple[int, int], int]()
    for path in folder.rglob("*"):
        with suppress(OSError):  # removed while we looked
            status = path.lstat()
            found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def redis_memory(settings: Settings) -> int:
    """Bytes that Redis holds."""
    with Redis.from_url(settings.redis_address, **redis_options(settings)) as redis:
        return int(redis.info("memory")["used_memory"])


class Meter:
    """Looks at all processes below this one while a block runs."""

    def __init__(self) -> None:
        self._cpu: dict[tuple[int, int], tuple[str, float]] = {}
        self._peak = 0
        self._lock, self._stop = threading.Lock(), threading.Event()

    @contextmanager
    def running(self) -> Iterator["Meter"]:
        thread = threading.Thread(target=self._run, name="meter")
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    @contextmanager
    def phase(self) -> Iterator[Phase]:
        """The phase is whole once the block is left. One at a time."""
        phase = Phase()
        before, began = self.look(afresh=True), monotonic()
        try:
            yield phase
        finally:
            phase.cpu, phase.seconds = minus(self.look(), before), monotonic() - began
            phase.peak = self._peak

    def look(self, *, afresh: bool = False) -> dict[str, float]:
        """CPU seconds of each role up to now, those of processes that ended included."""
        with self._lock:
            stats = list(_stats())
            commands = {stat.pid: _command(stat.pid) for stat in stats}
            found = roles(stats, os.getpid(), commands)
            ours = [stat for stat in stats if stat.pid in found]
            for stat in ours:
                self._cpu[stat.identity] = self._role(stat, found[stat.pid]), stat.cpu
            self._peak = max(0 if afresh else self._peak, sum(stat.resident for stat in ours))
            return self._sums()

    def _role(self, stat: Stat, found: str) -> str:
        """A process that has ended, and that nobody has waited for, has no command line any more."""
        return self._cpu.get(stat.identity, (found,))[0] if found == _OTHER else found

    def _sums(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for role, seconds in self._cpu.values():
            sums[role] = sums.get(role, 0.0) + seconds
        return sums

    def _run(self) -> None:
        while not self._stop.wait(_LOOK):
            self.look()


def _stats() -> Iterator[Stat]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended while we looked
            yield parse_stat(path.read_text())


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
