"""`python -m bench.kappa`: Lambda and Kappa, one after the other, on the same real events.

Both run the same definitions; Kappa is the platform without its batch job. Every answer is held against plain
Python and against the other architecture's: exits 1 if one differs. `--days N` takes the day N times.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.freshness import own_settings
from bench.kappa.comparison import Comparison
from bench.kappa.questions import Question, questions
from bench.kappa.report import markdown, rows
from bench.kappa.trial import Figures, Plan, Trial
from conf.settings import Settings, get_settings
from core.errors import LambdaError
from demo.dataset import edits
from demo.replay import part_of_day
from demo.truth import Truth
from local.fetch import fetch
from local.signals import Told, interruptible

__all__ = ["compare", "main", "side_by_side"]

WAYS: Mapping[str, Sequence[str]] = {
    "Lambda": ("computed and promoted",),
    "Kappa": ("beside", "in place"),
}
Say = Callable[[str], None]


def side_by_side(
    plan: Plan, folder: Path, say: Say, ways: Mapping[str, Sequence[str]] = WAYS
) -> tuple[Figures, Figures, Comparison]:
    """Both architectures on the same events, each in a folder below this one; and what was compared."""
    asked, events = questions(plan.day, plan.days), plan.events()
    say(f"{len(events):,} events, {len(asked)} questions; the truth comes from plain Python")
    truth = Truth(events)
    left, right = (
        Trial(name, _settings(folder / name.lower(), say), plan, ways[name], _named(name, say)).run(
            asked, truth
        )
        for name in ("Lambda", "Kappa")
    )
    say("holding answers against the truth, and against each other")
    return left, right, compare(left, right, asked, truth)


def compare(left: Figures, right: Figures, asked: Sequence[Question], truth: Truth) -> Comparison:
    """Every answer of both; and every answer that a reader was given while definitions changed."""
    compared = Comparison()
    for question, one, other in zip(asked, left.answers, right.answers, strict=True):
        expected = question.expected(truth)
        compared.against_truth(left.name, question.title, one, expected)
        compared.against_truth(right.name, question.title, other, expected)
        compared.with_each_other(question.title, one, other)
    for figures in (left, right):
        for made in figures.changes:
            if made.seen is None or made.seen.wrong:
                compared.wrong.append(f"{figures.name}: wrong answers while definitions changed, {made.way}")
    return compared


def _settings(folder: Path, say: Say) -> Settings:
    """Redis holds all of history for Kappa, and twice while definitions change.

    The batch job is as nice as the speed job: what a recompute takes is held against a replay.
    """
    say(f"working in {folder}")
    own = {"redis_maxmemory": "8gb", "cut_interval": 5, "batch_nice": 0}
    return own_settings(folder).model_copy(update=own)


def _named(name: str, say: Say) -> Say:
    return lambda text: say(f"{name}: {text}")


def machine() -> str:
    """The machine and its load, for the figures depend on both."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, load average {load}"


def _plan(options: argparse.Namespace) -> Plan:
    settings = get_settings()
    fetch(settings)
    day = list(part_of_day(edits(settings), None, options.to))
    return Plan(day, options.days, options.rate, options.size)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.kappa", description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=1, help="how often the day of 39,244 edits is taken")
    parser.add_argument("--to", metavar="HH:MM", help="leave out what happened then or later")
    parser.add_argument("--rate", type=float, default=200, help="events a second, while freshness is timed")
    parser.add_argument("--size", type=int, default=60, help="edits that are timed")
    parser.add_argument("--report", type=Path, help="where the table goes; else kappa.md in the data folder")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options, began = _arguments(argv), time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {text}", flush=True)

    before = machine()
    try:
        with (
            interruptible(),
            tempfile.TemporaryDirectory(prefix="kappa-", ignore_cleanup_errors=True) as folder,
        ):
            left, right, compared = side_by_side(_plan(options), Path(folder), say)
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Told):
        return 130
    text = markdown(rows(left, right), compared, f"{before} before, {machine()} after", left.events)
    path = options.report or get_settings().data_dir / "kappa.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(f"\n{text}\nwritten to {path}")
    return 1 if compared.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
