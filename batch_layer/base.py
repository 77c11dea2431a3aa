"""A version that another one takes rows over from: its tables, its index, and whether they are whole."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from batch_layer import delta_log, index
from core.durability import sha256_of, sync
from core.errors import NotExact
from core.folders import Folders
from core.keys import index_partition_sql
from core.manifest import Manifest
from core.views import CompiledView

__all__ = ["Base"]


@dataclass(frozen=True)
class Base:
    """One published version, in the folders where it stands."""

    spark: SparkSession
    folders: Folders
    manifest: Manifest

    def table(self, view: str) -> DataFrame:
        """A view's table as this version has it. Raises NotExact unless its files are those of then."""
        entry = self.manifest.views[view]
        self._check_files(view, entry["version"], entry["checksum"])
        reader = self.spark.read.format("delta").option("versionAsOf", entry["version"])
        return reader.load(str(self.folders.table(view)))

    def rows(self, view: CompiledView, partitions: int) -> DataFrame:
        """The table, for an index of `partitions` files. Raises NotExact if the view has other tiles now."""
        self._check_tiles(view, set(self.manifest.views[view.name]["rows"]))
        rows = self.table(view.name)
        return rows.selectExpr(
            *[f"`{name}`" for name in rows.columns if name != "part"],
            f"{index_partition_sql('key_text', partitions)} AS part",
        )

    def carry(self, view: str, staged: Path) -> dict[str, str]:
        """Puts the view's index files into another version's folder; their checksums by name."""
        files = {name: sha for name, sha in self.manifest.index.items() if name.startswith(f"{view}/")}
        source = self.folders.index(self.manifest.version)
        (staged / view).mkdir()
        for name in files:
            _link(source / name, staged / name)
        return files

    def _check_files(self, view: str, version: int, checksum: str) -> None:
        try:
            added = delta_log.commit(self.folders.table(view), version).added
            tables = {file.path.name: sha256_of(file.path) for file in added}
        except FileNotFoundError as error:
            raise self._refusal(f"{error.filename} of view {view!r} is gone") from error
        if index.checksum([index.IndexFile(view, 0, 0, "", tables)]) != checksum:
            raise self._refusal(f"the files of view {view!r} are not those it was made of")

    def _check_tiles(self, view: CompiledView, found: set[str]) -> None:
        wanted = {str(width) for width in view.tiles}
        if found and found != wanted:
            raise self._refusal(
                f"view {view.name!r} has tiles of {sorted(found)} seconds, not {sorted(wanted)}"
            )

    def _refusal(self, why: str) -> NotExact:
        return NotExact(f"taking rows over from version {self.manifest.version}", why, "recompute all")


def _link(source: Path, target: Path) -> None:
    """Index files never change, so one on the same disk needs no copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
        sync(target)
