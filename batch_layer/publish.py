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

__all__ = ["clean", "publish", "vacuum"]

_SLACK_HOURS = 1.0  # a run writes its tables before its manifest is dated


def publish(publications: Publications, manifest: Manifest, parent: Pointer | None, now: datetime) -> Pointer:
    """Writes the manifest and points readers at it.

    Raises EntryTaken if another publisher was faster, BoundaryError if the boundary would fall.
    """
    reach("manifest.before")
    publications.manifests.append(manifest.version, manifest.entry())
    reach("manifest.after")
    pointer = publications.publish(manifest, parent, "publish", now.isoformat())
    reach("pointer.after")
    return pointer


def clean(folders: Folders, kept: int, log: Logger) -> None:
    """Removes unfinished and unpublished indexes, and those of versions beyond the newest `kept`.

    The versions of the current and of the preceding pointer stay, whatever their age. The caller holds the
    lease of batch jobs: nobody else builds.
    """
    publications = folders.publications()
    needed = {f"{version:020d}" for version in _needed(publications, kept)}
    parent = folders.index(0).parent
    gone = index.sweep(parent)
    for path in sorted(parent.glob("[0-9]*")):
        if path.name not in needed:
            shutil.rmtree(path)
            gone.append(path.name)
    if gone:
        log.info("index_removed", folders=gone)


def vacuum(spark: SparkSession, folders: Folders, views: Iterable[str], kept: int, now: datetime) -> None:
    """Removes files of view tables that none of the newest `kept` publishes needs.

    It looks through all files, so it is done at every `kept`-th publish only.
    """
    publications = folders.publications()
    newest = publications.pointers.latest()
    if newest % kept:
        return
    oldest = publications.manifest(min(_needed(publications, kept)))
    hours = (now - datetime.fromisoformat(oldest.created_at)).total_seconds() / 3600 + _SLACK_HOURS
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    for view in views:
        DeltaTable.forPath(spark, str(folders.table(view))).vacuum(hours)


def _needed(publications: Publications, kept: int) -> set[int]:
    newest = publications.pointers.numbers()[-max(kept, 2) :]
    pointed = [publications.pointer(number).version for number in newest]
    return set(pointed[-2:]) | set(_last_distinct(pointed, kept))


def _last_distinct(versions: Iterable[int], count: int) -> list[int]:
    return list(dict.fromkeys(reversed(list(versions))))[:count]
