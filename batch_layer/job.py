"""The batch job of a source, for spark-submit.

spark-submit --properties-file conf/spark-defaults.conf batch_layer/job.py [options]
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from pyspark.errors import PySparkException
from redis import Redis

from batch_layer.boundary import RedisSpeed
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from conf.clients import redis_options
from conf.settings import Settings, SettingsError, get_settings
from core.application import Application
from core.errors import LambdaError
from core.layout import Layout
from core.leases import hold
from core.logs import Logger, get_logger

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """Runs the job; 1 after an error that it could name, which is one line of the log."""
    options, log = _parse(arguments), get_logger("batch")
    try:
        _work(options, settings or get_settings(), log)
    except (LambdaError, SettingsError) as error:
        return _failed(log, error, str(error))
    except PySparkException as error:
        # what a task raised, with the stack of its process: one line of the log all the same
        return _failed(log, error, str(error).strip()[:2000])
    return 0


def _failed(log: Logger, error: Exception, reason: str) -> int:
    log.error("batch_failed", error=type(error).__name__, reason=reason)
    return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="batch_layer/job.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--source", help="one source; without it every source of the application")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="run again so often; without it once")
    parser.add_argument("--archive-only", action="store_true", help="log to master dataset, and nothing else")
    parser.add_argument(
        "--follow", action="store_true", help="with --archive-only: go on archiving what comes"
    )
    parser.add_argument("--force", action="store_true", help="publish also what readers have, or were rolled back from")
    options = parser.parse_args(arguments)
    if options.follow and not options.archive_only:
        parser.error("--follow goes with --archive-only")
    return options


def _work(options: argparse.Namespace, settings: Settings, log: Logger) -> None:
    application = Application.load(settings.application, settings.contracts_dir)
    names = [application.source(options.source).source.name] if options.source else list(application.sources)
    with ExitStack() as stack:
        spark = build_session("batch")
        stack.callback(spark.stop)
        redis = stack.enter_context(Redis.from_url(settings.redis_address, **redis_options(settings)))
        runs = []
        for name in names:
            bound, its_log = application.source(name), log.bind(source=name)
            kafka = stack.enter_context(open_log(settings, bound.source.topic, its_log))
            speed = RedisSpeed(redis, Layout(settings.namespace, name), its_log)
            runs.append(BatchRun(spark, settings, bound, kafka, speed, its_log))
        _archive(runs, options) if options.archive_only else _publish(runs, options)


def _publish(runs: Sequence[BatchRun], options: argparse.Namespace) -> None:
    for _ in _rounds(options.every):
        for run in runs:
            run.run(options.force)


def _archive(runs: Sequence[BatchRun], options: argparse.Namespace) -> None:
    if not options.follow:
        for run in runs:
            run.archive_once()
        return
    with ExitStack() as stack:
        for run in runs:
            stack.enter_context(
                hold(run.folders.leases / "archive", f"the archiver of {run.bound.source.name}")
            )
        for _ in _rounds(options.every or 5.0):
            for run in runs:
                run.drain()


def _rounds(every: float | None) -> Iterator[None]:
    """Once, or for ever: each round begins `every` seconds after the last one began, or when that ended."""
    while True:
        began = time.monotonic()
        yield
        if every is None:
            return
        time.sleep(max(0.0, began + every - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
