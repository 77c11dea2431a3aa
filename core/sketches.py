"""Approximate measures: Apache DataSketches, the same bytes for Spark's functions and for Python.

An empty blob is the zero of every sketch. Bounds hold with about 99 % confidence for one answer.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, ClassVar

from datasketches import (
    frequent_items_error_type,
    frequent_strings_sketch,
    hll_sketch,
    hll_union,
    kll_doubles_sketch,
    tgt_hll_type,
)

from core.measures import Measure, Partial, Slot
from core.sketch_equality import same_counts, same_ranks, same_registers

_STANDARD_DEVIATIONS = 3


@dataclass(frozen=True)
class _Sketch(Measure):
    approximate: ClassVar[bool] = True

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("", "blob"),)

    @property
    def zero(self) -> Partial:
        return (b"",)

    def merge(self, left: Partial, right: Partial) -> Partial:
        return self.merge_all((left, right))

    def merge_all(self, partials: Sequence[Partial]) -> Partial:
        blobs = [partial[0] for partial in partials if partial[0]]
        return (self._union(blobs) if len(blobs) > 1 else blobs[0] if blobs else b"",)

    def lift(self, value: Any) -> Partial:
        return self.lift_all((value,))

    def lift_all(self, values: Sequence[Any]) -> Partial:
        known = [value for value in values if value is not None]
        return (self._of(known),) if known else self.zero

    def same(self, expected: Partial, found: Partial) -> bool:
        # Spark makes NULL or a sketch of nothing where no event has a value, and Python makes no sketch
        return expected == found or self._alike(expected[0] or self._empty(), found[0] or self._empty())

    @abstractmethod
    def _alike(self, expected: bytes, found: bytes) -> bool:
        """Whether two sketches may be of the same values."""

    @abstractmethod
    def _empty(self) -> bytes: ...

    @abstractmethod
    def _union(self, blobs: Sequence[bytes]) -> bytes: ...

    @abstractmethod
    def _of(self, values: Sequence[Any]) -> bytes:
        """A sketch of at least one value, none of them NULL."""


@dataclass(frozen=True)
class Uniques(_Sketch):
    """How many different values, by HyperLogLog with 2**lg_k registers; the empty string is not counted.

    Flajolet et al., "HyperLogLog" (AofA 2007), in the form of Apache DataSketches. Registers are the same
    under any split; the estimate is taken from them alone, so that it is the same as well.
    """

    lg_k: int = 12
    accepts: ClassVar[tuple[str, ...]] = ("string", "long", "boolean")

    def row_sql(self, value: str) -> str:
        return f"cast({value} as string)"

    def partial_sql(self, value: str) -> tuple[str, ...]:
        return (f"hll_sketch_agg({self.row_sql(value)}, {self.lg_k})",)

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        return (f"hll_union_agg({columns[0]})",)

    def _of(self, values: Sequence[Any]) -> bytes:
        sketch = hll_sketch(self.lg_k, tgt_hll_type.HLL_8)
        for value in values:
            sketch.update(_text(value))
        return bytes(sketch.serialize_compact())

    def _union(self, blobs: Sequence[bytes]) -> bytes:
        return bytes(self._united(blobs).get_result(tgt_hll_type.HLL_8).serialize_compact())

    def _united(self, blobs: Sequence[bytes]) -> hll_union:
        union = hll_union(self.lg_k)
        for blob in blobs:
            union.update(hll_sketch.deserialize(blob))
        return union

    def present(self, partial: Partial) -> dict[str, float]:
        if not partial[0]:
            return {"estimate": 0, "lower": 0, "upper": 0}
        # A sketch that saw its items one by one estimates from their order too, and a union that holds only
        # one sketch copies that; a second update makes it look at the registers alone, and changes none.
        union = self._united((partial[0], partial[0]))
        return {
            "estimate": round(union.get_estimate(), 3),
            "lower": union.get_lower_bound(_STANDARD_DEVIATIONS),
            "upper": union.get_upper_bound(_STANDARD_DEVIATIONS),
        }

    def figure(self, partial: Partial) -> float:
        return float(self.present(partial)["estimate"])

    def _empty(self) -> bytes:
        return bytes(hll_sketch(self.lg_k, tgt_hll_type.HLL_8).serialize_compact())

    def _alike(self, expected: bytes, found: bytes) -> bool:
        return same_registers(self._union((expected,)), self._union((found,)), self.lg_k)


@dataclass(frozen=True)
class Quantiles(_Sketch):
    """Quantiles of numbers by a KLL sketch; `lower` and `upper` are the values at the rank error's ends.

    Karnin, Lang, Liberty, "Optimal Quantile Approximation in Streams" (FOCS 2016).
    """

    k: int = 200
    ranks: tuple[float, ...] = (0.5, 0.9, 0.99)
    accepts: ClassVar[tuple[str, ...]] = ("long", "decimal", "double")

    def row_sql(self, value: str) -> str:
        number = f"cast({value} as double)"
        if self.input and self.input.family == "double":
            return f"if(abs({number}) < double('Infinity'), {number}, NULL)"
        return number

    def partial_sql(self, value: str) -> tuple[str, ...]:
        return (f"kll_sketch_agg_double({self.row_sql(value)}, {self.k})",)

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        return (f"kll_merge_agg_double({columns[0]}, {self.k})",)

    def lift_all(self, values: Sequence[Any]) -> Partial:
        return super().lift_all([value for value in values if value is not None and isfinite(value)])

    def _of(self, values: Sequence[Any]) -> bytes:
        sketch = kll_doubles_sketch(self.k)
        for value in values:
            sketch.update(float(value))
        return bytes(sketch.serialize())

    def _union(self, blobs: Sequence[bytes]) -> bytes:
        sketch = kll_doubles_sketch.deserialize(blobs[0])
        for blob in blobs[1:]:
            sketch.merge(kll_doubles_sketch.deserialize(blob))
        return bytes(sketch.serialize())

    def present(self, partial: Partial) -> dict[str, Any]:
        sketch = kll_doubles_sketch.deserialize(partial[0]) if partial[0] else kll_doubles_sketch(self.k)
        if sketch.is_empty():
            return {"count": 0, "min": None, "max": None, "rank_error": 0.0, "quantiles": []}
        error = sketch.normalized_rank_error(False) if sketch.is_estimation_mode() else 0.0
        return {
            "count": sketch.n,
            "min": sketch.get_min_value(),
            "max": sketch.get_max_value(),
            "rank_error": round(error, 6),
            "quantiles": [self._quantile(sketch, rank, error) for rank in self.ranks],
        }

    def figure(self, partial: Partial) -> int:
        return int(kll_doubles_sketch.deserialize(partial[0]).n) if partial[0] else 0

    def _empty(self) -> bytes:
        return bytes(kll_doubles_sketch(self.k).serialize())

    def _alike(self, expected: bytes, found: bytes) -> bool:
        left, right = (kll_doubles_sketch.deserialize(blob) for blob in (expected, found))
        return same_ranks(left, right, self.ranks)

    def _quantile(self, sketch: kll_doubles_sketch, rank: float, error: float) -> dict[str, float]:
        value, low, high = (
            sketch.get_quantile(place, True)
            for place in (rank, max(0.0, rank - error), min(1.0, rank + error))
        )
        return {"rank": rank, "value": value, "lower": low, "upper": high}


@dataclass(frozen=True)
class Top(_Sketch):
    """The most frequent values with lower and upper bounds, by a frequent-items sketch.

    Misra and Gries (1982) as improved by Anderson et al., "A High-Performance Algorithm for Identifying
    Frequent Items in Data Streams" (IMC 2017). `capacity` values are tracked; with fewer it is exact.
    """

    k: int = 10
    capacity: int = 2000
    accepts: ClassVar[tuple[str, ...]] = ("string",)

    @property
    def lg_size(self) -> int:
        """Log2 of the sketch's size by Spark's rule: the least that `capacity` fills to three quarters."""
        return max(3, -(-self.capacity * 4 // 3) - 1).bit_length()

    def partial_sql(self, value: str) -> tuple[str, ...]:
        return (f"approx_top_k_accumulate({value}, {self.capacity}).sketch",)

    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        state = (
            f"named_struct('sketch', {columns[0]}, 'maxItemsTracked', {self.capacity}, "
            "'itemDataType', cast(null as string), 'itemDataTypeDDL', 'item string not null')"
        )
        return (f"approx_top_k_combine({state}, {self.capacity}).sketch",)

    def _of(self, values: Sequence[Any]) -> bytes:
        sketch = frequent_strings_sketch(self.lg_size)
        for value in values:
            sketch.update(value)
        return bytes(sketch.serialize())

    def _union(self, blobs: Sequence[bytes]) -> bytes:
        sketch = frequent_strings_sketch(self.lg_size)
        for blob in blobs:
            sketch.merge(frequent_strings_sketch.deserialize(blob))
        return bytes(sketch.serialize())

    def figure(self, partial: Partial) -> int:
        return int(frequent_strings_sketch.deserialize(partial[0]).total_weight) if partial[0] else 0

    def _empty(self) -> bytes:
        return bytes(frequent_strings_sketch(self.lg_size).serialize())

    def _alike(self, expected: bytes, found: bytes) -> bool:
        read = frequent_strings_sketch.deserialize
        return same_counts(read(expected), read(found), 3 << self.lg_size >> 2)

    def present(self, partial: Partial) -> list[dict[str, Any]]:
        if not partial[0]:
            return []
        sketch = frequent_strings_sketch.deserialize(partial[0])
        rows = sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
        # thousands of rows, most of them far below the first k: order only those that can be among them
        least = min(sorted((row[1] for row in rows), reverse=True)[: self.k], default=0)
        shown = [row for row in rows if row[1] >= least]
        ranked = sorted(shown, key=lambda row: (-row[1], row[0]))[: self.k]
        return [{"value": row[0], "estimate": row[1], "lower": row[2], "upper": row[3]} for row in ranked]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
