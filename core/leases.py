"""Leases on this machine: one process does a work, and gives it up when it ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import LeaseHeld


@contextmanager
def hold(path: Path, work: str, *, patient: bool = False) -> Iterator[None]:
    """Hold the lease `path` (a lock that the kernel drops with the process).

    If another process holds it, waits where `patient`, else raises `LeaseHeld`. A data folder shared by
    several machines must be on a file system whose locks all of them honour.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise LeaseHeld(work, str(path), int(path.read_text() or 0)) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
