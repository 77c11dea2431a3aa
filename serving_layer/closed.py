"""Closed segments: what no micro-batch can change any more, merged once and kept.

While a day is not published, a key that is edited often has thousands of fields, one for each segment and
bucket. All but those of the newest segments are final: a record behind a cut that the speed layer has reached
is written, and whatever comes later lies in a later segment.

Where much came at once, the newest segments too hold more than is worth merging for each question: that is
kept for as long as no micro-batch was written since.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from core.cuts import Cut, reaches
from core.handoff import Progress
from core.measures import Partial
from serving_layer.kept import Kept, weight

__all__ = ["Bundle", "Closed", "ClosedSegments", "Latest", "Place", "closed_segments"]

LIMIT = 32 << 20
Place = tuple[str, str, int, int]  # view, key, start and end of a container, or of the part asked for


@dataclass(frozen=True)
class Latest:
    """All segments of a container merged, as they were once micro-batch `batch` was written, or after."""

    batch: int
    partial: Partial


@dataclass(frozen=True)
class Closed:
    """One container of a key: segments in [boundary, upto) merged; None if they hold nothing.

    `hot` containers were touched when they were last looked at: their newest fields are asked for at once,
    unless there is a `latest` that still holds.
    """

    boundary: int
    upto: int
    partial: Partial | None
    hot: bool = False
    latest: Latest | None = None

    @property
    def weight(self) -> int:
        return weight(self.partial) + (weight(self.latest.partial) if self.latest else 0)


@dataclass(frozen=True)
class Bundle:
    """Containers that go into one row, merged: `of` are the partials it was made of."""

    of: tuple[Partial, ...]
    partial: Partial

    def made_of(self, partials: Sequence[Partial]) -> bool:
        """Whether it was made of these very objects: what nothing was added to stays the object it was."""
        return len(partials) == len(self.of) and all(
            one is other for one, other in zip(partials, self.of, strict=True)
        )


class ClosedSegments:
    """What a process keeps: closed segments by container, and bundles by question."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.containers: Kept[Place, Closed] = Kept(limit, lambda closed: closed.weight)
        self.bundles: Kept[Hashable, Bundle] = Kept(limit // 4, lambda bundle: weight(bundle.partial))

    def clear(self) -> None:
        self.containers.clear()
        self.bundles.clear()


def closed_segments(cuts: Sequence[Cut], progress: Progress | None) -> int:
    """The segments below this number are final: the speed layer respects their cuts and has reached them."""
    if progress is None:
        return 0
    # from the newest on, and without a copy: there may be a million of them
    known = (cuts[at] for at in range(min(progress.cuts, len(cuts)) - 1, -1, -1))
    return next((cut.number for cut in known if reaches(progress.end, cut.offsets)), 0)
