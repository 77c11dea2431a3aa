"""Two versions of a view: which rows only one of them has, and where their numbers differ."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from core.measures import Measure, Partial
from core.views import CompiledView

__all__ = ["Change", "Comparison", "compare"]

_PLACE = ["key_text", "bucket"]
_CHANGE = "measure string, key_text string, bucket string, old string, new string, size double"


@dataclass(frozen=True)
class Change:
    """A row where a measure is another one; `size` is how far apart the two are, 0 if that is no number."""

    key: str
    bucket: str
    old: str
    new: str
    size: float


@dataclass(frozen=True)
class Comparison:
    """A view in the finest tile that both versions have, `tile` seconds wide.

    `both`, `old` and `new` count rows that both have, or one alone. `changes` has for each measure of both
    how many rows differ, and those that differ most; a sketch differs if it cannot be of the same values.
    `gone` and `added` name measures that only one version has.
    """

    view: str
    tile: int
    both: int
    old: int
    new: int
    only_old: Sequence[tuple[str, str]]
    only_new: Sequence[tuple[str, str]]
    changes: Mapping[str, tuple[int, Sequence[Change]]]
    gone: Sequence[str]
    added: Sequence[str]

    @property
    def same(self) -> bool:
        return not (
            self.old or self.new or self.gone or self.added or any(n for n, _ in self.changes.values())
        )


@dataclass(frozen=True)
class _Item:
    """A measure that both versions have; its slots are columns `start` to `end` of each side."""

    name: str
    measure: Measure
    columns: tuple[str, ...]
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.columns)


def compare(old: DataFrame, new: DataFrame, view: CompiledView, top: int) -> Comparison:
    """What differs between two tables of a view, defined as `new` has it; `top` rows of each kind."""
    tile, items = _finest(old, view), _shared(old, view)
    pairs = _pairs(old.where(f"tile = {tile}"), new.where(f"tile = {tile}"), items).persist()
    changed = pairs.where("__old AND __new").mapInArrow(_differing(items), _CHANGE).persist()
    sides = {(row[0], row[1]): row[2] for row in pairs.groupBy("__old", "__new").count().collect()}
    found = Comparison(
        view=view.name,
        tile=tile,
        both=sides.get((True, True), 0),
        old=sides.get((True, None), 0),
        new=sides.get((None, True), 0),
        only_old=_some(pairs.where("__new IS NULL"), top),
        only_new=_some(pairs.where("__old IS NULL"), top),
        changes=_largest(changed, [item.name for item in items], top),
        gone=sorted(_measures_of(old, view) - set(view.measures)),
        added=sorted(set(view.measures) - {item.name for item in items}),
    )
    changed.unpersist()
    pairs.unpersist()
    return found


def _finest(old: DataFrame, view: CompiledView) -> int:
    """Days are kept for every view, so there is one unless the old table is empty."""
    found = {row[0] for row in old.select("tile").distinct().collect()}
    return next((width for width in view.tiles if width in found), view.tiles[0])


def _shared(old: DataFrame, view: CompiledView) -> list[_Item]:
    kinds, items, at = dict(old.dtypes), list[_Item](), 0
    columns = iter(view.columns)
    for name, measure in view.measures.items():
        own = tuple(next(columns) for _ in measure.slots)
        if all(column in kinds for column in own):
            items.append(_Item(name, measure, own, at))
            at += len(own)
    return items


def _measures_of(table: DataFrame, view: CompiledView) -> set[str]:
    """Names of the measures whose columns a table has."""
    others = {*_PLACE, *view.key, "tile", "part"}
    return {column.partition("__")[0] for column in table.columns if column not in others}


def _pairs(old: DataFrame, new: DataFrame, items: Sequence[_Item]) -> DataFrame:
    """Every key and bucket of either, with the slots of both sides."""
    left = old.select(*_PLACE, *_slots(items, "__l"), F.lit(True).alias("__old"))
    right = new.select(*_PLACE, *_slots(items, "__r"), F.lit(True).alias("__new"))
    sides = [f"__{side}{n}" for side in "lr" for n in range(items[-1].end if items else 0)]
    return left.join(right, _PLACE, "full_outer").select(*_PLACE, *sides, "__old", "__new")


def _slots(items: Sequence[_Item], side: str) -> list[Column]:
    names = [column for item in items for column in item.columns]
    return [F.col(f"`{name}`").alias(f"{side}{place}") for place, name in enumerate(names)]


def _differing(items: Sequence[_Item]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The rows where a measure differs, for pairs as `_pairs` gives them."""
    count = items[-1].end if items else 0

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = zip(*[column.to_pylist() for column in batch.columns], strict=True)
            found = [change for row in rows for change in _changes(row, items, count)]
            columns = list(zip(*found, strict=True)) or [()] * 6
            kinds = [pa.string()] * 5 + [pa.float64()]
            arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
            names = ["measure", "key_text", "bucket", "old", "new", "size"]
            yield pa.RecordBatch.from_arrays(arrays, names)

    return run


def _changes(row: Sequence[Any], items: Sequence[_Item], count: int) -> Iterator[tuple[Any, ...]]:
    left, right = row[2 : 2 + count], row[2 + count : 2 + 2 * count]
    for item in items:
        old, new = (_partial(item, side[item.start : item.end]) for side in (left, right))
        if not item.measure.same(old, new):
            before, after = (item.measure.figure(partial) for partial in (old, new))
            yield item.name, row[0], row[1].isoformat(), _text(before), _text(after), _apart(before, after)


def _partial(item: _Item, slots: Sequence[Any]) -> Partial:
    kinds = [slot.kind for slot in item.measure.slots]
    return tuple(b"" if v is None and kind == "blob" else v for v, kind in zip(slots, kinds, strict=True))


def _apart(old: Any, new: Any) -> float:
    if isinstance(old, int | float | Decimal) and isinstance(new, int | float | Decimal):
        return abs(float(new) - float(old))
    return 0.0


def _text(value: Any) -> str:
    return "NULL" if value is None else str(value)


def _largest(changed: DataFrame, names: Sequence[str], top: int) -> dict[str, tuple[int, Sequence[Change]]]:
    counts = {row[0]: row[1] for row in changed.groupBy("measure").count().collect()}
    order = Window.partitionBy("measure").orderBy(F.desc("size"), "key_text", "bucket")
    ranked = changed.withColumn("rank", F.row_number().over(order)).where(f"rank <= {top}")
    rows = ranked.orderBy("measure", "rank").collect()
    return {
        name: (counts.get(name, 0), [Change(*row[1:6]) for row in rows if row[0] == name]) for name in names
    }


def _some(rows: DataFrame, top: int) -> list[tuple[str, str]]:
    places = rows.selectExpr("key_text", "date_format(bucket, \"yyyy-MM-dd'T'HH:mm:ssXXX\")")
    return [(row[0], row[1]) for row in places.orderBy(*places.columns).limit(top).collect()]
