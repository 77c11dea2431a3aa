"""`python -m bench`: every figure, one after the other. `python -m bench NAME ...` chooses.

Each benchmark is a module with a `main`, or a package that is run; it has ports and a folder of its own, and
states its load.
"""

import argparse
import ast
import subprocess
import sys
from pathlib import Path

NAMES = ("freshness", "speed", "recompute", "serving", "recovery", "year", "keys", "live", "kappa")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, epilog="\n\n".join(map(_told, NAMES)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all where none is named")
    names: list[str] = parser.parse_args(arguments).names
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = [name for name in names or NAMES if _run(name)]
    if failed:
        print(f"did not finish: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _told(name: str) -> str:
    """What a benchmark says of itself, its aim included, without the imports that running it takes."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return f"{name}: {ast.get_docstring(ast.parse(source))}"


def _run(name: str) -> int:
    print(f"\n== {name}", flush=True)
    return subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
