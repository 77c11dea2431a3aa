"""Events to one view's table: the finest bucket, and every coarser tile from the next finer one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from batch_layer import delta_log
from batch_layer.delta_commit import overwrite
from batch_layer.tile_files import TileFile
from core.errors import HandoffError
from core.faults import reach
from core.keys import index_partition_sql, key_text_sql
from core.views import CompiledView

__all__ = ["Written", "commit_files", "tiles", "write_view"]

_TYPES = {"long": "bigint", "double": "double", "text": "string", "blob": "binary"}
_BUCKET = "__bucket"
_FOLDERS = ["tile", "part"]
_PROPERTIES = {
    "delta.dataSkippingStatsColumns": "bucket",
    # as long as Delta keeps the log: within it, other engines may read any retained version
    "delta.deletedFileRetentionDuration": "interval 30 days",
}


@dataclass(frozen=True)
class Written:
    """One version of a view's table."""

    view: str
    commit: delta_log.Commit

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each tile, by its width in seconds."""
        found: dict[str, int] = {}
        for file in self.commit.added:
            tile = str(file.values["tile"])
            found[tile] = found.get(tile, 0) + file.rows
        return found


def tiles(events: DataFrame, view: CompiledView, partitions: int) -> DataFrame:
    """Rows of a view's table: key_text, key parts, bucket, slots, and the folders tile and part."""
    frames, widths = [_finest(events, view)], view.tiles
    for width in widths[1:]:
        frames.append(_coarser(frames[-1], view, width))
    united = None
    for frame, width in zip(frames, widths, strict=True):
        rows = frame.select(*_columns(view, width, partitions))
        united = rows if united is None else united.unionAll(rows)
    assert united is not None
    return united


def write_view(rows: DataFrame, view: CompiledView, table: Path, version: int) -> Written:
    """Overwrites the view's table with rows as `tiles` gives them, in one commit of a manifest's version."""
    reach("view.commit.before")
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("overwriteSchema", "true")
        .option("userMetadata", _metadata(version))
        .options(**_PROPERTIES)
        .partitionBy(*_FOLDERS)
        .save(str(table))
    )
    return _written(view, table, version)


def commit_files(
    spark: SparkSession, files: Sequence[TileFile], view: CompiledView, table: Path, version: int
) -> Written:
    """As `write_view`, with files of all rows that are there already."""
    reach("view.commit.before")
    actions = [file.action for file in files]
    overwrite(spark, table, _schema(view), _FOLDERS, actions, _PROPERTIES, _metadata(version))
    return _written(view, table, version)


def _written(view: CompiledView, table: Path, version: int) -> Written:
    """The commit that was made, once it is durable."""
    reach("view.commit.after")
    commit = delta_log.commit(table, delta_log.versions(table)[-1])
    if _metadata(version) != commit.metadata:
        raise HandoffError(
            f"view {view.name!r}: version {commit.version} of its table is {commit.metadata}, expected "
            f"manifest {version}; another job writes there: stop it"
        )
    delta_log.make_durable(table, commit)
    return Written(view.name, commit)


def _metadata(version: int) -> str:
    return f'{{"manifest": {version}}}'


def _schema(view: CompiledView) -> DataType:
    """The columns of `tiles`."""
    parts = {name: part.type for name, part in view.key.items()}
    slots = {name: slot.kind for name, slot in view.slots}
    kinds = {"key_text": "string", **parts, "bucket": "timestamp", **slots, "tile": "int", "part": "int"}
    return StructType.fromDDL(", ".join(f"`{name}` {_TYPES.get(kind, kind)}" for name, kind in kinds.items()))


def _finest(events: DataFrame, view: CompiledView) -> DataFrame:
    parts = [F.expr(part.sql).alias(name) for name, part in view.key.items()]
    slots = [F.expr(sql).alias(column) for column, sql in view.partial_sql.items()]
    grouped = events.where(view.where).groupBy(*parts, F.expr(view.bucket_sql).alias(_BUCKET))
    return grouped.agg(*slots)


def _coarser(finer: DataFrame, view: CompiledView, width: int) -> DataFrame:
    bucket = F.expr(f"{_BUCKET} - pmod({_BUCKET}, {width}L)").alias(_BUCKET)
    slots = [F.expr(sql).alias(column) for column, sql in view.merge_sql.items()]
    return finer.groupBy(*[F.col(f"`{name}`") for name in view.key], bucket).agg(*slots)


def _columns(view: CompiledView, width: int, partitions: int) -> list[Column]:
    key = key_text_sql([f"`{name}`" for name in view.key])
    slots = [
        F.col(f"`{name}`").cast(_TYPES.get(slot.kind, slot.kind)).alias(name) for name, slot in view.slots
    ]
    return [
        F.expr(key).alias("key_text"),
        *[F.col(f"`{name}`") for name in view.key],
        F.timestamp_seconds(F.col(_BUCKET)).alias("bucket"),
        *slots,
        F.lit(width).alias("tile"),
        F.expr(index_partition_sql(key, partitions)).alias("part"),
    ]
