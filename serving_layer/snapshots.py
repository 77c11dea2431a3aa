"""Which publish a request uses: a thread watches the pointer log, opens a new version, then swaps it in."""

import asyncio
import threading
from dataclasses import replace

from core.cuts import Cut
from core.errors import LambdaError
from core.folders import Folders
from core.logs import Logger
from core.manifest import Manifest, Pointer
from serving_layer.index import open_index
from serving_layer.ports import IndexBroken, Snapshot, Versions

__all__ = ["Watch"]

POLL = 0.2
_LOOKED_BACK = 100  # pointer entries; versions older than that are hardly retained


class Watch(Versions):
    """The publishes of one source, from its folders. `semantics` is what this process's definitions mean.

    A version whose index cannot be opened is tried again at each poll. Until it opens, the version before it
    stays in use, which is as right as ever; without one, questions are refused.

    Where other definitions were promoted over those of this process, the last version of these stays in use:
    it is as complete as the speed state lets it be, and nobody has to restart at one moment.
    """

    def __init__(self, folders: Folders, semantics: str, log: Logger) -> None:
        self._folders, self._semantics, self._log = folders, semantics, log
        self._publications = folders.publications()
        self._snapshot: Snapshot | None = None
        self._known = 0
        # text, not the error: its traceback would keep the files open that failed
        self._trouble: str | None = None
        self._registry, self._cuts = folders.cuts(), list[Cut]()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the pointer once, then keep watching it in a thread."""
        self.look()
        self._thread = threading.Thread(target=self._run, name=f"watch-{self._folders.source}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def current(self) -> Snapshot:
        if self._snapshot is None:
            raise IndexBroken(self._trouble or "the pointer log was not read yet: ask again")
        return self._snapshot

    @property
    def trouble(self) -> str | None:
        """Why the newest version is not in use, if it is not."""
        return self._trouble

    async def renew(self) -> Snapshot:
        await asyncio.to_thread(self.look)
        return self.current()

    def cuts(self) -> list[Cut]:
        """All cuts that were there at the last look."""
        return self._cuts

    def look(self) -> None:
        """Swap in what the newest pointer names, if it is another than the one in use."""
        with self._lock:
            try:
                self._swap()
            except (LambdaError, OSError, ValueError, KeyError, TypeError) as error:
                self._fail(str(error))

    def _run(self) -> None:
        while not self._stop.wait(POLL):
            self.look()
            self._look_at_cuts()

    def _look_at_cuts(self) -> None:
        """In the thread only: after a long life there are many, and the first look reads each."""
        try:
            self._cuts = self._registry.all()
        except (LambdaError, OSError, ValueError, KeyError) as error:
            # without them nothing counts as closed: answers are as right, and take longer
            self._log.warning("cuts_unreadable", reason=str(error))

    def _swap(self) -> None:
        # a listing of the folder at each poll would grow with its age
        newest = (self._publications.pointers.following(self._known) or [self._known])[-1]
        if self._snapshot is None or newest != self._known:
            self._snapshot = self._open(self._publications.pointer(newest)) if newest else Snapshot()
            self._known = newest
            self._log.info("version_in_use", pointer=newest, boundary=self._snapshot.boundary)
        self._trouble = None

    def _open(self, pointer: Pointer) -> Snapshot:
        manifest = self._publications.manifest(pointer.version)
        if manifest.semantics == self._semantics:
            return self._of(pointer, manifest)
        if self._semantics in manifest.superseded:
            return self._replaced(pointer, manifest)
        note = f"version {manifest.version} was made by other definitions: its next publish will be used"
        return Snapshot(pointer, notes=(note,))

    def _of(self, pointer: Pointer, manifest: Manifest) -> Snapshot:
        return Snapshot(pointer, manifest, open_index(self._folders.index(manifest.version), manifest))

    def _replaced(self, pointer: Pointer, newer: Manifest) -> Snapshot:
        """The last version of these definitions; without a batch part once its files are gone."""
        note = f"version {newer.version} took the place of these definitions: restart with the promoted ones"
        if self._snapshot and self._snapshot.manifest:
            return replace(self._snapshot, notes=(note,))
        found = self._last_of_these(pointer.number)
        return replace(self._of(*found), notes=(note,)) if found else Snapshot(pointer, notes=(note,))

    def _last_of_these(self, before: int) -> tuple[Pointer, Manifest] | None:
        for number in range(before - 1, max(0, before - _LOOKED_BACK), -1):
            pointer = self._publications.pointer(number)
            manifest = self._publications.manifest(pointer.version)
            if manifest.semantics == self._semantics:
                there = self._folders.index(manifest.version).is_dir()
                return (pointer, manifest) if there else None
        return None

    def _fail(self, reason: str) -> None:
        if reason != self._trouble:
            self._log.error("version_unusable", reason=reason)
        self._trouble = reason
