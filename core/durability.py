"""What outlives a loss of power: files and folders that were synced."""

import os
from pathlib import Path

__all__ = ["sync"]


def sync(path: Path) -> None:
    """Makes a file or a folder's entries durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
