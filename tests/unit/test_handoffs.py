"""Records of hand-off checks: verdicts, alarms, and finding one again."""

from pathlib import Path

import pytest

from core.entries import EntryLog
from core.equality import Cause, Difference, Finding
from core.handoffs import Handoff, Handoffs

EQUAL = Finding("edits", "n", 5, 5, 0, 3, 0)
LATE = Finding("edits", "n", 5, 6, 1, 1, 1, Cause.DUPLICATE)
KEY = Difference("1:x", 3, 0, 5, 4)
WRONG = Finding("edits", "n", 5, 4, -1, 3, 1, Cause.UNKNOWN, (KEY,))


def handoff(version: int, *findings: Finding, reason: str | None = None) -> Handoff:
    return Handoff(version, version, version + 1, "2026-01-01T00:00:00Z", "g1", reason, findings=findings)


@pytest.fixture
def records(tmp_path: Path) -> Handoffs:
    return Handoffs(EntryLog(tmp_path))


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (handoff(1, EQUAL), "equal"),
        (handoff(1, EQUAL, LATE), "explained"),
        (handoff(1, LATE, WRONG), "unknown"),
        (handoff(1, reason="Redis is away"), "not possible"),
    ],
)
def test_a_verdict_is_the_gravest_of_its_findings(made: Handoff, verdict: str) -> None:
    assert made.verdict == verdict and made.entry()["possible"] == (made.reason is None)


def test_an_alarm_names_measure_and_place() -> None:
    told = handoff(3, WRONG).alarm()
    assert "segments 3 to 3" in told and "edits.n at 1:x, segment 3" in told


def test_alarms_are_counted_over_all_records(records: Handoffs) -> None:
    for each in (handoff(1, WRONG), handoff(2, EQUAL), handoff(3, WRONG)):
        records.append(each)
    assert [record["alarms"] for record in records.last(10)] == [2, 1, 1]
    assert records.newest() == records.last(1)[0]


def test_the_newest_record_of_a_version_is_found(records: Handoffs) -> None:
    assert records.newest() is None and records.of_version(1) is None
    for version in (1, 2, 2, 2, 5, 6):
        records.append(handoff(version))
    found = {version: records.of_version(version) for version in range(8)}
    assert {v: r and r["number"] for v, r in found.items()} == {
        0: None, 1: 1, 2: 4, 3: None, 4: None, 5: 5, 6: 6, 7: None,
    }  # fmt: skip


def test_a_record_is_read_as_it_was_kept(records: Handoffs, tmp_path: Path) -> None:
    kept = records.append(handoff(1, WRONG))
    again = Handoffs(EntryLog(tmp_path)).read(1)
    assert again == kept and (again["from"], again["to"], again["verdict"]) == (1, 2, "unknown")
    assert again["findings"][0]["keys"] == [
        {"key": "1:x", "segment": 3, "bucket": 0, "expected": 5, "found": 4}
    ]
