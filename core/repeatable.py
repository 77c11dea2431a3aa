"""Views whose merges draw no lots, so that the same parts give the same answer each time.

A KLL sketch halves itself at random when it grows. Here sketches are kept side by side instead of merged,
and quantiles are read from all their items with their weights: within the same bounds, and always the same.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import accumulate
from math import ceil
from typing import Any

from datasketches import kll_doubles_sketch

from core.measures import Measure, Partial
from core.sketches import Quantiles
from core.uncorrected import Uncorrected, correctable
from core.views import CompiledView

__all__ = ["RepeatableQuantiles", "repeatable"]

_MANY = b"\x00"  # no sketch begins like this: its first byte says how long its preamble is
_LENGTH = struct.Struct("<I")


def repeatable(view: CompiledView) -> CompiledView:
    """The view with quantiles that are read from sketches side by side; it reads what the view wrote."""
    return replace(view, measures={name: _repeatable(measure) for name, measure in view.measures.items()})


def _repeatable(measure: Measure) -> Measure:
    if isinstance(measure, Uncorrected):
        return correctable(_repeatable(measure.plain))
    if not isinstance(measure, Quantiles):
        return measure
    return RepeatableQuantiles(**{each.name: getattr(measure, each.name) for each in fields(measure)})


class RepeatableQuantiles(Quantiles):
    """Its partials are one sketch, or many behind a mark."""

    def _union(self, blobs: Sequence[bytes]) -> bytes:
        single = [one for blob in blobs for one in _singles(blob)]
        small = [one for one in single if self._read(one).n <= self.k]
        large = [one for one in single if self._read(one).n > self.k]
        return _side_by_side([*large, *self._whole(item for blob in small for item, _ in self._read(blob))])

    def _of(self, values: Sequence[Any]) -> bytes:
        return _side_by_side(list(self._whole(map(float, values))))

    def _whole(self, values: Iterable[float]) -> Iterator[bytes]:
        """Sketches of so few values each that they hold them all."""
        items = sorted(values)
        for start in range(0, len(items), self.k):
            yield super()._of(items[start : start + self.k])

    @staticmethod
    def _read(blob: bytes) -> kll_doubles_sketch:
        return kll_doubles_sketch.deserialize(blob)

    def present(self, partial: Partial) -> dict[str, Any]:
        if not partial[0].startswith(_MANY):
            return super().present(partial)
        sketches = [self._read(blob) for blob in _singles(partial[0])]
        sketches = [sketch for sketch in sketches if not sketch.is_empty()]
        error = max(s.normalized_rank_error(False) if s.is_estimation_mode() else 0.0 for s in sketches)
        weighted: list[tuple[float, int]] = sorted(pair for sketch in sketches for pair in sketch)
        items, upto = [item for item, _ in weighted], list(accumulate(weight for _, weight in weighted))

        def at(rank: float) -> float:
            return items[min(bisect_left(upto, ceil(min(1.0, max(0.0, rank)) * upto[-1])), len(items) - 1)]

        return {
            "count": upto[-1],
            "min": min(sketch.get_min_value() for sketch in sketches),
            "max": max(sketch.get_max_value() for sketch in sketches),
            "rank_error": round(error, 6),
            "quantiles": [
                {"rank": rank, "value": at(rank), "lower": at(rank - error), "upper": at(rank + error)}
                for rank in self.ranks
            ],
        }


def _side_by_side(blobs: Sequence[bytes]) -> bytes:
    if len(blobs) < 2:
        return blobs[0] if blobs else b""
    return _MANY + b"".join(_LENGTH.pack(len(blob)) + blob for blob in blobs)


def _singles(blob: bytes) -> Iterator[bytes]:
    """The sketches in a partial."""
    if not blob.startswith(_MANY):
        yield blob
        return
    at = len(_MANY)
    while at < len(blob):
        (length,) = _LENGTH.unpack_from(blob, at)
        at += _LENGTH.size + length
        yield blob[at - length : at]
