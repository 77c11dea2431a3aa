"""Folds over columns say what `lift` and `merge` say; spilled events keep their keys, shares their days."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_layer.folds import Groups, fold, foldable, input_sql
from batch_layer.inputs import SECONDS, Asked
from batch_layer.spill import _keys, _stored, _write
from batch_layer.tile_files import Share, TileFile, write_share
from batch_layer.wide import total
from core import Count, Max, Mean, Min, Quantiles, Ratio, Source, Sum, Top, Uniques, View
from core.buckets import DAY, HOUR, floor
from core.keys import index_partition, key_text
from core.measures import Measure, Partial
from core.views import CompiledView

COLUMNS = {
    "number": "long",
    "x": "double",
    "d": "decimal(10,2)",
    "text": "string",
    "at": "timestamp",
    "b": "boolean",
}
LONGS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
TEXTS = st.one_of(st.none(), st.text(max_size=5))
WIDES = st.one_of(st.none(), st.integers(-(10**30), 10**30).map(lambda number: Decimal(number).scaleb(-6)))


def _groups(groups: list[list[Any]]) -> Groups:
    starts = np.cumsum([0, *map(len, groups[:-1])])
    return Groups(starts.astype(np.int64), sum(map(len, groups)))


def _folded(measure: Measure, groups: list[list[Any]], kind: pa.DataType) -> list[Partial]:
    flat = pa.array([value for group in groups for value in group], kind)
    flat = flat.dictionary_encode() if pa.types.is_string(kind) else flat
    columns = fold(measure, flat, _groups(groups))
    return list(zip(*[column.to_pylist() for column in columns], strict=True))


def _differing(measure: Measure, groups: list[list[Any]], kind: pa.DataType) -> list[Any]:
    wanted = [measure.merge_all([measure.lift(value) for value in group]) for group in groups]
    found = _folded(measure, groups, kind)
    return [pair for pair in zip(wanted, found, strict=True) if not measure.same(*pair)]


@pytest.mark.parametrize(
    "measure", [Sum("number"), Mean("number"), Min("number"), Max("number"), Quantiles("x")], ids=repr
)
@settings(deadline=None)
@given(groups=st.lists(st.lists(LONGS, min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_fold_over_longs_is_exact(measure: Measure, groups: list[list[int | None]]) -> None:
    kind = pa.float64() if isinstance(measure, Quantiles) else pa.int64()
    given = [[None if v is None else float(v) for v in group] for group in groups]
    assert _differing(measure.bind(COLUMNS), given if kind == pa.float64() else groups, kind) == []


@pytest.mark.parametrize(
    "measure", [Uniques("text", lg_k=4), Top("text"), Min("text"), Max("text")], ids=repr
)
@settings(deadline=None)
@given(groups=st.lists(st.lists(TEXTS, min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_fold_over_texts_is_that_of_one_after_the_other(
    measure: Measure, groups: list[list[str | None]]
) -> None:
    assert _differing(measure.bind(COLUMNS), groups, pa.string()) == []


@settings(deadline=None)
@given(groups=st.lists(st.lists(WIDES, min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_fold_over_decimals_keeps_every_digit(groups: list[list[Decimal | None]]) -> None:
    kind = pa.decimal128(38, 6)
    flat = pa.array([value for group in groups for value in group], kind)
    found = total(flat, _groups(groups).starts, "decimal(38,6)").to_pylist()
    with localcontext(prec=60):
        assert found == [sum((value for value in group if value is not None), Decimal(0)) for group in groups]
    for measure in (Min("d").bind(COLUMNS), Max("d").bind(COLUMNS)):
        assert _differing(measure, groups, pa.decimal128(38, 6)) == []


PAIRS = st.fixed_dictionaries({"numerator": LONGS, "denominator": LONGS})


@settings(deadline=None)
@given(groups=st.lists(st.lists(PAIRS, min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_fold_over_pairs_gives_both_sums_of_a_ratio(groups: list[list[dict[str, int | None]]]) -> None:
    kind = pa.struct([("numerator", pa.int64()), ("denominator", pa.int64())])
    assert _differing(Ratio("number", "number").bind(COLUMNS), groups, kind) == []


def test_a_sum_beyond_64_bits_is_exact_also_in_a_slice() -> None:
    numbers = pa.array([7, *[2**63 - 1] * 5, -(2**63)], pa.int64())[1:]
    assert total(numbers, np.array([0, 5]), "decimal(38,0)").to_pylist() == [5 * (2**63 - 1), -(2**63)]
    wide = pa.array([Decimal(1), None, Decimal(-(10**28)), Decimal(5)], pa.decimal128(38, 0))[1:]
    assert total(wide, np.array([0, 2]), "decimal(38,0)").to_pylist() == [Decimal(-(10**28)), 5]


def test_counts_are_of_events_or_of_values() -> None:
    groups = _groups([[1, 2], [3]])
    assert fold(Count().bind(COLUMNS), None, groups)[0].to_pylist() == [2, 1]
    flags = pa.array([True, False, False])
    assert fold(Count("number").bind(COLUMNS), flags, groups)[0].to_pylist() == [1, 0]
    assert input_sql(Count("number").bind(COLUMNS)) == "(`number`) IS NOT NULL"


class Longest(Max):
    """A user's own measure."""


def _view(**measures: Measure) -> CompiledView:
    source = Source("s", contract="s", event_time="at")
    return View("v", source, key=("text", "number", "b"), measures=measures).compile(COLUMNS)


def test_a_view_with_a_measure_of_a_users_own_class_is_left_to_spark() -> None:
    assert foldable(_view(events=Count(), total=Sum("number")))
    assert not foldable(_view(events=Count(), most=Longest("number")))


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, LONGS, st.one_of(st.none(), st.booleans())), min_size=1, max_size=20))
def test_keys_are_the_texts_of_their_parts(rows: list[tuple[str | None, int | None, bool | None]]) -> None:
    texts, numbers, flags = (list(column) for column in zip(*rows, strict=True))
    parts = [pa.array(texts, pa.string()).dictionary_encode(), pa.array(numbers, pa.int64())]
    view, found = _view(events=Count()), _keys([*parts, pa.array(flags, pa.bool_())], len(rows))
    wanted = [view.key_of({"text": text, "number": number, "b": flag}) for text, number, flag in rows]
    assert found.to_pylist() == wanted
    assert _keys([], 2).to_pylist() == [key_text([]), key_text([])]


def _view_of_two() -> Asked:
    """A view, and the columns that `_spilled` gives it."""
    source, measures = Source("s", contract="s", event_time="at"), {"events": Count(), "total": Sum("number")}
    view = View("v", source, key=("text", "b"), measures=measures).compile(COLUMNS)
    return Asked(view, ("c0", "c2"), (None, "c1"), "c3")


def _spilled(folder: Path, rows: list[tuple[Any, ...]], partitions: int) -> Path:
    """An event: seconds, text, n, b, and whether the view takes it."""
    kinds = [pa.int64(), pa.string(), pa.int64(), pa.bool_(), pa.bool_()]
    arrays = [
        pa.array(list(column), kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)
    ]
    path = folder / f"{len(list(folder.glob('*.arrow')))}.arrow"
    table = pa.table(arrays, [SECONDS, "c0", "c1", "c2", "c3"])
    _write(_stored(table, [_view_of_two()], partitions), path)
    return path


def _rows(files: list[TileFile], table: Path) -> dict[tuple[str, int, int], tuple[Any, ...]]:
    found = {}
    for file in files:
        for row in pq.ParquetFile(table / file.path).read().to_pylist():
            at = int(row["bucket"].timestamp())
            assert file.first <= at <= file.last
            found[row["key_text"], file.tile, at] = (row["text"], row["b"], row["events"], row["total"])
    assert sum(file.rows for file in files) == len(found)
    return found


def test_shares_hold_all_tiles_of_the_events_that_a_view_takes(tmp_path: Path) -> None:
    moments = [-DAY - 1, -1, 0, 1, HOUR, DAY - 1, DAY, 5 * DAY + 7]
    rows = [
        (at, text, n, True, taken)
        for at in moments
        for text in ("a", None)
        for n, taken in ((1, True), (2**62, False))
    ]
    asked, table = _view_of_two(), tmp_path / "table"
    paths = tuple(_spilled(tmp_path, part, 2) for part in (rows[:16], rows[16:]))
    files = [
        file
        for part in range(2)
        for slab in range(3)
        for file in write_share(Share(asked, part, slab, 3, 0, paths, table))
    ]
    wanted: dict[tuple[str, int, int], tuple[Any, ...]] = {}
    for at, text, n, flag, taken in rows:
        for width in (HOUR, DAY) if taken else ():
            place = (asked.view.key_of({"text": text, "b": flag}), width, floor(at, width))
            count, summed = wanted.get(place, (None, None, 0, 0))[2:]
            wanted[place] = (text, flag, count + 1, summed + n)
    assert _rows(files, table) == wanted
    for file in files:
        for key in set(pq.ParquetFile(table / file.path).read()["key_text"].to_pylist()):
            assert index_partition(key, 2) == file.part


def test_a_share_without_events_has_no_files(tmp_path: Path) -> None:
    path = _spilled(tmp_path, [(0, "a", 1, True, False)], 1)
    assert write_share(Share(_view_of_two(), 0, 0, 1, 0, (path,), tmp_path)) == []
    assert write_share(Share(_view_of_two(), 0, 0, 1, 0, (), tmp_path)) == []


def test_an_action_says_what_delta_needs(tmp_path: Path) -> None:
    path = _spilled(tmp_path, [(-DAY, "a", 1, True, True)], 1)
    hour, day = write_share(Share(_view_of_two(), 0, 0, 1, 0, (path,), tmp_path / "table"))
    assert (hour.tile, day.tile, day.rows, day.first) == (HOUR, DAY, 1, -DAY)
    moment = datetime.fromtimestamp(0, UTC) - timedelta(days=1)
    assert moment.strftime("%Y-%m-%dT%H:%M:%S.000Z") in day.action
