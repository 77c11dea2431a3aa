"""Buckets and tiles: steps of event time, and the fewest of them that make up a range.

Times are whole seconds since 1970 in UTC. A width is in seconds; a range is half open.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import DefinitionError

MINUTE, HOUR, DAY = 60, 3_600, 86_400
TILES = (MINUTE, HOUR, DAY)
_UNITS = {"minute": MINUTE, "hour": HOUR, "day": DAY}
NAMES = {width: name for name, width in _UNITS.items()}


@dataclass(frozen=True)
class Run:
    """Neighbouring tiles of one width, from `start` to before `end`."""

    width: int
    start: int
    end: int

    @property
    def count(self) -> int:
        return (self.end - self.start) // self.width


def parse_bucket(text: str) -> int:
    """Seconds of a bucket such as "1 minute", "15 minutes", "1 hour" or "1 day".

    Raises `DefinitionError` unless it divides the next tile, for else tiles could not be made of it.
    """
    number, _, unit = text.strip().partition(" ")
    width = _UNITS.get(unit.rstrip("s"), 0) * int(number) if number.isdecimal() else 0
    if not width or not _nests(width):
        raise DefinitionError(f"bucket {text!r}: write N minutes (a divisor of 60), N hours (of 24) or 1 day")
    return width


def _nests(width: int) -> bool:
    return width <= DAY and next(tile for tile in TILES if tile >= width) % width == 0


def tiles_of(bucket: int) -> tuple[int, ...]:
    """The widths kept for a view: its bucket and every coarser tile, finest first."""
    return (bucket, *(tile for tile in TILES if tile > bucket))


def floor(moment: int, width: int) -> int:
    return moment - moment % width


def ceil(moment: int, width: int) -> int:
    return -floor(-moment, width)


def split(start: int, end: int, widths: tuple[int, ...]) -> list[Run]:
    """The fewest tiles that cover [start, end) exactly, in order of time.

    `start` and `end` are multiples of the finest of `widths`, each of which divides the next.
    """
    if start >= end:
        return []
    width, coarser = widths[0], widths[1:]
    if not coarser:
        return [Run(width, start, end)]
    inner_start, inner_end = ceil(start, coarser[0]), floor(end, coarser[0])
    if inner_start >= inner_end:
        return [Run(width, start, end)]
    runs = [
        Run(width, start, inner_start),
        *split(inner_start, inner_end, coarser),
        Run(width, inner_end, end),
    ]
    return [run for run in runs if run.count]


def steps(start: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """[start, end) cut at the multiples of `width`."""
    while start < end:
        stop = min(floor(start, width) + width, end)
        yield start, stop
        start = stop
