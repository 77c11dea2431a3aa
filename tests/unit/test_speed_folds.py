"""Folds over columns say what `lift` and `merge` say, and many partials are packed as one is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import Count, Max, Mean, Min, Quantiles, Ratio, Sum, Top, Uniques
from core.measures import Measure, Slot
from core.packing import Codec
from speed_layer.columns import blobs, decimals, doubles, longs, pack, values
from speed_layer.folds import Groups, fold

COLUMNS = {"n": "long", "x": "double", "d": "decimal(10,2)", "text": "string", "at": "timestamp"}
LONGS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
TEXTS = st.one_of(st.none(), st.text(max_size=5))


def _folded(measure: Measure, groups: list[list[Any]], kind: pa.DataType) -> list[Any]:
    flat = pa.array([value for group in groups for value in group], kind)
    starts = np.cumsum([0, *map(len, groups[:-1])])
    packed = pack(fold(measure, flat, Groups(starts.astype(np.int64), len(flat))))
    codec = Codec(measure.slots)
    return [measure.present(codec.unpack(row)) for row in packed]


def _one_by_one(measure: Measure, groups: list[list[Any]]) -> list[Any]:
    return [measure.present(measure.merge_all([measure.lift(v) for v in group])) for group in groups]


@pytest.mark.parametrize(
    "measure", [Count("n"), Sum("n"), Mean("n"), Min("n"), Max("n")], ids=lambda measure: repr(measure)
)
@settings(deadline=None)
@given(groups=st.lists(st.lists(LONGS, min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_fold_over_longs_is_exact(measure: Measure, groups: list[list[int | None]]) -> None:
    bound = measure.bind(COLUMNS)
    assert _folded(bound, groups, pa.int64()) == _one_by_one(bound, groups)


@settings(deadline=None)
@given(groups=st.lists(st.lists(TEXTS, min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_fold_over_texts_gives_the_same_sketches(groups: list[list[str | None]]) -> None:
    for measure in (Uniques("text", lg_k=4), Top("text"), Min("text"), Max("text"), Count("text")):
        bound = measure.bind(COLUMNS)
        assert _folded(bound, groups, pa.string()) == _one_by_one(bound, groups)


@settings(deadline=None)
@given(groups=st.lists(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=9), min_size=1, max_size=5))
def test_a_fold_over_doubles_gives_the_same_quantiles_and_extremes(groups: list[list[float]]) -> None:
    for measure in (Quantiles("x"), Min("x"), Max("x")):
        bound = measure.bind(COLUMNS)
        assert _folded(bound, groups, pa.float64()) == _one_by_one(bound, groups)


PAIRS = st.fixed_dictionaries({"numerator": LONGS, "denominator": LONGS})


@settings(deadline=None)
@given(groups=st.lists(st.lists(PAIRS, min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_fold_over_pairs_gives_both_sums_of_a_ratio(groups: list[list[dict[str, int | None]]]) -> None:
    kind = pa.struct([("numerator", pa.int64()), ("denominator", pa.int64())])
    bound = Ratio("n", "n").bind(COLUMNS)
    assert _folded(bound, groups, kind) == _one_by_one(bound, groups)
    decimals = pa.struct([("numerator", pa.int64()), ("denominator", pa.decimal128(10, 2))])
    wide = [[{"numerator": 3, "denominator": Decimal("0.01")}, {"numerator": None, "denominator": None}]]
    assert _folded(Ratio("n", "d").bind(COLUMNS), wide, decimals) == [300.0]


def test_a_fold_over_decimals_keeps_every_digit() -> None:
    groups: list[list[Any]] = [[Decimal("99999999.99"), None, Decimal("-0.01")], [None]]
    for measure in (Sum("d"), Mean("d"), Min("d"), Max("d")):
        bound = measure.bind(COLUMNS)
        assert _folded(bound, groups, pa.decimal128(10, 2)) == _one_by_one(bound, groups)


def test_a_sum_beyond_64_bits_is_exact() -> None:
    bound = Sum("n").bind(COLUMNS)
    assert _folded(bound, [[2**63 - 1] * 5, [-(2**63)]], pa.int64()) == [5 * (2**63 - 1), -(2**63)]


def test_a_fold_over_times_takes_microseconds() -> None:
    bound, moment = Max("at").bind(COLUMNS), datetime(2015, 9, 12, tzinfo=UTC)
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert _folded(bound, [[micros, None], [None]], pa.int64()) == [moment, None]


class Longest(Max):
    """A measure of a user's own."""

    def _better(self, left: Any, right: Any) -> Any:
        return max(left, right, key=len)


def test_a_measure_of_a_users_own_is_folded_by_its_own_lift_and_merge() -> None:
    bound = Longest("text").bind(COLUMNS)
    assert _folded(bound, [["zz", "abc", "b"], [None, "x"]], pa.string()) == ["abc", "x"]


def test_many_rows_are_packed_as_one_row_is() -> None:
    slots = (
        Slot("", "long"),
        Slot("", "decimal(38,0)"),
        Slot("", "blob"),
        Slot("", "double"),
        Slot("", "text"),
    )
    rows: list[Any] = [(1, -5, b"ab", 0.5, "é"), (None, 2**62, b"", None, None), (-1, 0, b"x", -1.5, "")]
    nulls = np.array([False, True, False])
    columns = [
        longs(np.array([1, 0, -1]), nulls),
        decimals(np.array([-5, 2**62, 0])),
        blobs([b"ab", b"", b"x"]),
        doubles(np.array([0.5, 0, -1.5]), nulls),
        values(slots[4], ["é", None, ""]),
    ]
    assert pack(columns) == [Codec(slots).pack(row) for row in rows]
