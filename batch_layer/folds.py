"""Folds: each measure's partials of many groups of events at once, as columns of a view's table.

A fold means what the measure's `partial_sql` means, which tests hold it against. It gets what `input_sql`
gives of each event, sorted by group. A measure of a user's own class has no fold: Spark computes its view.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from datasketches import frequent_strings_sketch, hll_sketch, kll_doubles_sketch, tgt_hll_type

from batch_layer.wide import total
from core.exact import Count, Max, Mean, Min, Sum
from core.measures import Measure
from core.packing import family
from core.ratios import Ratio
from core.sketches import Quantiles, Top, Uniques
from core.uncorrected import Uncorrected
from core.views import CompiledView

__all__ = ["Groups", "fold", "foldable", "input_sql"]

_Longs = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]
_Array = npt.NDArray[Any]
_FIRST, _LAST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Groups:
    """Groups of neighbouring rows: group g begins at row starts[g]; the last one ends before row `rows`."""

    starts: _Longs
    rows: int

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def sizes(self) -> _Longs:
        return np.diff(self.starts, append=self.rows)

    @cached_property
    def numbers(self) -> _Longs:
        """The group of each row."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)


def foldable(view: CompiledView) -> bool:
    """Whether every measure of a view has a fold."""
    return all(type(measure.plain) in _FOLDS for measure in view.measures.values())


def input_sql(measure: Measure) -> str | None:
    """What a fold needs of an event, as SQL over its columns; None if it needs to know its group alone."""
    if isinstance(measure, Uncorrected):
        return input_sql(measure.plain)
    if isinstance(measure, Count):
        return None if measure.expression is None else f"({measure.sql}) IS NOT NULL"
    if isinstance(measure, Sum | Mean):
        return (
            f"cast({measure.sql} as {measure.slots[0].kind if _family(measure) == 'decimal' else 'bigint'})"
        )
    if isinstance(measure, Ratio):
        return Ratio.pair(*(str(input_sql(part)) for part in measure.sums))
    if _family(measure) == "string":
        return measure.sql  # as keys have it, so that a column is read once
    return measure.row_sql(measure.sql)


def fold(measure: Measure, inputs: pa.Array | None, groups: Groups) -> list[pa.Array]:
    """A column for each slot. Texts come as dictionaries, inputs in order of groups; no group is empty."""
    if isinstance(measure, Uncorrected):
        # batch leaves corrected events out
        return [*fold(measure.plain, inputs, groups), pa.array(np.zeros(len(groups), np.int64))]
    return _FOLDS[type(measure)](measure, inputs, groups)


def _family(measure: Measure) -> str:
    return measure.input.family if measure.input else "null"


def _valid(inputs: pa.Array) -> _Flags:
    return cast(_Flags, inputs.is_valid().to_numpy(zero_copy_only=False))


def _filled(inputs: pa.Array, filler: float) -> _Array:
    plain = pc.fill_null(inputs, filler) if inputs.null_count else inputs
    return cast(_Array, plain.to_numpy(zero_copy_only=False))


def _counts(inputs: pa.Array, groups: Groups) -> _Longs:
    if not inputs.null_count:
        return groups.sizes
    return np.add.reduceat(_valid(inputs).astype(np.int64), groups.starts)


def _count(_: Measure, inputs: pa.Array | None, groups: Groups) -> list[pa.Array]:
    if inputs is None:
        return [pa.array(groups.sizes)]
    return [pa.array(np.add.reduceat(_filled(inputs, False).astype(np.int64), groups.starts))]


def _sum(measure: Measure, inputs: pa.Array, groups: Groups) -> list[pa.Array]:
    return [total(inputs, groups.starts, measure.slots[0].kind)]


def _mean(measure: Measure, inputs: pa.Array, groups: Groups) -> list[pa.Array]:
    return [*_sum(measure, inputs, groups), pa.array(_counts(inputs, groups))]


def _ratio(measure: Measure, inputs: pa.StructArray, groups: Groups) -> list[pa.Array]:
    parts = zip(cast(Ratio, measure).sums, inputs.flatten(), strict=True)
    return [column for part, values in parts for column in _sum(part, values, groups)]


def _extreme(reduce: Any, least: int, infinity: float) -> "_Fold":
    def found(measure: Measure, inputs: pa.Array, groups: Groups) -> list[pa.Array]:
        kind, nulls = family(measure.slots[0].kind), _counts(inputs, groups) == 0
        if kind in ("text", "decimal"):
            return [_by_rank(reduce, least, inputs, groups, nulls)]
        numbers = reduce(_filled(inputs, least if kind == "long" else infinity), groups.starts)
        return [pa.array(numbers, mask=nulls)]

    return found


def _by_rank(reduce: Any, least: int, inputs: pa.Array, groups: Groups, nulls: _Flags) -> pa.Array:
    """Of values that numpy cannot compare: their places in order are compared instead."""
    coded = inputs if pa.types.is_dictionary(inputs.type) else inputs.dictionary_encode()
    order = pc.sort_indices(coded.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    codes = _codes(coded)
    mine = np.where(codes < 0, least, ranks[codes]) if len(ranks) else np.full(len(codes), least)
    places = reduce(mine, groups.starts)
    places[nulls] = 0
    return coded.dictionary.take(pa.array(order[places] if len(order) else places, mask=nulls))


def _codes(coded: pa.DictionaryArray) -> _Longs:
    """The dictionary's place of each value; -1 for NULL."""
    return cast(_Longs, pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64))


def _counted(coded: pa.DictionaryArray, groups: Groups) -> tuple[list[str], list[int], list[int], list[int]]:
    """Texts by place; then the different ones of each group, how often each, and where each group begins."""
    size, codes = len(coded.dictionary), _codes(coded)
    some = codes >= 0
    both, counts = np.unique(groups.numbers[some] * size + codes[some], return_counts=True)
    group, code = np.divmod(both, max(size, 1))
    ends = np.searchsorted(group, np.arange(len(groups) + 1))
    return coded.dictionary.to_pylist(), code.tolist(), counts.tolist(), ends.tolist()


def _blobs(found: list[bytes]) -> list[pa.Array]:
    return [pa.array(found, pa.binary())]


def _uniques(measure: Measure, inputs: pa.DictionaryArray, groups: Groups) -> list[pa.Array]:
    lg_k, kind = cast(Uniques, measure).lg_k, tgt_hll_type.HLL_8
    texts, codes, _, ends = _counted(inputs, groups)

    def of(start: int, end: int) -> bytes:
        sketch = hll_sketch(lg_k, kind)
        for code in codes[start:end]:
            sketch.update(texts[code])
        return cast(bytes, sketch.serialize_compact())

    return _blobs(list(map(of, ends, ends[1:])))


def _quantiles(measure: Measure, inputs: pa.Array, groups: Groups) -> list[pa.Array]:
    k = cast(Quantiles, measure).k
    # a copy, for the sketch refuses memory that is read only
    numbers = pc.drop_null(inputs).to_numpy(zero_copy_only=False).copy()
    ends = [0, *np.cumsum(_counts(inputs, groups)).tolist()]

    def of(start: int, end: int) -> bytes:
        sketch = kll_doubles_sketch(k)
        if end > start:
            sketch.update(numbers[start:end])
        return cast(bytes, sketch.serialize())

    return _blobs(list(map(of, ends, ends[1:])))


def _top(measure: Measure, inputs: pa.DictionaryArray, groups: Groups) -> list[pa.Array]:
    lg_size = cast(Top, measure).lg_size
    texts, codes, counts, ends = _counted(inputs, groups)
    nulls = (groups.sizes - _counts(inputs, groups)).tolist()

    def of(start: int, end: int, null: int) -> bytes:
        sketch = frequent_strings_sketch(lg_size)
        for code, count in zip(codes[start:end], counts[start:end], strict=True):
            sketch.update(texts[code], count)
        # Spark's own addition to the sketch, which it cannot read without
        return cast(bytes, sketch.serialize()) + null.to_bytes(8, "big")

    return _blobs(list(map(of, ends, ends[1:], nulls)))


_Fold = Callable[[Any, Any, Groups], list[pa.Array]]
_FOLDS: Mapping[type[Measure], _Fold] = {
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
