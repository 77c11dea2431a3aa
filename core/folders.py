"""Where the files of a source lie below the data folder."""

from dataclasses import dataclass
from pathlib import Path

from core.cuts import CutRegistry
from core.entries import EntryLog
from core.handoffs import Handoffs
from core.losses import Losses
from core.manifest import Publications


@dataclass(frozen=True)
class Folders:
    """Paths of one source; nothing is created by asking for a path."""

    data: Path
    source: str

    @property
    def master(self) -> Path:
        return self.data / "master" / self.source

    def table(self, view: str) -> Path:
        return self.data / "views" / self.source / "tables" / view

    def index(self, version: int) -> Path:
        return self.data / "views" / self.source / "index" / f"{version:020d}"

    def index_file(self, version: int, view: str, partition: int) -> Path:
        return self.index(version) / view / f"{partition}.mdb"

    def checkpoint(self, generation: str) -> Path:
        return self.data / "checkpoints" / self.source / generation

    def resolution(self, content: str) -> Path:
        """The resolution of ids by which a generation counts, by its content hash."""
        return self.data / "resolutions" / self.source / f"{content}.mdb"

    @property
    def handoff_table(self) -> Path:
        """What the check of each publish found, for SQL."""
        return self.data / "handoffs" / self.source

    @property
    def leases(self) -> Path:
        return self.data / "leases" / self.source

    def cuts(self) -> CutRegistry:
        return CutRegistry(EntryLog(self._registry / "cuts"))

    def publications(self) -> Publications:
        return Publications(EntryLog(self._registry / "manifests"), EntryLog(self._registry / "pointer"))

    def losses(self) -> Losses:
        return Losses(EntryLog(self._registry / "log"), EntryLog(self._registry / "losses"))

    def handoffs(self) -> Handoffs:
        return Handoffs(EntryLog(self._registry / "handoffs"))

    @property
    def _registry(self) -> Path:
        return self.data / "registry" / self.source
