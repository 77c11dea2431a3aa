"""What a difference between two versions of a row is, and how it is told."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from batch_layer import job
from batch_layer.candidate import _lines
from batch_layer.comparison import Change, Comparison, _changes, _Item, _shared
from core import Count, Quantiles, Source, Sum, Uniques, View
from core.views import CompiledView

NOON = datetime(2015, 9, 12, 12, tzinfo=UTC)
KEY = "2:en"


def view() -> CompiledView:
    measures = {"edits": Count(), "added": Sum("added"), "users": Uniques("user"), "size": Quantiles("added")}
    columns = {"user": "string", "added": "long", "event_time": "timestamp"}
    return View("v", Source("s", contract="s"), measures=measures).compile(columns)


def items() -> list[_Item]:
    columns = iter(view().columns)
    named = enumerate(view().measures.items())
    return [_Item(name, measure, (next(columns),), at) for at, (name, measure) in named]


def partial(users: str, added: list[int]) -> tuple[Any, ...]:
    made, compiled = view().zero, view()
    for user, number in zip(users, added, strict=True):
        lifted = {"edits": 1, "added": number, "users": user, "size": number}
        made = compiled.merge(made, compiled.lift(lifted))
    return made[0], Decimal(made[1]), *made[2:]


def differing(old: tuple[Any, ...], new: tuple[Any, ...]) -> dict[str, tuple[str, str, float]]:
    rows = _changes((KEY, NOON, *old, *new, True, True), items(), 4)
    return {row[0]: row[3:] for row in rows}


def test_rows_of_the_same_events_do_not_differ_in_whatever_order_they_came() -> None:
    assert differing(partial("abc", [1, 2, 3]), partial("cba", [3, 2, 1])) == {}
    assert differing((0, Decimal(0), None, None), (0, Decimal(0), b"", b"")) == {}


def test_each_measure_tells_both_figures_and_how_far_they_are_apart() -> None:
    found = differing(partial("ab", [1, 2]), partial("abc", [1, 2, 40]))
    assert found["edits"] == ("2", "3", 1.0) and found["added"] == ("3", "43", 40.0)
    assert found["size"] == ("2", "3", 1.0) and found["users"][2] == pytest.approx(1, abs=0.01)


def test_a_difference_is_told_by_key_bucket_and_size() -> None:
    largest = [Change("2:en-", "2015-09-12T12:00:00", "3", "43", 40.0), Change("", "t", "a", "b", 0.0)]
    changes = {"added": (7, largest), "edits": (0, [])}
    found = Comparison("v", 3600, 9, 1, 0, [(KEY, "12:00")], [], changes, ["gone"], ["fresh"])
    assert list(_lines(found)) == [
        "view v: rows of one hour: 9 in both, 1 only in the old, 0 only in the new",
        "  only in the old: en 12:00",
        "  gone: gone",
        "  fresh: new",
        "  added: 7 rows differ",
        "    en / NULL 2015-09-12T12:00:00: 3 -> 43 (40 apart)",
        "    (everything) t: a -> b",
        "  edits: the same",
    ]


class Table:
    """As much of a frame as is asked for its columns."""

    def __init__(self, *columns: str) -> None:
        self.dtypes = [(name, "bigint") for name in columns]


def test_measures_are_compared_that_both_versions_have() -> None:
    table: Any = Table("key_text", "bucket", "edits", "size", "tile", "part")
    assert [(item.name, item.start, item.end) for item in _shared(table, view())] == [
        ("edits", 0, 1), ("size", 1, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"), [("2015-09-12", 1_442_016_000), ("2015-09-12T02:00:00+02:00", 1_442_016_000)]
)
def test_a_range_is_given_in_dates_or_times_with_a_zone(text: str, seconds: int) -> None:
    assert job._parse(["--backfill", text, "2015-09-13"]).backfill == [seconds, 1_442_102_400]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--backfill", "2015-09-12T06:00:00", "2015-09-13"],
        ["--backfill", "yesterday", "today"],
        ["--backfill", "2015-09-12", "2015-09-13", "--every", "300"],
        ["--backfill", "2015-09-12", "2015-09-13", "--incremental"],
        ["--view", "edits_by_page"],
        ["--only-in-range", "because"],
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        job._parse(arguments)
    assert refused.value.code == 2
