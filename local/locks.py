"""A lock between processes of one machine, given back when the holder ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Held", "exclusive"]


class Held(Exception):
    """Another process holds the lock. Keeps its file, and its pid (0 if it has not written it yet)."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(f"process {pid} holds {path}")
        self.path, self.pid = path, pid


@contextmanager
def exclusive(path: Path, *, patient: bool = True) -> Iterator[None]:
    """Holds `path`; waits for it first if `patient`, else raises Held where another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise Held(path, int(path.read_text() or 0)) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
