"""Cuts and segments: which layer owns a record is a matter of log offsets alone.

A cut is a numbered vector of offsets; cuts only grow. The segment of a record is the number of cuts at or
below its position. Cut 0 is implicit: offset 0 everywhere. A partition that a cut does not know stands at 0.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from core.entries import EntryLog
from core.errors import PositionError

Offsets = Mapping[int, int]


@dataclass(frozen=True)
class Cut:
    """Cut `number` at `offsets`: the first record of a partition that lies behind it."""

    number: int
    offsets: Offsets

    def offset(self, partition: int) -> int:
        return self.offsets.get(partition, 0)


ZERO = Cut(0, {})


def reaches(left: Offsets, right: Offsets) -> bool:
    """Whether `left` lies at or beyond `right` on every partition."""
    return all(left.get(partition, 0) >= offset for partition, offset in right.items())


def segment_of(partition: int, offset: int, cuts: Sequence[Cut]) -> int:
    """The segment of a record, given all cuts in order."""
    return bisect_right(cuts, offset, key=lambda cut: cut.offset(partition))


def cuts_within(cuts: Sequence[Cut], start: Offsets, end: Offsets) -> tuple[int, list[Cut]]:
    """How many cuts lie at or below all of [start, end), and the cuts that may divide it.

    Found by halving, for cuts only grow: a platform makes a million of them a year.
    """

    def beyond_start(cut: Cut) -> bool:
        return any(cut.offset(p) > start.get(p, 0) for p in {*cut.offsets, *end})

    def beyond_end(cut: Cut) -> bool:
        return all(cut.offset(p) >= last for p, last in end.items())

    base = bisect_left(cuts, True, key=beyond_start)
    return base, list(cuts[base : bisect_left(cuts, True, lo=base, key=beyond_end)])


def segment_sql(
    base: int, dividing: Sequence[Cut], partition: str = "partition", offset: str = "offset"
) -> str:
    """`segment_of` as Spark SQL, for records that lie behind `base` cuts and around the `dividing` ones."""
    return " + ".join([f"{base}L", *(f"if({_below(cut, partition, offset)}, 1, 0)" for cut in dividing)])


def _below(cut: Cut, partition: str, offset: str) -> str:
    places = " ".join(f"WHEN {p} THEN {place}L" for p, place in sorted(cut.offsets.items()))
    return f"{offset} >= (CASE {partition} {places} ELSE 0L END)" if places else "true"


def offsets_from(entry: Mapping[str, Any]) -> dict[int, int]:
    """Offsets as JSON has them (partition as text)."""
    return {int(partition): int(offset) for partition, offset in entry.items()}


def offsets_to(offsets: Offsets) -> dict[str, int]:
    return {str(partition): offset for partition, offset in sorted(offsets.items())}


class CutRegistry:
    """The cuts of a source, in an append-only log. Reading again reads what is new; threads may share it."""

    def __init__(self, entries: EntryLog) -> None:
        self._entries = entries
        self._cuts: list[Cut] = []
        self._turn = Lock()

    def all(self) -> list[Cut]:
        """Every cut, in order."""
        with self._turn:
            for number in self._entries.following(len(self._cuts)):
                self._cuts.append(Cut(number, offsets_from(self._entries.read(number)["offsets"])))
            return list(self._cuts)

    def latest(self) -> Cut:
        return (self.all() or [ZERO])[-1]

    def get(self, number: int) -> Cut:
        return ZERO if number == 0 else self.all()[number - 1]

    def make(self, offsets: Offsets, by: str) -> Cut:
        """Append the next cut; raises `EntryTaken` if another made one, `PositionError` if it would fall."""
        latest = self.latest()
        if not reaches(offsets, latest.offsets):
            raise PositionError(
                f"cut {dict(offsets)} lies before cut {latest.number} at {dict(latest.offsets)}"
            )
        cut = Cut(latest.number + 1, dict(offsets))
        self._entries.append(cut.number, {"offsets": offsets_to(offsets), "by": by})
        return cut
