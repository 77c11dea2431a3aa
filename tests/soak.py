"""`make soak`: many thousands of schedules of the model, bad records of many seeds, every fault with SIGKILL.

Each round is a run of pytest with a seed of its own, so that a round that failed can be run again alone.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_ROUND = 200
_FAULTS = "faults"
_MODELS = ("model", "model_corrected", "model_persons")


@dataclass(frozen=True)
class Round:
    """One run of pytest: what it is called, its arguments and its settings."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """What to type to run it again."""
        told = [f"{name}={value}" for name, value in self.environment.items()]
        return " ".join([*told, "python -m pytest", *self.arguments])

    def run(self) -> bool:
        """Whether it passed; what it said is shown if it did not."""
        shown = None if self.name == _FAULTS else subprocess.PIPE
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *self.arguments],
            env={**os.environ, **self.environment}, stdout=shown, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            sys.stdout.write(f"{done.stdout or ''}\nFAILED {self.name}; again: {self.command}\n")
        return done.returncode == 0


def rounds(schedules: int, seed: int, faults: bool) -> Iterator[Round]:
    count = -(-schedules // _ROUND)
    for number in range(count):
        yield model(min(_ROUND, schedules - number * _ROUND), seed + number, f"{number + 1} of {count}")
        if number % 4 == 0:
            yield bad_records(seed + number)
    if faults:
        yield Round(_FAULTS, ["tests/e2e", "tests/integration", "-m", "soak", "-s", "--timeout", "7200"])


def model(schedules: int, seed: int, which: str) -> Round:
    arguments = [*(f"tests/unit/test_{kind}.py" for kind in _MODELS), "-q", f"--hypothesis-seed={seed}"]
    return Round(
        f"{schedules} schedules, {which}, seed {seed}", arguments, {"MODEL_SCHEDULES": str(schedules)}
    )


def bad_records(seed: int) -> Round:
    settings = {"BAD_SEED": str(seed), "BAD_RECORDS": "50000"}
    return Round(f"50000 bad records, seed {seed}", ["tests/unit/test_bad_records.py", "-q"], settings)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--no-faults", action="store_true", help="leave the real engines out")
    options = parser.parse_args()
    failed, began = 0, time.monotonic()
    for each in rounds(options.schedules, options.seed, not options.no_faults):
        passed = each.run()
        failed += not passed
        took = time.monotonic() - began
        sys.stdout.write(f"{'passed' if passed else 'FAILED'} {each.name} ({took:.0f} s so far)\n")
        sys.stdout.flush()
    sys.stdout.write(f"{failed} rounds failed\n")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
