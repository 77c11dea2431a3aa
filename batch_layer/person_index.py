"""The resolution of ids as a part of a version: its file in the index, and what the manifest says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batch_layer.contents import Content
from batch_layer.resolution_file import write_resolution
from core.errors import NotExact
from core.folders import Folders
from core.manifest import Manifest
from core.resolutions import FILE, Alone, Resolution, changes, open_resolution

__all__ = ["PersonIndex", "Persons"]


@dataclass(frozen=True)
class PersonIndex:
    """What a manifest says: the checksum of the file by its name, and `Manifest.identity`."""

    files: Mapping[str, str] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Persons:
    """Of one version, which is made of `content` in the folder `staged`."""

    folders: Folders
    content: Content
    staged: Path

    def made(self, before: Manifest | None) -> PersonIndex:
        """Nothing where the source does not say which ids are one person. Raises NotExact."""
        if self.content.resolved is None:
            return self._carried(before)
        written = write_resolution(self.content.resolved, self.staged / FILE)
        self._check_carried(written.content)
        told = {"hash": written.content, "ids": written.ids, "persons": written.persons}
        return PersonIndex({FILE: written.sha256}, self._entry(told, before))

    def _carried(self, before: Manifest | None) -> PersonIndex:
        base = self.content.base
        if base is None or not base.manifest.identity:
            return PersonIndex()
        files = base.carry(FILE.partition("/")[0], self.staged)
        told = {name: base.manifest.identity[name] for name in ("hash", "ids", "persons")}
        return PersonIndex(files, self._entry(told, before))

    def _check_carried(self, found: str) -> None:
        """Rows that stay were counted by the base's persons: those have to be the persons of now."""
        base = self.content.base
        if base is not None and base.manifest.resolution != found:
            raise NotExact(
                f"taking rows over from version {base.manifest.version}",
                "events say now that other ids are one person",
                "recompute all",
            )

    def _entry(self, told: Mapping[str, Any], before: Manifest | None) -> dict[str, Any]:
        """What is `told` of a resolution, and what it changes of that before."""
        former = before.resolution if before else ""
        entry = {**told, "from": former}
        if former == told["hash"]:
            return {**entry, "changed": 0, "parted": 0}
        found = changes(self._of(before), open_resolution(self.staged / FILE))
        return {**entry, "changed": found.changed, "parted": found.parted}

    def _of(self, before: Manifest | None) -> Resolution:
        if before is None or not before.resolution:
            return Alone()
        return open_resolution(self.folders.index(before.version) / FILE)
