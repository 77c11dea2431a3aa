"""Manifests and the pointer log: what a publish contains, and which publish readers use.

A manifest is written once, after all it names is durable. The pointer log appends an entry for each publish
or roll-back, which names the entry it follows: of two publishers one wins, and the boundary never falls
except by a roll-back.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.cuts import Offsets, offsets_from, offsets_to
from core.entries import EntryLog
from core.errors import BoundaryError, FormatRefused
from core.faults import reach

_TUPLES = ("losses", "vouched", "superseded")


@dataclass(frozen=True)
class Manifest:
    """One publish of a source. `boundary` is a cut's number and `offsets` is that cut.

    `views` has for each view its table version, row counts by tile and checksum; `index` has a checksum for
    each file by its path below the index folder; `counts` conserves records: read, valid, refused,
    duplicates.

    `mode` says how it was made (core.modes) and `origin` from which version, range or candidate; `vouched`
    has the statements of operators on which rows rest that were taken over from another meaning, and
    `superseded` the meanings over which another one was promoted.

    `identity` is of sources that say which ids are one person: the `hash` of this resolution, how many
    `ids` are in groups and how many `persons` these are; and against the resolution `from` of the version
    that readers used before, the ids whose person `changed`, and those of them that were `parted`.
    """

    version: int
    source: str
    boundary: int
    offsets: Offsets
    cluster_id: str
    topic_id: str
    archive_version: int
    semantics: str
    created_at: str
    mode: str = "full"
    views: Mapping[str, Any] = field(default_factory=dict)
    index: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    losses: tuple[Any, ...] = ()
    contract: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    vouched: tuple[Any, ...] = ()
    superseded: tuple[str, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def resolution(self) -> str:
        """The content hash of the resolution of ids; empty where every id is a person of its own."""
        return str(self.identity.get("hash", ""))

    def entry(self) -> dict[str, Any]:
        lists = {name: list(getattr(self, name)) for name in _TUPLES}
        return {**asdict(self), **lists, "offsets": offsets_to(self.offsets)}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> "Manifest":
        lists = {name: tuple(entry.get(name, ())) for name in _TUPLES}
        return cls(**{**entry, **lists, "offsets": offsets_from(entry["offsets"])})


@dataclass(frozen=True)
class Pointer:
    """Entry `number` of the pointer log: readers use manifest `version`, whose boundary is `boundary`."""

    number: int
    version: int
    boundary: int
    previous_boundary: int
    kind: str
    at: str

    @property
    def floor(self) -> int:
        """Speed state below this segment is needed by no reader."""
        return min(self.boundary, self.previous_boundary)


class Publications:
    """Manifests and pointer log of one source."""

    def __init__(self, manifests: EntryLog, pointers: EntryLog) -> None:
        self.manifests, self.pointers = manifests, pointers

    def current(self) -> Pointer | None:
        """The newest pointer, or None before the first publish."""
        number = self.pointers.latest()
        return self.pointer(number) if number else None

    def pointer(self, number: int) -> Pointer:
        return Pointer(number=number, **self.pointers.read(number))

    def manifest(self, version: int) -> Manifest:
        return Manifest.from_entry(self.manifests.read(version))

    def readable(self, version: int) -> Manifest | None:
        """The manifest of a version; None if it is gone, torn, or of another format."""
        try:
            return self.manifest(version)
        except (FormatRefused, FileNotFoundError):
            return None

    def resolve(self) -> Manifest | None:
        """The manifest that readers use now."""
        pointer = self.current()
        return self.manifest(pointer.version) if pointer else None

    def next_version(self) -> int:
        return self.manifests.latest() + 1

    def publish(self, manifest: Manifest, parent: Pointer | None, kind: str, at: str) -> Pointer:
        """Point readers at a manifest that is already written.

        Raises `EntryTaken` if the pointer moved since `parent` was read, and `BoundaryError` if a publish
        would let the boundary fall (a roll-back may).
        """
        previous = parent.boundary if parent else 0
        if kind != "rollback" and manifest.boundary < previous:
            raise BoundaryError(
                f"version {manifest.version} ends at cut {manifest.boundary}, readers use {previous}"
            )
        pointer = Pointer(
            (parent.number if parent else 0) + 1, manifest.version, manifest.boundary, previous, kind, at
        )
        reach("pointer.before")
        self.pointers.append(pointer.number, {k: v for k, v in asdict(pointer).items() if k != "number"})
        return pointer
