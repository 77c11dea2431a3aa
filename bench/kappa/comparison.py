"""Whether two architectures give the same answers: each against plain Python, and one against the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench.kappa.questions import Expected
from demo.judge import judge
from demo.wikipedia import TRUTH

__all__ = ["Comparison", "agree"]

Json = Mapping[str, Any]


@dataclass
class Comparison:
    """How many measures were compared, and a line for each that was wrong."""

    exact: int = 0
    approximate: int = 0
    between: int = 0
    wrong: list[str] = field(default_factory=list)

    def against_truth(self, who: str, title: str, answer: Json, expected: Expected) -> None:
        """Every measure of every row: equal if exact, else in its bounds."""
        if not answer["complete"]:
            self._refuse(who, title, f"incomplete: {answer['reasons']}")
        begins = [datetime.fromisoformat(row["from"]) for row in answer["rows"]]
        if begins != [begin for begin, _ in expected]:
            return self._refuse(
                who, title, f"{len(begins)} rows, not the {len(expected)} that were asked for"
            )
        for row, (begin, facts) in zip(answer["rows"], expected, strict=True):
            for verdict in judge(row["measures"], facts, TRUTH):
                self.exact += verdict.exact
                self.approximate += not verdict.exact
                if not verdict.right:
                    what = f"{verdict.measure} of {begin:%d %H:%M}: {verdict.told} is not {verdict.truth}"
                    self._refuse(who, title, what)

    def with_each_other(self, title: str, left: Json, right: Json) -> None:
        """Measure by measure; `against_truth` has held the number of rows against what was asked."""
        for one, other in zip(left["rows"], right["rows"], strict=False):
            for name, value in one["measures"].items():
                self.between += 1
                if not agree(value, other["measures"][name]):
                    self._refuse("both", title, f"{name}: {value} and {other['measures'][name]}")

    def _refuse(self, who: str, title: str, what: str) -> None:
        self.wrong.append(f"{who}, {title}: {what}")


def agree(left: Any, right: Any) -> bool:
    """Equal; of quantiles and most frequent values, bounds that share a value.

    Estimates of distinct values are equal too: the registers are the same however the events were split.
    """
    if isinstance(left, dict) and "quantiles" in left:
        return left["count"] == right["count"] and _overlap(left["quantiles"], right["quantiles"], "rank")
    if isinstance(left, list):
        return bool(left) == bool(right) and _overlap(left, right, "value")
    return bool(left == right)


def _overlap(left: list[Json], right: list[Json], by: str) -> bool:
    others = {row[by]: row for row in right}
    pairs = [(row, others[row[by]]) for row in left if row[by] in others]
    return all(one["lower"] <= other["upper"] and other["lower"] <= one["upper"] for one, other in pairs)
