"""How a benchmark prints: one line a figure, with what it was measured on."""

import os
import platform
from collections.abc import Sequence
from math import ceil


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def percentiles(values: Sequence[float], factor: float = 1.0) -> str:
    """p50, p95, p99 and the largest, each times `factor`."""
    named = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    shown = "  ".join(f"{name} {percentile(values, share) * factor:,.1f}" for name, share in named.items())
    return f"{shown}  (n={len(values)})"


def row(what: str, figure: str, unit: str = "") -> None:
    print(f"{what:<58} {figure} {unit}".rstrip(), flush=True)


def system() -> None:
    """The machine and its load, for the figures depend on both."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    row("machine", f"{os.cpu_count()} cores, Python {platform.python_version()}, load {load}")
