"""How many connections a process may hold: each is an open file."""

import resource

__all__ = ["raise_file_limit"]


def raise_file_limit() -> int:
    """Raise this process's soft limit of open files, often 1024, to the hard one; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
