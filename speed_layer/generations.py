"""Whether a generation can go on, and where a new one begins: pure functions over what was found."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.cuts import ZERO, Cut, Offsets
from core.handoff import Generation, Progress, window_start
from core.topics import LogIdentity

__all__ = ["Found", "Wanted", "beginning", "objection", "reading_start", "usable"]


@dataclass(frozen=True)
class Wanted:
    """What this process would write: definitions, shards, log, and the boundary that readers use.

    `origin` is where the log began when the platform first saw it, `resolution` the persons of the `version`
    whose boundary it is.
    """

    source: str
    semantics: str
    shards: int
    window: int
    log: LogIdentity
    boundary: int
    origin: Offsets = field(default_factory=dict)
    resolution: str = ""
    version: int = 0


@dataclass(frozen=True)
class Found:
    """What a generation left behind.

    `planned` and `done` are the newest micro-batches of its checkpoint, -1 for none, and `end` is where the
    checkpoint says that micro-batch `progress.batch` ended.
    """

    meta: Generation
    progress: Progress
    stamps: Sequence[int | None]
    planned: int
    done: int
    end: Offsets | None


def objection(wanted: Wanted, found: Found, cuts: int) -> str | None:
    """Why the generation that was found cannot go on; None if it can."""
    meta, progress = found.meta, found.progress
    identity = (meta.cluster_id, meta.topic_id) == (wanted.log.cluster, wanted.log.topic_id)
    first = max(meta.start_cut, progress.floor)
    spark = f"its checkpoint {found.done} done and {found.planned} planned"
    checks = {
        f"it was written by definitions {meta.semantics}, and these are {wanted.semantics}": (
            meta.semantics == wanted.semantics
        ),
        f"it has {meta.shards} shards, and LAMBDA_SHARDS is {wanted.shards}": meta.shards == wanted.shards,
        "it is of another log": identity,
        f"it holds segments from {first} on, and readers need {wanted.boundary}": first <= wanted.boundary,
        f"it knows {progress.cuts} cuts, and the registry has {cuts}": progress.cuts <= cuts,
        f"Redis has micro-batch {progress.batch}, and {spark}": (
            found.done <= progress.batch <= found.planned <= progress.batch + 1
        ),
        "its checkpoint ends the newest micro-batch at other offsets": (
            progress.batch < 0 or found.end == progress.end
        ),
        "Redis lost some of its shards": _stamped(found),
    }
    return next((reason for reason, holds in checks.items() if not holds), None)


def _stamped(found: Found) -> bool:
    newest = found.progress.batch
    return all(stamp in (newest, min(newest + 1, found.planned)) for stamp in found.stamps)


def usable(
    found: Generation | None, progress: Progress | None, stamps: Sequence[int | None], semantics: str
) -> bool:
    """Whether readers are better off with a generation than with none, until its successor has caught up."""
    if found is None or progress is None or found.semantics != semantics:
        return False
    return all(stamp is not None and stamp >= progress.batch for stamp in stamps)


def beginning(
    wanted: Wanted, generation: str, cuts: Sequence[Cut], begins: Offsets
) -> tuple[Generation, Progress]:
    """A new generation that starts at the boundary, and its progress before the first micro-batch."""
    start = _cut(cuts, wanted.boundary)
    end = reading_start(start.number, wanted.window, cuts, begins)
    meta = Generation(
        id=generation,
        source=wanted.source,
        start_cut=start.number,
        offsets=dict(start.offsets),
        semantics=wanted.semantics,
        shards=wanted.shards,
        cluster_id=wanted.log.cluster,
        topic_id=wanted.log.topic_id,
        reads_from=end,
        resolution=wanted.resolution,
    )
    return meta, Progress(-1, end, len(cuts), start.number, _lost(start, begins, wanted.origin))


def reading_start(start_cut: int, window: int, cuts: Sequence[Cut], begins: Offsets) -> dict[int, int]:
    """Where a generation reads from: some segments before its start, to know the copies just before it."""
    first = _cut(cuts, window_start(start_cut, window))
    return {partition: max(begin, first.offset(partition)) for partition, begin in begins.items()}


def _cut(cuts: Sequence[Cut], number: int) -> Cut:
    return cuts[number - 1] if number else ZERO


def _lost(start: Cut, begins: Offsets, origin: Offsets) -> str | None:
    """What the log dropped since the platform first saw it: what was before is no part of it."""
    wanted = {partition: max(start.offset(partition), origin.get(partition, 0)) for partition in begins}
    gone = {p: (wanted[p], begin) for p, begin in begins.items() if begin > wanted[p]}
    if not gone:
        return None
    return "the log dropped records before they were counted: " + ", ".join(
        f"partition {partition} from {first} to {begin}" for partition, (first, begin) in gone.items()
    )
