"""The hash of what numbers mean changes with everything that changes a meaning, and with nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from core import Count, Mean, Source, Sum, Uniques, View
from core.semantics import semantics_hash

SOURCE = Source("orders", contract="orders")
VIEW = View(
    "v", SOURCE, key=("a", "b"), where="a > 1", measures={"n": Count(), "s": Sum("x"), "u": Uniques("a")}
)
OTHER = View("w", SOURCE, measures={"n": Count()})


def of(*views: View, contract: str = "c1", window: int = 20) -> str:
    return semantics_hash(views, contract, window)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "renamed"},
        {"where": None},
        {"where": "a > 2"},
        {"bucket": "1 day"},
        {"key": ("a",)},
        {"key": ("b", "a")},
        {"key": {"a": "lower(a)", "b": "b"}},
        {"measures": {"n": Count(), "s": Sum("x")}},
        {"measures": {"s": Sum("x"), "n": Count(), "u": Uniques("a")}},
        {"measures": {"n": Count(), "s": Mean("x"), "u": Uniques("a")}},
        {"measures": {"n": Count(), "s": Sum("y"), "u": Uniques("a")}},
        {"measures": {"n": Count(), "s": Sum("x"), "u": Uniques("a", lg_k=10)}},
    ],
)
def test_what_changes_a_meaning_changes_the_hash(changes: dict[str, Any]) -> None:
    assert of(VIEW) != of(replace(VIEW, **changes))


def test_contract_window_and_the_set_of_views_change_the_hash() -> None:
    assert len({of(VIEW), of(VIEW, contract="c2"), of(VIEW, window=21), of(VIEW, OTHER), of()}) == 5


def test_order_of_views_and_descriptions_do_not_change_the_hash() -> None:
    assert of(VIEW, OTHER) == of(OTHER, VIEW)
    assert of(VIEW) == of(replace(VIEW, description="Orders of a day."))
    assert of(VIEW) == of(replace(VIEW, key={"a": "a", "b": "b"}))
