"""A publish: the manifest once all it names is durable, then the pointer; and what no reader needs goes."""

import shutil
from collections.abc import Iterable
from datetime import datetime

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from batch_layer import index
from core.faults import reach
from core.folders import Folders
from core.logs import Logger
from core.manifest import Manifest, Pointer, Publications
from core.versions import Versions

__all__ = ["clean", "publish", "vacuum"]

_SLACK_HOURS = 1.0  # clocks that are set back


def publish(
    publications: Publications,
    manifest: Manifest,
    parent: Pointer | None,
    now: datetime,
    kind: str = "publish",
) -> Pointer:
    """Writes the manifest and points readers at it.

    Raises EntryTaken if another publisher was faster, BoundaryError if the boundary would fall.
    """
    reach("manifest.before")
    publications.manifests.append(manifest.version, manifest.entry())
    reach("manifest.after")
    pointer = publications.publish(manifest, parent, kind, now.isoformat())
    reach("pointer.after")
    return pointer


def clean(folders: Folders, kept: int, log: Logger) -> None:
    """Removes unfinished and unpublished indexes, and those of versions that need not be retained.

    The caller holds the lease of batch jobs: nobody else builds.
    """
    parent, versions = folders.index(0).parent, Versions(folders)
    gone = index.sweep(parent)
    with versions.lease():
        needed = versions.needed(kept)
        for path in sorted(parent.glob("[0-9]*")):
            if int(path.name) not in needed:
                shutil.rmtree(path)
                gone.append(path.name)
    if gone:
        log.info("index_removed", folders=gone)


def vacuum(spark: SparkSession, folders: Folders, views: Iterable[str], kept: int, now: datetime) -> None:
    """Removes files of view tables that no retained version needs.

    It looks through all files, so it is done at every `kept`-th publish only.
    """
    oldest = Versions(folders).oldest_needed(kept)
    if oldest is None or folders.publications().pointers.latest() % kept:
        return
    # a version's files become those of a former one when the next is written, which is after its publish
    hours = (now - datetime.fromisoformat(oldest.at)).total_seconds() / 3600 + _SLACK_HOURS
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    for view in views:
        DeltaTable.forPath(spark, str(folders.table(view))).vacuum(hours)
