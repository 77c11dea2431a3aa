"""`python -m bench`: every figure, one after the other. `python -m bench NAME ...` chooses.

Each benchmark is a module with a `main`, or a package that is run; it has ports and a folder of its own, and
states its load.
"""

import subprocess
import sys

NAMES = ("freshness", "speed", "recompute", "serving", "recovery", "year", "keys", "live", "kappa")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = [name for name in names or NAMES if _run(name)]
    if failed:
        print(f"did not finish: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str) -> int:
    print(f"\n== {name}", flush=True)
    return subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
