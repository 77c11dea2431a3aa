"""The speed job of a source, for spark-submit. It runs until it is stopped.

spark-submit --properties-file conf/spark-defaults.conf speed_layer/job.py [--source NAME] [--until-caught-up]
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event
from types import FrameType

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from conf.settings import Settings, SettingsError, get_settings
from core.application import Application
from core.errors import LambdaError, LeaseHeld
from core.folders import Folders
from core.leases import hold
from core.logs import Logger, get_logger
from speed_layer.clients import RedisAddress
from speed_layer.log import KafkaLog
from speed_layer.micro_batches import Stopped
from speed_layer.session import build_session
from speed_layer.speed_job import SpeedJob

__all__ = ["main"]

_LEASE_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job; 1 after an error that it could name, which is one line of the log."""
    options, log, stop = _parse(arguments), get_logger("speed"), Event()
    try:
        _work(options, get_settings(), log, stop)
    except (LambdaError, SettingsError) as error:
        log.error("speed_failed", error=type(error).__name__, reason=str(error))
        return 1
    except Stopped:
        pass
    log.info("speed_stopped")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="speed_layer/job.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--source", help="name of the source; may be left out if the application has one")
    parser.add_argument(
        "--until-caught-up", action="store_true", help="end once all is written that the log holds now"
    )
    return parser.parse_args(arguments)


def _work(options: argparse.Namespace, settings: Settings, log: Logger, stop: Event) -> None:
    bound = Application.load(settings.application, settings.contracts_dir).source(options.source)
    name = bound.source.name
    with ExitStack() as stack:
        lease = Folders(settings.data_dir, name).leases / "speed"
        _patiently_hold(stack, lease, f"the speed job of {name}")
        spark = build_session(f"speed {name}")
        stack.callback(_stop_spark, spark)
        _stop_on_signals(stop)
        source = KafkaLog(settings, bound.source.topic)
        stack.callback(source.close)
        redis = RedisAddress.of(settings)
        SpeedJob(
            spark, settings, bound, source, redis, log.bind(source=name), stop, options.until_caught_up
        ).run()


def _patiently_hold(stack: ExitStack, lease: Path, work: str) -> None:
    """A job that was told to stop holds its lease a little longer. Raises `LeaseHeld` for one that runs."""
    deadline = time.monotonic() + _LEASE_SECONDS
    while True:
        try:
            stack.enter_context(hold(lease, work))
            return
        except LeaseHeld:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.5)


def _stop_spark(spark: SparkSession) -> None:
    """The JVM may be gone already: it got the same signal."""
    with suppress(Py4JError, OSError):
        spark.stop()


def _stop_on_signals(stop: Event) -> None:
    """In place of pyspark's own handler, which would raise in the middle of a call to the JVM."""

    def handle(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


if __name__ == "__main__":
    sys.exit(main())
