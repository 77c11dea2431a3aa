"""Leases on this machine: one process does a work, and gives it up when it ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import LeaseHeld


@contextmanager
def hold(path: Path, work: str) -> Iterator[None]:
    """Hold the lease `path` (a lock that the kernel drops with the process).

    Raises `LeaseHeld` if another process holds it. A data folder shared by several machines must be on a
    file system whose locks all of them honour.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LeaseHeld(
                f"{work} is running already (lease {path}); stop that process or wait for it"
            ) from error
        yield
