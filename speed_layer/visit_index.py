"""Users' newest visits as of a version: what the batch layer indexed, read where Redis knows a user not.

Which version: a generation counts segments from some cut on (`count_from`). Of a user of whom it holds
nothing from there on, every version whose boundary lies between that cut and what was wholly consumed before
the micro-batch says the same: between the two there is no event of the user, or the generation would hold
one. A version beyond would know events that the micro-batch is about to count. One with `count_from` itself
as its boundary is there: it is the readers' version or the one before, which the floor waits for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import lmdb

from core.durability import sha256_of
from core.errors import StateLost
from core.folders import Folders
from core.layout import VISITS
from core.manifest import Manifest
from core.visit_index import newest_visits
from core.visits import Visit, Visits

__all__ = ["VisitIndex", "choose"]

_open: dict[Path, lmdb.Transaction] = {}


@dataclass(frozen=True)
class VisitIndex:
    """The files of one version, with the checksums that its manifest has; plain values for the workers."""

    version: int
    folder: Path
    files: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, folders: Folders, manifest: Manifest) -> "VisitIndex | None":
        """None if the version has none."""
        names = sorted(name for name in manifest.index if name.startswith(f"{VISITS}/"))
        files = tuple((name, manifest.index[name]) for name in names)
        return cls(manifest.version, folders.index(manifest.version), files) if files else None

    def look_up(self, visits: Visits, users: Iterable[str]) -> dict[str, Visit]:
        """The newest visit of each user who has one; raises `StateLost` for a file that is not the
        manifest's."""
        return newest_visits(visits, users, len(self.files), self._file)

    def _file(self, number: int) -> lmdb.Transaction:
        name, checksum = next(each for each in self.files if each[0] == f"{VISITS}/{number}.mdb")
        path = self.folder / name
        if path not in _open:
            _close_others(self.folder)
            _open[path] = _mapped(path, checksum)
        return _open[path]


def _close_others(folder: Path) -> None:
    for path in [path for path in _open if path.parent.parent != folder]:
        del _open[path]  # the last that holds its environment


def _mapped(path: Path, checksum: str) -> lmdb.Transaction:
    try:
        found = sha256_of(path)
        if found != checksum:
            raise StateLost(
                f"{path} has checksum {found[:12]}, its manifest says {checksum[:12]}: restore it"
            )
        # one transaction, which lives as long as somebody holds it: the file never changes
        environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False, create=False)
        return environment.begin(buffers=True)
    except (OSError, lmdb.Error) as error:
        raise StateLost(f"{path} cannot be read ({error}): restore it, or publish again") from error


def choose(
    folders: Folders, semantics: str, count_from: int, consumed: int, resolution: str | None = None
) -> VisitIndex | None:
    """The index of a version with a boundary from cut `count_from` to cut `consumed`; None if there is none.

    Of the same definitions: with others a visit is another thing. Where users are persons, of the same
    `resolution`: by another one they have other events.
    """
    publications, parent = folders.publications(), folders.index(0).parent
    versions = [int(path.name) for path in parent.glob("[0-9]*")] if parent.is_dir() else []
    for version in sorted(versions, reverse=True):
        manifest = publications.readable(version)
        if manifest is None or manifest.semantics != semantics:
            continue
        if resolution is not None and manifest.resolution != resolution:
            continue
        if count_from <= manifest.boundary <= consumed and (found := VisitIndex.of(folders, manifest)):
            return found
    return None
