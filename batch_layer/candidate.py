"""Changed definitions beside those that readers use: build, diff, promote or drop them. For spark-submit.

spark-submit --properties-file conf/spark-defaults.conf batch_layer/candidate.py build|diff|promote|drop|list
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from pyspark.errors import PySparkException

from batch_layer.candidates import Candidate, candidates, drop
from batch_layer.comparison import Change, Comparison, compare
from batch_layer.job import open_runs
from batch_layer.run import BatchRun
from conf.settings import Settings, SettingsError, get_settings
from core.buckets import NAMES
from core.errors import CandidateError, LambdaError, NotExact
from core.keys import parse_key
from core.logs import get_logger

__all__ = ["main", "report"]


def main(arguments: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """Runs one command; 1 after an error that it could name, which is one line of the log."""
    options, log = _parse(arguments), get_logger("candidate")
    try:
        with ExitStack() as stack:
            for run in open_runs(stack, settings or get_settings(), options.source, log):
                for line in _COMMANDS[options.command](run, options):
                    sys.stdout.write(line + "\n")
    except (LambdaError, SettingsError, PySparkException) as error:
        log.error("candidate_failed", error=type(error).__name__, reason=str(error).strip()[:2000])
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="batch_layer/candidate.py", description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=list(_COMMANDS))
    parser.add_argument("--source", help="one source; without it every source of the application")
    parser.add_argument("--view", action="append", default=[], help="diff: this view only; repeatable")
    parser.add_argument("--top", type=int, default=3, help="diff: how many differences of each kind to show")
    parser.add_argument("--semantics", metavar="HASH", help="drop: this candidate, not the application's own")
    return parser.parse_args(arguments)


def _build(run: BatchRun, _: argparse.Namespace) -> Iterator[str]:
    made = Candidate(run).build()
    yield (
        f"candidate {made.semantics} of {made.source}: built at cut {made.boundary}, as version "
        f"{made.origin['beside']} is; {made.counts['counted']} events. Next: diff, then promote or drop"
    )


def _diff(run: BatchRun, options: argparse.Namespace) -> Iterator[str]:
    return report(Candidate(run), options.view, options.top)


def _promote(run: BatchRun, _: argparse.Namespace) -> Iterator[str]:
    made = Candidate(run).promote()
    yield (
        f"version {made.version} of {made.source} has definitions {made.semantics} now, in place of version "
        f"{made.origin['replaces']}. Restart speed job, batch job and API with this application"
    )


def _drop(run: BatchRun, options: argparse.Namespace) -> Iterator[str]:
    semantics = options.semantics or run.semantics
    drop(run.folders, semantics)
    yield f"candidate {semantics} of {run.folders.source}: dropped"


def _list(run: BatchRun, _: argparse.Namespace) -> Iterator[str]:
    for semantics, made in candidates(run.folders).items():
        yield f"candidate {semantics} of {made.source}: built {made.created_at} at cut {made.boundary}"


_COMMANDS: Mapping[str, Callable[[BatchRun, argparse.Namespace], Iterator[str]]] = {
    "build": _build,
    "diff": _diff,
    "promote": _promote,
    "drop": _drop,
    "list": _list,
}


def report(candidate: Candidate, views: Sequence[str] = (), top: int = 3) -> Iterator[str]:
    """A candidate against the version it was built beside, as lines of text.

    Raises CandidateError if files of that version are gone, UnknownName for a view that neither has.
    """
    old, new = candidate.beside(), candidate.base()
    yield (
        f"version {old.manifest.version} and candidate {new.manifest.semantics}, both up to cut "
        f"{new.manifest.boundary}; {_counts(old.manifest.counts)}, then {_counts(new.manifest.counts)}"
    )
    for name in views or sorted({*old.manifest.views, *new.manifest.views}):
        if name in old.manifest.views and name not in new.manifest.views:
            yield f"view {name}: gone"
            continue
        view = candidate.run.bound.view(name)
        if name not in old.manifest.views:
            yield f"view {name}: new"
            continue
        try:
            tables = old.table(name), new.table(name)
        except NotExact as error:
            raise CandidateError(f"{error.why}; build the candidate again: it takes what is new") from error
        yield from _lines(compare(*tables, view, top))


def _counts(counts: Mapping[str, int]) -> str:
    return f"{counts['counted']} events counted, {counts['refused']} records refused"


def _lines(found: Comparison) -> Iterator[str]:
    tile = NAMES.get(found.tile) or f"{found.tile // 60} minutes"
    yield (
        f"view {found.view}: rows of one {tile}: {found.both} in both, {found.old} only in the old, "
        f"{found.new} only in the new"
    )
    yield from (f"  only in the old: {_key(key)} {bucket}" for key, bucket in found.only_old)
    yield from (f"  only in the new: {_key(key)} {bucket}" for key, bucket in found.only_new)
    yield from (f"  {name}: gone" for name in found.gone)
    yield from (f"  {name}: new" for name in found.added)
    for name, (count, largest) in found.changes.items():
        yield f"  {name}: {count} rows differ" if count else f"  {name}: the same"
        yield from (f"    {_change(change)}" for change in largest)


def _change(change: Change) -> str:
    apart = f" ({change.size:g} apart)" if change.size else ""
    return f"{_key(change.key)} {change.bucket}: {change.old} -> {change.new}{apart}"


def _key(text: str) -> str:
    return " / ".join("NULL" if part is None else part for part in parse_key(text)) or "(everything)"


if __name__ == "__main__":
    sys.exit(main())
