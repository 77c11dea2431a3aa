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

from batch_layer.backfill import Backfill
from batch_layer.boundary import RedisSpeed
from batch_layer.clients import RedisAddress
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from batch_layer.speed_state import RedisSpeedState
from conf.clients import redis_options
from conf.settings import Settings, SettingsError, get_settings
from core.application import Application
from core.errors import LambdaError
from core.instants import parse_instant
from core.layout import Layout
from core.leases import hold
from core.logs import Logger, get_logger

__all__ = ["main", "open_runs"]


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
    parser.add_argument(
        "--force", action="store_true", help="publish also what readers have, or were rolled back from"
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--incremental", action=argparse.BooleanOptionalAction, default=None,
        help="add what is new to the last version where that is exact; by default LAMBDA_RECOMPUTE_MODE says",
    )  # fmt: skip
    modes.add_argument(
        "--backfill", nargs=2, type=_moment, metavar=("FROM", "TO"),
        help="make a range of event time anew, up to the boundary that readers use, and nothing else",
    )  # fmt: skip
    parser.add_argument(
        "--view", action="append", default=[], help="with --backfill: this view only; repeatable"
    )
    parser.add_argument(
        "--only-in-range", metavar="WHY",
        help="with --backfill: vouch that a changed meaning changes no number outside the range",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.follow and not options.archive_only:
        parser.error("--follow goes with --archive-only")
    if options.backfill and (options.archive_only or options.every):
        parser.error("--backfill is done once, and archives nothing")
    if (options.view or options.only_in_range) and not options.backfill:
        parser.error("--view and --only-in-range go with --backfill")
    return options


def _moment(text: str) -> int:
    """Seconds since 1970 of an ISO 8601 time with a zone, or of a date (midnight in UTC)."""
    try:
        return parse_instant(text if "T" in text else f"{text}T00:00Z") // 1_000_000
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date (2015-09-12) and no time with a zone (2015-09-12T06:00:00Z)"
        ) from error


def _work(options: argparse.Namespace, settings: Settings, log: Logger) -> None:
    with ExitStack() as stack:
        runs = open_runs(stack, settings, options.source, log)
        if options.archive_only:
            _archive(runs, options)
        elif options.backfill:
            _backfill(runs, options)
        else:
            _publish(runs, options)


def open_runs(stack: ExitStack, settings: Settings, source: str | None, log: Logger) -> list[BatchRun]:
    """The batch runs of one source, or of all, with a session and clients that end with `stack`."""
    application = Application.load(settings.application, settings.contracts_dir)
    names = [application.source(source).source.name] if source else list(application.sources)
    spark = build_session("batch")
    stack.callback(spark.stop)
    redis = stack.enter_context(Redis.from_url(settings.redis_address, **redis_options(settings)))
    runs = []
    for name in names:
        bound, its_log = application.source(name), log.bind(source=name)
        kafka = stack.enter_context(open_log(settings, bound.source.topic, its_log))
        layout = Layout(settings.namespace, name)
        speed, state = RedisSpeed(redis, layout, its_log), RedisSpeedState(RedisAddress.of(settings), layout)
        runs.append(BatchRun(spark, settings, bound, kafka, speed, its_log, state=state))
    return runs


def _backfill(runs: Sequence[BatchRun], options: argparse.Namespace) -> None:
    start, end = options.backfill
    for run in runs:
        own = tuple(view for view in options.view if len(runs) == 1 or view in run.bound.views)
        if own or not options.view:
            Backfill(start, end, own, options.only_in_range).publish(run)


def _publish(runs: Sequence[BatchRun], options: argparse.Namespace) -> None:
    for _ in _rounds(options.every):
        for run in runs:
            run.run(options.force, options.incremental)


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
