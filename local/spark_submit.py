"""`python -m local.spark_submit SCRIPT [ARGS]`: spark-submit with this platform's jars, memory and Python.

The same by hand, from the clone's folder:

    . .venv/bin/activate
    spark-submit --properties-file conf/spark-defaults.conf --driver-memory 2g SCRIPT [ARGS]
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from conf.settings import ROOT, Settings, get_settings
from core.errors import LambdaError
from local.spark import DEFAULTS, spark_conf, spark_environment
from local.tools import spark_home

__all__ = ["job_command", "submit_command"]


@dataclass(frozen=True)
class _Driver:
    """A driver's heap, its JVM's flags, and how much it yields to others (0 to 19)."""

    memory: str
    java_options: str
    niceness: int


def job_command(script: str, *arguments: str) -> list[str]:
    """This module as a command; its process becomes spark-submit."""
    return [sys.executable, "-m", "local.spark_submit", script, *arguments]


def submit_command(settings: Settings, script: str, *arguments: str) -> list[str]:
    """The command line. A relative script is looked for in the working directory, then in the clone."""
    driver = _driver(settings, script)
    options = spark_conf(settings, driver.memory, driver.java_options)
    flags = [part for name, value in options.items() for part in ("--conf", f"{name}={value}")]
    path = script if Path(script).exists() else str(ROOT / script)
    return [
        str(spark_home() / "bin" / "spark-submit"),
        "--properties-file",
        str(DEFAULTS),
        *flags,
        path,
        *arguments,
    ]


def _driver(settings: Settings, script: str) -> _Driver:
    """A recompute takes what fresh answers leave; where nothing else runs, that is all there is."""
    if "speed_layer" in Path(script).parts:
        return _Driver(settings.spark_driver_memory, settings.spark_java_options, 0)
    return _Driver(settings.batch_driver_memory, settings.batch_java_options, settings.batch_nice)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        settings = get_settings()
        command = submit_command(settings, *arguments)
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    os.nice(_driver(settings, arguments[0]).niceness)
    os.execve(command[0], command, os.environ | spark_environment())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
