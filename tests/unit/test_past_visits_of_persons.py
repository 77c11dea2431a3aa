"""Visits of persons as of the past: as the persons of the version before, said so where pairs came since."""

from pathlib import Path
from typing import Any

import pytest

from core import Count, Identity, Source, View, Visits
from core.application import BoundSource
from core.contracts import Contract
from core.visits import visits
from tests.past_kit import CONTRACT, Kind, Made, event

DECLARED = [Identity("user", "same_as", "undone"), Visits(user="person")]
SOURCE = Source("visitors", contract="events", declares=DECLARED)
VIEW = View("by_page", SOURCE, key=("page",), measures={"n": Count(), "visits": visits()})
BOUND = BoundSource.of(SOURCE, Contract.load(CONTRACT), {"by_page": VIEW})
FORMER = "visits counts by persons as they were before newer pairs of ids came"


def asked(folder: Path, **said: Any) -> dict[str, Any]:
    """Two ids by turns, and what the last event says of them; nothing is published."""
    made = Made(folder, Kind(BOUND, lambda _: (), {}))
    events = [event(n, "ab"[n % 2], 20 * n) for n in range(5)]
    made.master.append([*events, event(5, "a", 100, **said)], [])
    made.master.cut()
    return made.answer("by_page", {"page": "p"}, made.master.end)


@pytest.mark.parametrize(
    ("said", "reasons"),
    [({}, []), ({"same_as": "b"}, [FORMER]), ({"same_as": "b", "undone": True}, [])],
)
def test_visits_are_those_of_the_version_before(
    tmp_path: Path, said: dict[str, Any], reasons: list[str]
) -> None:
    answer = asked(tmp_path, **said)
    assert answer["rows"][0]["measures"] == {"n": 6, "visits": 5}
    assert answer["reasons"] == reasons and answer["complete"] == (not reasons)
