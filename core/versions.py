"""The versions of a source: which there are, which readers can be moved to, and moving them.

A move is a new entry of the pointer log, of kind "rollback" or "rollforward". Whoever moves readers or
removes the files of a version holds the lease `versions`: none is removed while readers are sent to it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from core.cuts import offsets_to
from core.errors import EntryTaken, UnknownVersion, VersionGone, VersionRefused
from core.folders import Folders
from core.leases import hold
from core.manifest import Manifest, Pointer, Publications

__all__ = ["Version", "Versions"]

_MOVES = ("rollback", "rollforward")


@dataclass(frozen=True)
class Version:
    """A version and its publish. `manifest` is None where it is torn; `retained`: all files are there."""

    first: Pointer
    manifest: Manifest | None
    retained: bool
    current: bool

    def report(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        told = {
            "version": self.first.version,
            "boundary": self.first.boundary,
            "published_at": self.first.at,
            "current": self.current,
            "retained": self.retained,
        }
        return told | (_details(self.manifest) if self.manifest else {"trouble": "its manifest is torn"})


class Versions:
    """The versions of one source, and the three things that can be done with them."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._publications: Publications = folders.publications()

    def all(self, limit: int = 100) -> list[Version]:
        """The newest `limit` published versions and those that readers can be moved to, newest first."""
        current, retained = self._publications.current(), self.retained()
        published = {pointer.version: pointer for pointer in islice(self._published(), limit)}
        published |= {version: pointer for version, pointer in self._find(retained)}
        return [
            Version(published[number], self._publications.readable(number), number in retained,
                    current is not None and current.version == number)
            for number in sorted(published, reverse=True)
        ]  # fmt: skip

    def retained(self) -> list[int]:
        """Published versions whose index is whole, in order."""
        folder = self._folders.index(0).parent
        found = sorted(int(path.name) for path in folder.glob("[0-9]*")) if folder.is_dir() else []
        return [version for version, _ in self._find(found) if self._is_whole(version)]

    def held(self) -> int | None:
        """The newest published version, if readers were rolled back from it; None if they use it.

        While readers are held, a scheduled run publishes nothing: it would undo what an operator did.
        """
        current, newest = self._publications.current(), next(self._published(), None)
        if current is None or newest is None or current.version >= newest.version:
            return None
        return newest.version

    def needed(self, kept: int) -> set[int]:
        """The versions whose files must stay: the newest `kept` that were published, whatever came between,
        the one that readers use, and the one they used before.
        """
        newest = {pointer.version for pointer in islice(self._published(), kept)}
        return newest | {pointer.version for pointer in islice(self._pointers(), 2)}

    def oldest_needed(self, kept: int) -> Pointer | None:
        """The publish of the oldest version whose files must stay; None before the first."""
        needed = self.needed(kept)
        return next((pointer for _, pointer in self._find([min(needed)])), None) if needed else None

    def lease(self) -> AbstractContextManager[None]:
        """Held while files are removed or readers are moved back; waits for whoever holds it."""
        return hold(
            self._folders.leases / "versions", f"a change of versions of {self._folders.source}", patient=True
        )

    def roll_back(self, version: int, at: str) -> Pointer:
        """Move readers to an older version. Raises `VersionRefused` and changes nothing if that cannot be."""
        with self.lease():
            current = self._current(version)
            if version == current.version or (version > current.version and self._was_published(version)):
                raise VersionRefused(
                    version, self.retained(),
                    f"version {version} is not older than {current.version}, which readers use; roll forward",
                )  # fmt: skip
            return self._move(version, current, "rollback", at)

    def roll_forward(self, version: int | None, at: str) -> Pointer:
        """Undo roll-backs: move readers to a newer version, or to the newest that was published.

        Raises `VersionRefused` and changes nothing if that cannot be.
        """
        with self.lease():
            current = self._current(version or 0)
            target = version or self.held() or current.version
            if target <= current.version:
                raise VersionRefused(
                    target, self.retained(),
                    f"readers use version {current.version} already, and version {target} is not newer; "
                    "roll back to an older one",
                )  # fmt: skip
            return self._move(target, current, "rollforward", at)

    def _move(self, version: int, current: Pointer, kind: str, at: str) -> Pointer:
        retained = self.retained()
        if version not in retained:
            kind_of_absence = VersionGone if self._was_published(version) else UnknownVersion
            raise kind_of_absence(version, retained)
        try:
            return self._publications.publish(self._publications.manifest(version), current, kind, at)
        except EntryTaken as error:
            raise VersionRefused(
                version, retained, "a new version was published meanwhile; look at it, and decide again"
            ) from error

    def _current(self, wanted: int) -> Pointer:
        current = self._publications.current()
        if current is None:
            raise UnknownVersion(wanted, [])
        return current

    def _is_whole(self, version: int) -> bool:
        manifest, folder = self._publications.readable(version), self._folders.index(version)
        return manifest is not None and all((folder / name).is_file() for name in manifest.index)

    def _was_published(self, version: int) -> bool:
        return any(True for _ in self._find([version]))

    def _find(self, versions: list[int]) -> Iterator[tuple[int, Pointer]]:
        """The publish of each of `versions`, in their order; what nobody published is left out."""
        wanted, oldest = set(versions), min(versions, default=0)
        found = dict[int, Pointer]()
        for pointer in self._published():
            # versions are published in the order of their numbers
            if pointer.version < oldest or len(found) == len(wanted):
                break
            if pointer.version in wanted:
                found[pointer.version] = pointer
        return ((version, found[version]) for version in versions if version in found)

    def _published(self) -> Iterator[Pointer]:
        """Entries that published a version, newest first."""
        return (pointer for pointer in self._pointers() if pointer.kind not in _MOVES)

    def _pointers(self) -> Iterator[Pointer]:
        numbers = self._publications.pointers.numbers()
        return (self._publications.pointer(number) for number in reversed(numbers))


def _details(manifest: Manifest) -> dict[str, Any]:
    return {
        "created_at": manifest.created_at,
        "mode": manifest.mode,
        "origin": dict(manifest.origin),
        "vouched": list(manifest.vouched),
        "semantics": manifest.semantics,
        "offsets": offsets_to(manifest.offsets),
        "counts": dict(manifest.counts),
        "losses": list(manifest.losses),
    }
