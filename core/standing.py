"""May the speed state be held against the log? Where it stands, and every reason why it may not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.cuts import Cut, reaches
from core.handoff import Generation, Progress
from core.losses import lost_from

__all__ = ["Standing", "behind", "chosen_shards", "counted_lost", "objection"]


@dataclass(frozen=True)
class Standing:
    """The speed state as one look found it. `stamps` and `floors` are those of the shards, in order."""

    generation: Generation
    progress: Progress
    alive: bool
    condemned: str | None
    stamps: Sequence[int | None]
    floors: Sequence[int]

    @property
    def floor(self) -> int:
        return max(self.progress.floor, *self.floors, 0)


def behind(standing: Standing, boundary: Cut) -> bool:
    """Whether the speed layer has not passed the boundary's cut yet."""
    progress = standing.progress
    return progress.cuts < boundary.number or not reaches(progress.end, boundary.offsets)


def objection(standing: Standing, semantics: str, start: int, boundary: Cut) -> str | None:
    """Why segments from `start` to before the boundary cannot be held against the log; None if they can.

    Look once before the fields are read, and once after: what was dropped or lost meanwhile shows.
    """
    generation, progress = standing.generation, standing.progress
    stamped = all(stamp is not None and stamp >= progress.batch for stamp in standing.stamps)
    checks = {
        f"generation {generation.id} runs other definitions": generation.semantics == semantics,
        f"generation {generation.id} is condemned: {standing.condemned}": standing.condemned is None,
        f"the speed layer lost events: {progress.lost}": progress.lost is None,
        f"generation {generation.id} starts at cut {generation.start_cut}, beyond boundary {start}": (
            generation.start_cut <= start
        ),
        f"the speed layer dropped segments below {standing.floor}": standing.floor <= start,
        f"the speed layer has not passed boundary {boundary.number}": not behind(standing, boundary),
        "the speed state is older than its job says": stamped,
    }
    return next((reason for reason, holds in checks.items() if not holds), None)


def counted_lost(standing: Standing, losses: Iterable[Mapping[str, Any]]) -> str | None:
    """What the generation may have counted of a version's `losses` before they were lost; None if nothing.

    Where what comes later follows from events before, it goes on to follow from those, and the version does
    not know them: a correction would take back what the batch view never held.
    """
    lost = lost_from(losses, standing.generation.offsets)
    return lost and f"it may have counted what no version holds: {lost}"


def chosen_shards(shards: int, events: int, limit: int, turn: int) -> list[int]:
    """All shards, or of more than `limit` events a share of them, others at each `turn`."""
    step = min(shards, -(-events // limit))
    return [shard for shard in range(shards) if step <= 1 or (shard + turn) % step == 0]
