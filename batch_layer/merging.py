"""Rows of a view's table from rows that are there and rows that are new."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.errors import NotExact
from core.modes import Span
from core.views import CompiledView

__all__ = ["check_layout", "merged", "replaced"]

_PLACE = ["key_text", "tile", "bucket"]
_BROADCAST_ROWS = 500_000


def merged(old: DataFrame, new: DataFrame, view: CompiledView, tasks: int) -> DataFrame:
    """Rows of both; where both have a row of one key, tile and bucket, the two merged.

    All other rows are taken over as they are: a sketch that nothing is added to keeps its bytes.
    """
    fresh = new.persist()
    places = fresh.select(*_PLACE)
    touched = F.broadcast(places) if fresh.count() <= _BROADCAST_ROWS else places
    grown = _folded(old.join(touched, _PLACE, "left_semi").unionByName(fresh), view)
    kept = old.join(touched, _PLACE, "left_anti")
    return _united(kept, _as(grown, old), old.columns, tasks)


def replaced(old: DataFrame, new: DataFrame, span: Span, tasks: int) -> DataFrame:
    """Rows of `old` outside a span of whole tiles, and those of `new`, which lie in it."""
    inside = f"unix_seconds(bucket) >= {span.start}L AND unix_seconds(bucket) < {span.end}L"
    return _united(old.where(f"NOT ({inside})"), new, old.columns, tasks)


def _folded(rows: DataFrame, view: CompiledView) -> DataFrame:
    parts = [*_PLACE, *view.key, "part"]
    slots = [F.expr(sql).alias(column) for column, sql in view.merge_sql.items()]
    return rows.groupBy(*[F.col(f"`{name}`") for name in parts]).agg(*slots)


def _as(rows: DataFrame, like: DataFrame) -> DataFrame:
    """Sums of decimals come out wider than their column."""
    return rows.select(*[F.col(f"`{f.name}`").cast(f.dataType).alias(f.name) for f in like.schema])


def _united(kept: DataFrame, added: DataFrame, columns: Sequence[str], tasks: int) -> DataFrame:
    """Few tasks: each writes a file a folder, and the files of a table would grow with every version."""
    named = [f"`{name}`" for name in columns]
    return kept.select(*named).unionAll(added.select(*named)).coalesce(tasks)


def check_layout(old: DataFrame, new: DataFrame, view: CompiledView) -> None:
    """Raise NotExact unless both have the same columns."""
    before, now = (dict(frame.dtypes) for frame in (old, new))
    if before != now:
        other = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        raise NotExact(
            f"taking rows of view {view.name!r} over", f"other columns: {', '.join(other)}", "recompute"
        )
