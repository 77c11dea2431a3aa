"""What Spark's checkpoint says: the exact offsets of each micro-batch."""

import json
from pathlib import Path

from core.cuts import offsets_from
from core.errors import StateLost

__all__ = ["Checkpoint"]


class Checkpoint:
    """The checkpoint folder of one generation's query, read only."""

    def __init__(self, folder: Path, topic: str) -> None:
        self.folder, self.topic = folder, topic

    def newest(self) -> int:
        """The newest micro-batch that was planned; -1 if none was."""
        return _newest(self.folder / "offsets")

    def committed(self) -> int:
        """The newest micro-batch that Spark knows to be done; -1 if none is."""
        return _newest(self.folder / "commits")

    def end(self, batch: int) -> dict[int, int]:
        """The offsets at which micro-batch `batch` ends; raises `StateLost` if the entry is torn or gone."""
        path = self.folder / "offsets" / str(batch)
        try:
            version, _, offsets = path.read_text().splitlines()[:3]
            if version != "v1":
                raise StateLost(f"{path} has format {version!r}; this release of Spark writes v1")
            return offsets_from(json.loads(offsets)[self.topic])
        except (OSError, ValueError, KeyError) as error:
            raise StateLost(f"{path} does not hold the offsets of a micro-batch ({error!r})") from error


def _newest(folder: Path) -> int:
    if not folder.is_dir():
        return -1
    return max((int(path.name) for path in folder.iterdir() if path.name.isdigit()), default=-1)
