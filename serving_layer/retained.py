"""Retained versions of the batch views, opened when a question asks for one."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from core.cuts import Offsets, reaches
from core.folders import Folders
from core.logs import get_logger
from core.manifest import Manifest
from core.versions import Versions
from serving_layer.index import open_index
from serving_layer.ports import IndexBroken, Snapshot
from serving_layer.problems import Problem

__all__ = ["Retained"]

_OPEN = 3  # versions that stay open: checking the files of one takes as long as reading them once


class Retained:
    """The retained versions of one source. Blocks; threads may share it."""

    def __init__(self, folders: Folders, semantics: str) -> None:
        self._folders, self._semantics = folders, semantics
        self._publications, self._versions = folders.publications(), Versions(folders)
        self._open: OrderedDict[int, Snapshot] = OrderedDict()
        self._turn = Lock()

    def version(self, number: int) -> Snapshot:
        """A version by its number. Raises `Problem` with those that can be asked, and `IndexBroken`."""
        manifests = self._manifests()
        if number in manifests:
            return self._snapshot(manifests[number])
        known = self._publications.manifests.latest()
        kind = "version-gone" if number <= known else "unknown-version"
        why = (
            "is not retained, was never published, or was made by other definitions"
            if number <= known
            else f"does not exist: the newest is {known}"
        )
        raise Problem.of_field(kind, "version", number, sorted(manifests), f"version {number} {why}")

    def newest(self, end: Offsets, boundary: Callable[[Manifest], bool] = lambda _: True) -> Snapshot:
        """The version that covers most of the log and nothing from `end` on; an empty one if none does.

        One whose files were removed since they were listed, or are damaged, is passed over.
        """
        fitting = [m for m in self._manifests().values() if reaches(end, m.offsets) and boundary(m)]
        for manifest in sorted(fitting, key=lambda m: (m.boundary, m.version), reverse=True):
            try:
                return self._snapshot(manifest)
            except IndexBroken as error:
                get_logger("api").warning("version_passed_over", version=manifest.version, reason=str(error))
        return Snapshot()

    def _manifests(self) -> dict[int, Manifest]:
        """Retained versions that were made by the definitions of this process."""
        found = {number: self._publications.readable(number) for number in self._versions.retained()}
        with self._turn:
            for gone in self._open.keys() - found.keys():
                del self._open[gone]  # its files take room as long as they are open
        return {n: m for n, m in found.items() if m is not None and m.semantics == self._semantics}

    def _snapshot(self, manifest: Manifest) -> Snapshot:
        with self._turn:
            found = self._open.pop(manifest.version, None)
            if found is None:
                index = open_index(self._folders.index(manifest.version), manifest)
                found = Snapshot(manifest=manifest, index=index)
            self._open[manifest.version] = found
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
            return found
