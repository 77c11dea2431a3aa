"""Views folded from events that are read once: the quick way to the tables of a full recompute.

Events are spilled as columns, tasks fold shares of them into Parquet files, and Delta commits each view's. It
is the same as `recompute.tiles`, which is the definition, and says what no fold can.
"""

from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from batch_layer.inputs import Asked, ask
from batch_layer.spill import Spill, spill
from batch_layer.tile_files import Share, TileFile, write_share
from core.folders import Folders
from core.views import CompiledView

__all__ = ["fold_views"]

_EVENTS = 2_000_000  # of a share: what a task has in memory


def fold_views(
    spark: SparkSession,
    events: DataFrame,
    views: Sequence[CompiledView],
    folders: Folders,
    partitions: int,
    scratch: Path,
) -> dict[str, list[TileFile]]:
    """Files of each view's table, in its folder, that no commit names yet. `scratch` holds the events."""
    frame, asked = ask(events, views)
    spilled = spill(frame, asked, partitions, scratch)
    shares = sorted(_shares(spilled, asked, folders), key=lambda share: -share.events)
    found: dict[str, list[TileFile]] = {view.name: [] for view in views}
    if shares:
        tasks = spark.sparkContext.parallelize(shares, len(shares))
        for view, files in tasks.map(lambda share: (share.asked.view.name, write_share(share))).collect():
            found[view].extend(files)
    return found


def _shares(spilled: Spill, asked: Sequence[Asked], folders: Folders) -> list[Share]:
    by_name = {one.view.name: one for one in asked}
    return [
        Share(by_name[view], part, slab, slabs, events // slabs, spilled.files, folders.table(view))
        for (view, part), events in spilled.counts.items()
        for slabs in [-(-events // _EVENTS)]
        for slab in range(slabs)
    ]
