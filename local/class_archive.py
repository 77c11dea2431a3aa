"""The archive of the classes that Spark loads: a driver that maps it starts with half the work.

It belongs to one Java and one set of jars, and its name says to which. `local.class_training` makes it.
"""

import hashlib
from pathlib import Path

from conf.settings import Settings
from local.fetch import jars
from local.tools import java, spark_home

__all__ = ["archive_of", "archive_options"]

# where the archive does not fit, classes are loaded from the jars as ever: nobody need hear of it
_SILENT = ("-Xshare:auto", "-Xlog:cds*=off")


def archive_of(settings: Settings) -> Path:
    """Where the archive for this Java and these jars is, or would be. Raises MissingTool, FetchError."""
    parts = [Path(java()).resolve(), *sorted((spark_home() / "jars").glob("*.jar")), *jars(settings, "spark")]
    told = "\n".join(_identity(path) for path in parts)
    return settings.cache_dir / "classes" / f"spark-{hashlib.sha256(told.encode()).hexdigest()[:16]}.jsa"


def archive_options(settings: Settings) -> list[str]:
    """What tells a JVM to map the archive; nothing if there is none."""
    archive = archive_of(settings)
    return [f"-XX:SharedArchiveFile={archive}", *_SILENT] if archive.is_file() else []


def _identity(path: Path) -> str:
    stat = path.stat()
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"
