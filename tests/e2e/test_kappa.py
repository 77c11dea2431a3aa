"""Lambda and Kappa side by side, on a part of the day."""

from pathlib import Path

import pytest

from bench.kappa.__main__ import side_by_side
from bench.kappa.report import markdown, rows
from bench.kappa.trial import Figures, Plan
from bench.kappa.usage import total
from conf.settings import get_settings
from demo.dataset import edits
from demo.replay import part_of_day

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

WAYS = {"Lambda": ("computed and promoted",), "Kappa": ("beside",)}


def spent(figures: Figures) -> set[str]:
    """The roles that took any CPU worth naming, from start to change."""
    phases = [figures.start, figures.filled, figures.published, *(made.phase for made in figures.changes)]
    return {role for phase in phases for role, cpu in phase.cpu.items() if cpu >= 0.05}


def test_both_give_the_same_answers_and_only_one_of_them_has_a_batch_layer(tmp_path: Path) -> None:
    day = list(part_of_day(edits(get_settings()), None, "02:00"))
    plan = Plan(day, size=6, shares=(0.7,), seconds=2.0)
    left, right, compared = side_by_side(plan, tmp_path, print, WAYS)
    assert compared.wrong == []
    assert compared.exact > 500 and compared.approximate > 100 and compared.between > 400
    assert left.events == right.events == len(day) + 2
    assert left.failed == right.failed == 0
    assert {"kafka", "redis", "speed", "api"} <= spent(right)
    assert "batch" in spent(left) and "batch" not in spent(right)
    assert total(right.published) == 0 and right.disk["master dataset"] == 0 < left.disk["master dataset"]
    assert [answer["manifest"] for answer in right.answers] == [None] * len(right.answers)
    assert {answer["manifest"]["version"] for answer in left.answers} == {1}
    (promoted,), (beside,) = left.changes, right.changes
    assert promoted.seen and beside.seen
    assert promoted.seen.reasons
    assert beside.seen.without < promoted.seen.without, (
        "old definitions go on while another job replays the log"
    )
    assert "batch" in promoted.phase.cpu
    assert len(markdown(rows(left, right), compared, "this one", left.events).splitlines()) > 20
