"""What goes into a version: which views are written, from which rows, and which are taken over."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame

from batch_layer.base import Base
from batch_layer.fresh import Archived
from batch_layer.merging import check_layout, merged, replaced
from batch_layer.recompute import tiles
from core.cuts import Cut
from core.modes import Mode, Span
from core.views import CompiledView

__all__ = ["Content", "backfill", "full", "incremental", "taken"]

_ROWS_PER_TASK = 500_000


@dataclass(frozen=True)
class Content:
    """`rows` gives the whole table of a view, of those in `written`; others come from `base` as they are.

    `tasks` is into how many tasks Spark's shuffles are divided. `events` are there where all
    rows are made of them alone; `history` are all events below the boundary, where they were read. `chains`
    are those of events that may be corrected; where there are none, those of `base` are taken over.
    `resolved` says which ids are one person, where all events were asked.
    """

    mode: Mode
    boundary: Cut
    counts: Mapping[str, int]
    written: Sequence[CompiledView]
    rows: Callable[[CompiledView], DataFrame]
    tasks: int
    base: Base | None = None
    events: DataFrame | None = None
    history: DataFrame | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    vouched: tuple[Any, ...] = ()
    chains: DataFrame | None = None
    resolved: DataFrame | None = None


def full(archived: Archived, views: Sequence[CompiledView], boundary: Cut, partitions: int) -> Content:
    """All views from all records below the boundary."""
    events = archived.events(boundary)
    return Content(
        Mode.FULL, boundary, events.counts.entry(), views,
        lambda view: tiles(events.frame, view, partitions), _tasks_for(events.counts.valid),
        events=events.frame, history=events.frame, chains=events.chains, resolved=events.resolved,
    )  # fmt: skip


def incremental(
    archived: Archived, base: Base, views: Sequence[CompiledView], boundary: Cut, partitions: int
) -> Content:
    """The rows of `base`, with the records between its boundary and this one merged in. Raises NotExact."""
    events, before = archived.since(base.manifest, boundary), base.manifest
    added = events.counts.entry()
    counts = {name: count + before.counts[name] for name, count in added.items()}
    tasks = _tasks_for(max(events.counts.valid, _most_rows(base)))
    rows = {view.name: _pair(base, events.frame, view, partitions) for view in views}
    return Content(
        Mode.INCREMENTAL, boundary, counts, views,
        lambda view: merged(*rows[view.name], view, tasks), tasks,
        base, origin={"base": before.version, "added": added}, vouched=before.vouched,
    )  # fmt: skip


def backfill(
    archived: Archived,
    base: Base,
    views: Sequence[CompiledView],
    span: Span,
    partitions: int,
    vouched: Mapping[str, Any] | None,
) -> Content:
    """The rows of `base`, with those of some views in a span of whole tiles made anew. Raises NotExact."""
    boundary = Cut(base.manifest.boundary, base.manifest.offsets)
    events = archived.events(boundary)
    tasks = _tasks_for(max(events.counts.valid, _most_rows(base)))
    frames = {view.name: events.frame.where(_within(view, span)) for view in views}
    rows = {view.name: _pair(base, frames[view.name], view, partitions) for view in views}
    origin = {"base": base.manifest.version, "range": str(span), "views": [view.name for view in views]}
    statements = (*base.manifest.vouched, vouched) if vouched else base.manifest.vouched
    return Content(
        Mode.BACKFILL, boundary, events.counts.entry(), views,
        lambda view: replaced(*rows[view.name], span, tasks), tasks, base,
        origin=origin, vouched=statements, history=events.frame, chains=events.chains,
        resolved=events.resolved,
    )  # fmt: skip


def taken(base: Base, views: Sequence[CompiledView], partitions: int) -> Content:
    """The rows of `base` as they are, for a place where other readers find them. Raises NotExact."""
    tasks, manifest = _tasks_for(_most_rows(base)), base.manifest
    rows = {view.name: base.rows(view, partitions).coalesce(tasks) for view in views}
    return Content(
        Mode.PROMOTED, Cut(manifest.boundary, manifest.offsets), manifest.counts, views,
        lambda view: rows[view.name], tasks, base, vouched=manifest.vouched,
    )  # fmt: skip


def _pair(base: Base, events: DataFrame, view: CompiledView, partitions: int) -> tuple[DataFrame, DataFrame]:
    """A view's rows in `base` and those of some events. Raises NotExact if they do not fit each other."""
    old, new = base.rows(view, partitions), tiles(events, view, partitions)
    check_layout(old, new, view)
    return old, new


def _within(view: CompiledView, span: Span) -> str:
    return f"{view.bucket_sql} >= {span.start}L AND {view.bucket_sql} < {span.end}L"


def _most_rows(base: Base) -> int:
    return max((sum(entry["rows"].values()) for entry in base.manifest.views.values()), default=0)


def _tasks_for(rows: int) -> int:
    """Shuffle partitions for so many rows."""
    return max(2, -(-rows // _ROWS_PER_TASK))
