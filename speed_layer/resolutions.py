"""The resolutions of ids by which generations count: copies, for versions of the batch views come and go."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from core.durability import sync
from core.errors import StateLost
from core.folders import Folders
from core.resolutions import FILE

__all__ = ["Resolutions"]


@dataclass(frozen=True)
class Resolutions:
    """Of one source. A content hash names a file; the empty one is that every id is a person of its own."""

    folders: Folders

    def path(self, content: str) -> Path | None:
        return self.folders.resolution(content) if content else None

    def lacks(self, content: str) -> bool:
        path = self.path(content)
        return path is not None and not path.is_file()

    def keep(self, version: int, content: str, needed: Collection[str]) -> None:
        """Copies that of a version, and removes those that are not `needed`.

        Raises StateLost if the version was removed meanwhile: a newer one is there to begin at.
        """
        self._sweep({content, *needed})
        if self.lacks(content):
            self._copy(self.folders.index(version) / FILE, self.folders.resolution(content))

    def _copy(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        try:
            shutil.copyfile(source, part)
        except FileNotFoundError as error:
            raise StateLost(f"{source} was removed while a generation began at its version") from error
        sync(part)
        part.rename(target)
        sync(target.parent)

    def _sweep(self, needed: Collection[str]) -> None:
        folder = self.folders.resolution("x").parent
        for path in list(folder.glob("*.mdb")) if folder.is_dir() else ():
            if path.stem not in needed:
                path.unlink(missing_ok=True)
