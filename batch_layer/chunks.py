"""Which positions the archive reads next: pure functions over offsets."""

from collections.abc import Iterable

from core.cuts import Offsets
from core.errors import PositionError
from core.losses import Gap

__all__ = ["check_long_enough", "next_chunk", "reading_start", "remaining"]


def check_long_enough(archived: Offsets, end: Offsets) -> None:
    """Raise PositionError if the log is shorter than its archive."""
    for partition, stand in archived.items():
        if end.get(partition, 0) < stand:
            raise PositionError(
                f"partition {partition}: archived up to {stand}, the log ends at {end.get(partition, 0)}: "
                "it lost acknowledged records, or another log stands under its name"
            )


def reading_start(expected: Offsets, lost: Iterable[Gap], refused: Iterable[Gap]) -> dict[int, int]:
    """Where each partition is read on: behind what is lost, but one with a loss that is refused stays put."""
    stuck = {gap.partition for gap in refused}
    return dict(expected) | {gap.partition: gap.end for gap in lost if gap.partition not in stuck}


def remaining(archived: Offsets, begin: Offsets, end: Offsets) -> dict[int, tuple[int, int]]:
    """[start, end) of what is not archived yet, for every partition of the log."""
    return {p: (archived.get(p, begin.get(p, 0)), last) for p, last in end.items()}


def next_chunk(left: dict[int, tuple[int, int]], limit: int) -> tuple[dict[int, int], dict[int, int]]:
    """Start and end of at most about `limit` records, partitions in proportion to what each has left.

    Every partition with something left advances; both vectors are equal if nothing is left.
    """
    start = {p: first for p, (first, _) in left.items()}
    total = sum(last - first for first, last in left.values())
    share = 1.0 if total <= limit else limit / total
    end = {p: min(last, first + _part(last - first, share)) for p, (first, last) in left.items()}
    return start, end


def _part(count: int, share: float) -> int:
    return count if share == 1.0 else -int(-(count * share) // 1)
