"""Which copies of an event the speed layer counts: its dedupe marks, as a pure function.

Marks are kept in blocks of `window` neighbouring segments, and a look-up reads the record's block and the one
before. A copy that is found there is not marked again, so a mark serves for one to two windows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Copy", "Verdict", "judge"]


class Copy(NamedTuple):
    """A valid record of an event id. The generation has not `read` what lies before its first offset."""

    segment: int
    partition: int
    offset: int
    read: bool = True


class Verdict(NamedTuple):
    """`counted`: by the speed layer. `late`: counted, though batch knows an earlier copy. `contested`: copies
    are on several partitions, so which of them the speed layer saw first is a matter of chance."""

    counted: bool
    late: bool
    contested: bool


def judge(copies: Sequence[Copy], window: int) -> Iterator[Verdict]:
    """A verdict on each copy of one event id; they are given in order of segment, partition and offset."""
    contested = len({copy.partition for copy in copies}) > 1
    marked: int | None = None
    for place, copy in enumerate(copies):
        block = copy.segment // window
        counted = copy.read and (marked is None or block - marked > 1)
        marked = block if counted else marked
        yield Verdict(counted, counted and place > 0, contested)
