"""The hand-off protocol as pure functions: who owns what, what may be written, and what an answer may claim.

Nothing here reads a clock, a file or a server; the layers bring facts and act on the verdicts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from core.cuts import ZERO, Cut, Offsets, offsets_from, offsets_to, reaches
from core.errors import BoundaryError, ForeignLog, FormatRefused, IntentMismatch, PositionError
from core.manifest import Manifest

FORMAT = 1


class _Json:
    """Offsets are JSON objects with partitions as text; all else is plain."""

    _offsets = ("start", "end", "offsets", "reads_from")

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)  # type: ignore[call-overload]
        return {k: offsets_to(v) if k in self._offsets else v for k, v in plain.items()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Raises `FormatRefused` for what another release wrote, which has to be rebuilt."""
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        if entry.get("format", FORMAT) != FORMAT or not known.issuperset(entry):
            raise FormatRefused(
                f"{cls.__name__} {dict(entry)} is not of format {FORMAT}; "
                "start a new generation, or run the release that wrote it"
            )
        return cls(**{k: offsets_from(v) if k in cls._offsets else v for k, v in entry.items()})


@dataclass(frozen=True)
class Generation(_Json):
    """One life of the speed layer's state. It holds what lies at or beyond cut `start_cut` at `offsets`.

    It knows the copies of events from `reads_from` on, which lies some segments before. For all its life
    ids are the persons of one resolution, that of the version at whose boundary it began: `resolution` is its
    content hash.
    """

    id: str
    source: str
    start_cut: int
    offsets: Offsets
    semantics: str
    shards: int
    cluster_id: str
    topic_id: str
    format: int = FORMAT
    reads_from: Offsets = field(default_factory=dict)
    resolution: str = ""


@dataclass(frozen=True)
class Intent(_Json):
    """What micro-batch `batch` is about to write: [start, end), seen with `cuts` cuts registered."""

    batch: int
    start: Offsets
    end: Offsets
    cuts: int
    semantics: str


@dataclass(frozen=True)
class Progress(_Json):
    """What is wholly written: all before `end`, with every one of the first `cuts` cuts respected.

    Segments below `floor` are dropped. `lost` says why events are missing, if any are.
    """

    batch: int
    end: Offsets
    cuts: int
    floor: int
    lost: str | None = None


@dataclass(frozen=True)
class Lease:
    """Says each second, while the speed job lives, that micro-batch `batch` is the newest committed one.

    Everything acknowledged before `as_of` (seconds since 1970) is in the speed state, or dropped below the
    floor. `trouble` says why nothing advances, while that is so.
    """

    batch: int
    as_of: float
    at: float
    trouble: str | None = None


def choose_boundary(cuts: Sequence[Cut], archived: Offsets, at_least: int) -> Cut:
    """The newest cut that the master dataset covers on every partition.

    Raises `BoundaryError` if that lies below `at_least`, the boundary that readers use now.
    """
    covered = [cut for cut in cuts if reaches(archived, cut.offsets)]
    chosen = covered[-1] if covered else ZERO
    if chosen.number < at_least:
        raise BoundaryError(
            f"the master dataset at {dict(archived)} covers cut {chosen.number}, but readers use cut "
            f"{at_least}; it was truncated or restored from an older copy: restore it, or archive the log "
            "again"
        )
    return chosen


def check_abutting(
    batches: Sequence[tuple[Offsets, Offsets]], accepted: Collection[tuple[int, int, int]] = ()
) -> dict[int, int]:
    """The end of a chain of [start, end) vectors, each of which must begin where the last one ended.

    A partition may appear at any time, from offset 0 or from where the log begins. `accepted` are gaps
    (partition, from, to) that an operator declared lost: only these very offsets may be left out.
    """
    end: dict[int, int] = {}
    for start, stop in batches:
        for partition, offset in start.items():
            before = end.get(partition, offset)
            if before != offset and (partition, before, offset) not in accepted:
                raise PositionError(
                    f"partition {partition}: archived up to {before}, and then from {offset}; "
                    "two archivers wrote, or commits were lost: restore the master dataset"
                )
        for partition, last in stop.items():
            if last < (first := start.get(partition, 0)) or (partition in end and partition not in start):
                raise PositionError(
                    f"partition {partition}: archived up to {end.get(partition, 0)}, and then {first} to "
                    f"{last}; a topic that was made anew, or a checkpoint of another log: refuse it"
                )
        end |= dict(stop)
    return end


def check_same_log(archived: tuple[str, str], found: tuple[str, str], topic: str) -> None:
    """Raise `ForeignLog` unless (cluster id, topic id) are those that were archived."""
    if archived != found:
        raise ForeignLog(
            f"topic {topic!r} is {found}, but {archived} was archived under that name; "
            "point the settings at the former cluster, or give the new log a source of its own"
        )


def check_intent(stored: Intent, planned: Intent) -> None:
    """Raise `IntentMismatch` unless a replayed micro-batch is the one that was intended.

    A cut registered since then may lie at or beyond its end, for then no record changes its segment.
    """
    same = (stored.batch, stored.start, stored.end, stored.semantics)
    if same != (planned.batch, planned.start, planned.end, planned.semantics):
        raise IntentMismatch(
            f"micro-batch {stored.batch} was intended as {stored}, and is planned as {planned}"
        )


def respects(cuts: Sequence[Cut], known: int, consumed: Offsets) -> bool:
    """Whether records before `consumed`, written when `known` cuts were known, keep their segments.

    False if a newer cut lies behind what is consumed on any partition: the generation must start over.
    """
    return all(reaches(cut.offsets, consumed) for cut in cuts[known:])


def may_cut(latest: Cut, consumed: Offsets, made_at: float, now: float, interval: float) -> bool:
    """Whether a leader makes the next cut: something was consumed since, and the interval has passed."""
    grown = reaches(consumed, latest.offsets) and any(o > latest.offset(p) for p, o in consumed.items())
    return grown and now - made_at >= interval


def window_start(start_cut: int, window: int) -> int:
    """The cut from which a new generation reads, without counting, to know the copies just before it."""
    return max(0, start_cut - window)


def doubts(
    manifest: Manifest | None,
    semantics: str,
    generation: Generation | None,
    progress: Progress | None,
    lease: Lease | None,
    stamps: Sequence[int | None] = (),
    floors: Sequence[int] = (),
    condemned: str | None = None,
) -> list[str]:
    """Why an answer cannot be called complete; empty if it can (rule 8).

    `semantics` is the hash of the definitions readers run; `stamps` are the micro-batches that the shards
    read say they hold, and `floors` the floors that stand with them: between a read of the progress and a
    read of the fields, two publishes may let the job drop what this reader is about to sum.
    Read progress and lease before the fields, for then the fields are at least as new.
    """
    if generation is None or progress is None:
        return ["the speed layer has no state: the answer ends at the boundary"]
    boundary = manifest.boundary if manifest else 0
    floor = max(progress.floor, *floors, 0)
    wanted = manifest.semantics if manifest else semantics
    checks = {
        "the speed layer runs other definitions than the batch view": generation.semantics == wanted,
        f"the speed layer starts at cut {generation.start_cut}, beyond boundary {boundary}": (
            generation.start_cut <= boundary
        ),
        f"the speed layer has not reached boundary {boundary} yet": progress.cuts >= boundary,
        f"the speed layer dropped segments below {floor}": floor <= boundary,
        f"the speed layer lost events: {progress.lost}": progress.lost is None,
        f"the speed layer counted wrong, and is rebuilt: {condemned}": condemned is None,
        "nobody vouches for the speed state: its job is down": lease is not None,
        "the speed state is older than its job says": vouched(progress, lease, stamps),
    }
    return [reason for reason, holds in checks.items() if not holds]


def vouched(progress: Progress, lease: Lease | None, stamps: Sequence[int | None]) -> bool:
    """Whether the shards that were read hold all that the job says it wrote."""
    committed = max(progress.batch, lease.batch if lease else progress.batch)
    return progress.batch >= committed and all(s is not None and s >= committed for s in stamps)


def as_of(checked_at: float, ends: Offsets, consumed: Offsets, oldest: Mapping[int, float]) -> float:
    """The time up to which nothing acknowledged is missing, in seconds since 1970.

    For a partition that is all consumed it is the time of the check, else the time of its oldest record not
    yet consumed (`oldest`); the smallest of these counts.
    """
    times = [oldest[p] if end > consumed.get(p, 0) else checked_at for p, end in ends.items()]
    return min(times, default=checked_at)
