"""`python -m local.spark_submit SCRIPT [ARGS]`: spark-submit with this platform's jars, memory and Python.

The same by hand, from the clone's folder:

    . .venv/bin/activate
    spark-submit --properties-file conf/spark-defaults.conf --driver-memory 2g SCRIPT [ARGS]
"""

import os
import sys
from pathlib import Path

from conf.settings import ROOT, Settings, get_settings
from core.errors import LambdaError
from local.spark import DEFAULTS, spark_conf, spark_environment
from local.tools import spark_home

__all__ = ["submit_command"]


def submit_command(settings: Settings, script: str, *arguments: str) -> list[str]:
    """The command line. A relative script is looked for in the working directory, then in the clone."""
    options = spark_conf(settings, *_driver(settings, script))
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


def _driver(settings: Settings, script: str) -> tuple[str, str]:
    """Memory and JVM flags of a driver."""
    if "speed_layer" in Path(script).parts:
        return settings.spark_driver_memory, settings.spark_java_options
    return settings.batch_driver_memory, settings.batch_java_options


def _niceness(settings: Settings, script: str) -> int:
    """A recompute takes what fresh answers leave; where nothing else runs, that is all there is."""
    return settings.batch_nice if "batch_layer" in Path(script).parts else 0


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        command = submit_command(get_settings(), *arguments)
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    os.nice(_niceness(get_settings(), arguments[0]))
    os.execve(command[0], command, os.environ | spark_environment())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
