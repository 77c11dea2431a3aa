"""Whether an answer is right: equal where the measure is exact, inside its own bounds where it is not."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from demo.truth import Answer

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([0-9]{2}:[0-9]{2}:[0-9]{2}).*")


@dataclass(frozen=True)
class Verdict:
    """One measure of one answer against the truth."""

    measure: str
    told: str
    truth: str
    exact: bool
    right: bool


def judge(
    told: Mapping[str, Any], facts: Answer, truths: Mapping[str, Callable[[Answer], Any]]
) -> list[Verdict]:
    """A verdict for every measure of an answer; `truths` says what is true of each, by its name."""
    return [_verdict(name, value, truths[name](facts)) for name, value in told.items()]


def shown(value: Any) -> str:
    """A measure's value in a few characters."""
    if value is None:
        return "-"
    if isinstance(value, dict) and "estimate" in value:
        return f"~{value['estimate']:.0f}"
    if isinstance(value, dict):
        return (
            "~" + "/".join(f"{row['value']:.0f}" for row in value["quantiles"]) if value["quantiles"] else "-"
        )
    if isinstance(value, list):
        return f"~{value[0]['value'][:18]} {value[0]['estimate']}" if value else "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    time = _TIME.fullmatch(str(value))
    return time[1] if time else str(value)


def _verdict(name: str, told: Any, truth: Any) -> Verdict:
    right = _RULES.get(type(truth), _same)(told, truth)
    exact = not isinstance(truth, set | list | Counter)
    return Verdict(name, shown(told), _shown_truth(truth), exact, right)


def _same(told: Any, truth: Any) -> bool:
    return bool(told == truth)


def _same_time(told: Any, truth: datetime) -> bool:
    return told is not None and datetime.fromisoformat(told) == truth


def _unique(told: Any, truth: set[Any]) -> bool:
    return bool(told["lower"] <= len(truth) <= told["upper"])


def _quantiles(told: Any, truth: list[float]) -> bool:
    rows = [
        row["lower"] <= truth[ceil(row["rank"] * len(truth)) - 1] <= row["upper"] for row in told["quantiles"]
    ]
    return told["count"] == len(truth) and all(rows) and bool(rows) == bool(truth)


def _top(told: Any, truth: "Counter[str]") -> bool:
    bounded = all(row["lower"] <= truth[row["value"]] <= row["upper"] for row in told)
    missed = [count for value, count in truth.items() if value not in {row["value"] for row in told}]
    return bounded and (not missed or max(missed) <= told[-1]["upper"])


_RULES: Mapping[type, Any] = {datetime: _same_time, set: _unique, list: _quantiles, Counter: _top}


def _shown_truth(truth: Any) -> str:
    if isinstance(truth, datetime):
        return truth.strftime("%H:%M:%S")
    if isinstance(truth, Counter):
        return " ".join(str(part) for part in truth.most_common(1)[0])[:24] if truth else "-"
    if isinstance(truth, set):
        return str(len(truth))
    if isinstance(truth, list):
        return (
            "/".join(f"{truth[ceil(rank * len(truth)) - 1]:.0f}" for rank in (0.5, 0.9, 0.99))
            if truth
            else "-"
        )
    return "-" if truth is None else f"{truth:.2f}" if isinstance(truth, float) else str(truth)
