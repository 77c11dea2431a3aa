"""How Spark starts on this machine: conf/spark-defaults.conf with absolute paths, the jars, this Python."""

import os
import sys
import tempfile
from pathlib import Path

from conf.clients import read_properties
from conf.settings import ROOT, Settings
from local.class_archive import archive_options
from local.fetch import jars
from local.tools import spark_home

__all__ = ["DEFAULTS", "spark_conf", "spark_environment"]

DEFAULTS = ROOT / "conf" / "spark-defaults.conf"
LOG4J = ROOT / "conf" / "log4j2.properties"
CLASS_PATH = "spark.driver.extraClassPath"
LONGEST_SOCKET_FOLDER = 50  # a socket's path may have 107 characters, its name takes up to 50


def spark_conf(settings: Settings, driver_memory: str, java_options: str = "") -> dict[str, str]:
    """Configuration of a driver; `driver_memory` such as "1g", `java_options` for further flags."""
    scratch = settings.data_dir / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    defaults = read_properties(DEFAULTS.read_text())
    options = [*_java_options(scratch), *archive_options(settings), *java_options.split()]
    return {
        **defaults,
        **_jars(settings, defaults.get(CLASS_PATH)),
        "spark.master": settings.spark_master,
        "spark.driver.memory": driver_memory,
        "spark.driver.extraJavaOptions": " ".join(options),
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.python.unix.domain.socket.dir": str(_short(scratch)),
        "spark.pyspark.python": sys.executable,
        "spark.pyspark.driver.python": sys.executable,
    }


def spark_environment() -> dict[str, str]:
    """Variables of a process that starts Spark: this pyspark and this Python, whatever else is installed."""
    return {
        "SPARK_HOME": str(spark_home()),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


def _jars(settings: Settings, class_path: str | None) -> dict[str, str]:
    """On the class path where driver and executors are one JVM, for of others Java archives no classes."""
    ours = [str(jar) for jar in jars(settings, "spark")]
    if not settings.spark_master.startswith("local"):
        return {"spark.jars": ",".join(ours)}
    return {"spark.jars": "", CLASS_PATH: os.pathsep.join([*ours, *filter(None, [class_path])])}


def _java_options(scratch: Path) -> list[str]:
    # what a killed JVM leaves lies in our folder, and nothing in /tmp/hsperfdata
    return [f"-Dlog4j2.configurationFile={LOG4J}", f"-Djava.io.tmpdir={scratch}", "-XX:-UsePerfData"]


def _short(scratch: Path) -> Path:
    return scratch if len(str(scratch)) <= LONGEST_SOCKET_FOLDER else Path(tempfile.gettempdir())
