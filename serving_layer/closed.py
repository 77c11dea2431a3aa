"""Closed segments: what no micro-batch can change any more, merged once and kept.

While a day is not published, a key that is edited often has thousands of fields, one for each segment and
bucket. All but those of the newest segments are final: a record behind a cut that the speed layer has reached
is written, and whatever comes later lies in a later segment.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from core.cuts import Cut, reaches
from core.handoff import Progress
from core.measures import Partial

__all__ = ["Closed", "ClosedSegments", "Place", "closed_segments"]

LIMIT = 32 << 20
_OVERHEAD = 400  # bytes of an entry beside its texts and sketches, roughly
Place = tuple[str, str, int]  # view, key, container


@dataclass(frozen=True)
class Closed:
    """One container of a key: segments in [boundary, upto) merged; None if they hold nothing.

    `hot` containers were touched when they were last looked at: their newest fields are asked for at once.
    """

    boundary: int
    upto: int
    partial: Partial | None
    hot: bool = False

    @property
    def size(self) -> int:
        return _OVERHEAD + sum(len(slot) for slot in self.partial or () if isinstance(slot, bytes | str))


class ClosedSegments:
    """What was used last, up to `limit` bytes."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[Place, Closed] = OrderedDict()

    def get(self, place: Place) -> Closed | None:
        found = self._kept.get(place)
        if found is not None:
            self._kept.move_to_end(place)
        return found

    def put(self, place: Place, closed: Closed) -> None:
        former = self._kept.pop(place, None)
        self._size += closed.size - (former.size if former else 0)
        self._kept[place] = closed
        while self._size > self._limit:
            self._size -= self._kept.popitem(last=False)[1].size

    def clear(self) -> None:
        self._kept.clear()
        self._size = 0


def closed_segments(cuts: Sequence[Cut], progress: Progress | None) -> int:
    """The segments below this number are final: the speed layer respects their cuts and has reached them."""
    if progress is None:
        return 0
    known = cuts[: progress.cuts]
    return next((cut.number for cut in reversed(known) if reaches(progress.end, cut.offsets)), 0)
