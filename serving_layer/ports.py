"""What the routes need of the world: an index and a speed state. Each has a fake for tests."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.buckets import Run
from core.chains import Chain
from core.errors import LambdaError
from core.handoff import Generation, Lease, Progress
from core.manifest import Manifest, Pointer
from core.measures import Partial
from core.periods import Periods
from core.resolutions import Alone, Resolution
from core.views import CompiledView
from core.visits import Visit, Visits

__all__ = [
    "Bucketed", "Choose", "Index", "IndexBroken", "Listed", "PersonNote", "ReadKeys", "Snapshot",
    "SpeedReading", "SpeedSilent", "SpeedStore", "TooManyHashes", "Versions",
]  # fmt: skip

Bucketed = tuple[int, Partial]  # the start of a bucket or tile in seconds, and what it holds


class IndexBroken(LambdaError):
    """The index of a version cannot be read: a file is missing or damaged."""


class SpeedSilent(LambdaError):
    """The speed state cannot be read now; its text says why."""


class TooManyHashes(LambdaError):
    """More of the speed state was touched since the boundary than a process keeps lists of."""


class Index(ABC):
    """The batch views of one version."""

    @abstractmethod
    def read(self, view: CompiledView, key: str, runs: Sequence[Run]) -> list[Bucketed]:
        """The tiles there are of a key, in the order of `runs`. Raises `IndexBroken`."""

    @abstractmethod
    def read_many(
        self, view: CompiledView, keys: Collection[str], runs: Sequence[Run]
    ) -> dict[str, list[Bucketed]]:
        """`read` of each key, in one pass. Raises `IndexBroken`."""

    @abstractmethod
    def keys(self, view: CompiledView, prefix: str, after: bytes | None, most: int) -> "list[Listed]":
        """The first keys whose text starts with `prefix`, in the order of `index_text`, behind `after`.

        Raises `IndexBroken`.
        """

    @property
    def persons(self) -> Resolution:
        """Which ids are one person in this version."""
        return Alone()

    def visits(self, declared: Visits, users: Iterable[str]) -> Mapping[str, Visit]:
        """The newest visit at the version's boundary of each of these users who has one.

        Raises `IndexBroken`.
        """
        return {}

    def chains(self, digests: Iterable[bytes]) -> Mapping[bytes, Chain]:
        """What the version knows of these chains of corrected events. Raises `IndexBroken`."""
        return {}

    def parts(self, view: CompiledView, key: str) -> tuple[str, ...]:
        """The keys of the version that are read for a key."""
        return (key,)


# the text by which the index orders keys, and the key; None for one that the index holds a digest of
Listed = tuple[bytes, str | None]


@dataclass(frozen=True)
class Snapshot:
    """One publish as a request sees it, from its first to its last byte.

    `manifest` and `index` are None before the first publish, and where the published version was made by
    definitions other than this process runs; `notes` says so.
    """

    pointer: Pointer | None = None
    manifest: Manifest | None = None
    index: Index | None = None
    notes: tuple[str, ...] = ()

    @property
    def boundary(self) -> int:
        return self.manifest.boundary if self.manifest else 0

    @property
    def persons(self) -> Resolution:
        """Which ids are one person in what was published."""
        return self.index.persons if self.index else Alone()


class Versions(ABC):
    """The publishes of one source."""

    @abstractmethod
    def current(self) -> Snapshot:
        """The newest publish that this process knows; never waits. Raises `IndexBroken`."""

    @property
    @abstractmethod
    def trouble(self) -> str | None:
        """Why the newest publish is not in use, if it is not."""

    @abstractmethod
    async def renew(self) -> Snapshot:
        """The newest publish there is, read now. Raises `IndexBroken`."""


@dataclass(frozen=True)
class PersonNote:
    """By which persons an answer was made: those of version `resolution`, and since its boundary `pairs` that
    join some of them, and `undone` ones that still count as one.

    Measures that count persons may be `down` too many and `up` too few. `doubt` says why parts of other
    persons may be in the answer.
    """

    resolution: int
    pairs: int
    undone: int
    down: int
    up: int
    doubt: str | None = None

    def report(self) -> dict[str, Any]:
        return {
            "resolution": self.resolution,
            "pairs_since": self.pairs,
            "undone_since": self.undone,
        }


@dataclass(frozen=True)
class SpeedReading:
    """What the speed state holds of one key: finest buckets of segments at or beyond the asked one.

    `floor` is read after the fields: whatever lies at or beyond it was there. `stamps` are the micro-batches
    that the shards read say they hold. `buckets` is None where there is nothing that could be read.
    `successor` is the generation that is rebuilt beside this one, and how far it has come. `condemned` says
    what a publish found wrong, `persons` by whose ids it was read, where that matters.
    """

    generation: Generation | None = None
    progress: Progress | None = None
    lease: Lease | None = None
    stamps: tuple[int | None, ...] = ()
    floor: int = 0
    buckets: Sequence[Bucketed] | None = None
    fields: int = 0
    successor: tuple[str, Progress | None] | None = None
    condemned: str | None = None
    persons: PersonNote | None = None
    archive: Sequence[str] | None = None


# what was read of several keys: buckets by key, None where there is nothing that could be read
ReadKeys = tuple[SpeedReading, Mapping[str, Sequence[Bucketed]] | None]
Choose = Callable[[Collection[str]], Collection[str]]


class SpeedStore(ABC):
    """The speed state of one source."""

    @abstractmethod
    async def read(
        self,
        view: CompiledView,
        key: str,
        span: tuple[int, int],
        boundary: int,
        every: Periods | None = None,
    ) -> SpeedReading:
        """Segments from `boundary` on, buckets within `span`, merged at most as far as rows of `every` allow.

        Raises `SpeedSilent`, soon.
        """

    @abstractmethod
    async def read_many(
        self,
        view: CompiledView,
        keys: Sequence[str],
        span: tuple[int, int],
        boundary: int,
        every: Periods | None = None,
    ) -> ReadKeys:
        """As `read`, for at least one key, in one round trip. Raises `SpeedSilent`."""

    @abstractmethod
    async def read_listed(
        self,
        view: CompiledView,
        prefix: str,
        span: tuple[int, int],
        boundary: int,
        choose: Choose,
        every: Periods | None = None,
    ) -> ReadKeys:
        """As `read`, for those keys that `choose` takes of all that there are.

        It is given the keys whose text starts with `prefix` and that segments from `boundary` on touched;
        what it names beside them holds nothing. Raises `SpeedSilent`, `TooManyHashes`, and what `choose`
        raises.
        """

    @abstractmethod
    async def state(self) -> SpeedReading:
        """Generation, progress, lease and successor alone. Raises `SpeedSilent`, soon."""

    def whole(self, view: CompiledView, key: str) -> str:
        """One key in place of all that have the same answer, also of the first parts of keys."""
        return key
