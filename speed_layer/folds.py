"""Folds: the partials of many groups of events at once, for each kind of measure.

A fold gets a measure's inputs sorted by group, and gives one column for each slot. It means what the
measure's `lift` and `merge` mean; a measure of a user's own class is folded by exactly those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from datasketches import frequent_strings_sketch, hll_sketch, kll_doubles_sketch, tgt_hll_type

from core.exact import Count, Max, Mean, Min, Sum
from core.measures import Measure
from core.ratios import Ratio
from core.sketches import Quantiles, Top, Uniques
from core.uncorrected import Uncorrected
from speed_layer.columns import Column, blobs, decimals, doubles, longs, values

__all__ = ["Groups", "fold"]

_Longs = npt.NDArray[np.int64]
_SAFE = 2**62
_FIRST, _LAST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Groups:
    """Groups of neighbouring rows: group g begins at row starts[g]; the last one ends before row `rows`."""

    starts: _Longs
    rows: int

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def sizes(self) -> _Longs:
        return np.diff(self.starts, append=self.rows)

    def slices(self) -> list[tuple[int, int]]:
        starts: list[int] = self.starts.tolist()
        return list(zip(starts, [*starts[1:], self.rows], strict=True))


def fold(measure: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
    """One column for each slot of `measure`; `inputs` are in the order of the groups, none of them empty."""
    if isinstance(measure, Uncorrected):
        return [*fold(measure.plain, inputs, groups), longs(np.zeros(len(groups), np.int64))]
    special = _FOLDS.get(type(measure))
    if special is None or (type(measure) in _NUMERIC and not _is_plain(inputs)):
        return _one_by_one(measure, inputs, groups)
    return special(measure, inputs, groups)


def _one_by_one(measure: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
    lifted = [measure.lift(value) for value in inputs.to_pylist()]
    partials = [measure.merge_all(lifted[start:end]) for start, end in groups.slices()]
    return [
        values(slot, column) for slot, column in zip(measure.slots, zip(*partials, strict=True), strict=True)
    ]


def _is_plain(inputs: pa.Array) -> bool:
    return inputs.type in (pa.int64(), pa.float64())


def _counts(inputs: pa.Array, groups: Groups) -> _Longs:
    if not inputs.null_count:
        return groups.sizes
    return np.add.reduceat(_valid(inputs).astype(np.int64), groups.starts)


def _valid(inputs: pa.Array) -> npt.NDArray[np.bool_]:
    return cast(npt.NDArray[np.bool_], inputs.is_valid().to_numpy(zero_copy_only=False))


def _filled(inputs: pa.Array, filler: float) -> npt.NDArray[Any]:
    plain = pc.fill_null(inputs, filler) if inputs.null_count else inputs
    return cast(npt.NDArray[Any], plain.to_numpy(zero_copy_only=False))


def _count(_: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
    return [longs(_counts(inputs, groups))]


def _sums(measure: Measure, inputs: pa.Array, groups: Groups) -> Column:
    numbers = _filled(inputs, 0)
    largest = max(abs(int(numbers.min())), abs(int(numbers.max())))
    if largest * int(groups.sizes.max()) < _SAFE:
        return decimals(np.add.reduceat(numbers, groups.starts))
    exact: list[int] = numbers.tolist()
    return values(measure.slots[0], [sum(exact[start:end]) for start, end in groups.slices()])


def _sum(measure: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
    return [_sums(measure, inputs, groups)]


def _mean(measure: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
    return [_sums(measure, inputs, groups), longs(_counts(inputs, groups))]


def _ratio(measure: Measure, inputs: pa.StructArray, groups: Groups) -> list[Column]:
    parts = zip(cast(Ratio, measure).sums, inputs.flatten(), strict=True)
    return [column for part, found in parts for column in fold(part, found, groups)]


def _extreme(reduce: Any, least: int, infinity: float) -> "_Fold":
    def found(_: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
        whole = pa.types.is_int64(inputs.type)
        numbers = reduce(_filled(inputs, least if whole else infinity), groups.starts)
        nulls = _counts(inputs, groups) == 0 if inputs.null_count else None
        if nulls is not None:
            numbers[nulls] = 0
        return [longs(numbers, nulls) if whole else doubles(numbers, nulls)]

    return found


def _uniques(measure: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
    lg_k = cast(Uniques, measure).lg_k
    texts = inputs.to_pylist()

    def of(found: Sequence[str | None]) -> bytes:
        sketch, some = hll_sketch(lg_k, tgt_hll_type.HLL_8), False
        for text in found:
            if text is not None:
                sketch.update(text)
                some = True
        return cast(bytes, sketch.serialize_compact()) if some else b""

    return [blobs([of(texts[start:end]) for start, end in groups.slices()])]


def _quantiles(measure: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
    k = cast(Quantiles, measure).k
    numbers = _filled(inputs, 0.0).copy()  # the sketch refuses memory that is read only
    valid = _valid(inputs) if inputs.null_count else None

    def of(start: int, end: int) -> bytes:
        found = numbers[start:end] if valid is None else numbers[start:end][valid[start:end]]
        if not len(found):
            return b""
        sketch = kll_doubles_sketch(k)
        sketch.update(found)
        return cast(bytes, sketch.serialize())

    return [blobs([of(start, end) for start, end in groups.slices()])]


def _top(measure: Measure, inputs: pa.Array, groups: Groups) -> list[Column]:
    lg_size, texts = cast(Top, measure).lg_size, inputs.to_pylist()

    def of(found: Sequence[str | None]) -> bytes:
        sketch, some = frequent_strings_sketch(lg_size), False
        for text in found:
            if text is not None:
                sketch.update(text)
                some = True
        return cast(bytes, sketch.serialize()) if some else b""

    return [blobs([of(texts[start:end]) for start, end in groups.slices()])]


_Fold = Callable[[Measure, pa.Array, Groups], list[Column]]
_NUMERIC = (Sum, Mean, Min, Max)
_FOLDS: dict[type[Measure], _Fold] = {
    Count: _count,
    Sum: _sum,
    Mean: _mean,
    Ratio: _ratio,
    Min: _extreme(np.minimum.reduceat, _LAST, np.inf),
    Max: _extreme(np.maximum.reduceat, _FIRST, -np.inf),
    Uniques: _uniques,
    Quantiles: _quantiles,
    Top: _top,
}
