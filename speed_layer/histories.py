"""Which published version tells the speed layer of the events that its own state does not hold any more."""

from dataclasses import dataclass, field
from pathlib import Path

from core.chains import CHAINS_FOLDER
from core.durability import sha256_of
from core.folders import Folders
from core.logs import Logger
from core.manifest import Manifest
from speed_layer.event_chains import History

__all__ = ["Histories"]


@dataclass
class Histories:
    """The versions of one source that definitions `semantics` made; it remembers the last one."""

    folders: Folders
    semantics: str
    log: Logger
    _last: tuple[Manifest, History] | None = field(default=None, init=False)

    def covering(self, cut: int) -> History | None:
        """The chains of all that lies below `cut`; None if no version that is there has them.

        What readers use now is taken, if it was made by these definitions, and else what was taken before.
        """
        manifest = self.folders.publications().resolve()
        if manifest is not None and (self._last is None or self._last[0] != manifest):
            found = self._opened(manifest)
            self._last = self._last if found is None else (manifest, found)
        if self._last is None or self._last[0].boundary < cut or not self._last[1].folder.is_dir():
            return None
        return self._last[1]

    def _opened(self, manifest: Manifest) -> History | None:
        """Raises nothing: a version whose files are damaged is one that is not there."""
        names = [name for name in manifest.index if name.startswith(f"{CHAINS_FOLDER}/")]
        if manifest.semantics != self.semantics or not names:
            return None
        folder = self.folders.index(manifest.version)
        wrong = [name for name in names if _sha256(folder / name) != manifest.index[name]]
        if wrong:
            self.log.error(
                "history_damaged",
                version=manifest.version,
                files=wrong,
                way_out="restore the files, or publish again",
            )
            return None
        return History(folder / CHAINS_FOLDER, len(names))


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return None
