"""When a version may take rows over from the one before it, and when only a full recompute is exact."""

from dataclasses import replace
from typing import Any

import pytest

from core import Count, Source, Sum, View
from core.cuts import Cut
from core.errors import HandoffError, NotExact, Superseded
from core.manifest import Manifest, Pointer
from core.modes import (
    Span,
    check_backfill,
    check_not_superseded,
    differences,
    incremental_objection,
    superseded_by,
    whole_tiles,
)
from core.semantics import Meaning, meaning_of

DAY = 86_400
SOURCE = Source("orders", contract="orders")
ORDERS = View("orders", SOURCE, measures={"n": Count()})
SALES = View("sales", SOURCE, key=("buyer",), measures={"sum": Sum("price")})
DEARER = replace(SALES, where="price > 1")


def meaning(*views: View, contract: str = "c1", window: int = 20) -> Meaning:
    return meaning_of(views or (ORDERS, SALES), contract, window)


def published(of: Meaning, **changes: Any) -> Manifest:
    views = {name: {"definition": definition} for name, definition in of.definitions.items()}
    found = Manifest(7, "orders", 4, {0: 40}, "cluster", "topic", 1, of.semantics, "now", views=views)
    return replace(found, contract=of.contract, **changes)


def pointer(kind: str = "publish") -> Pointer:
    return Pointer(9, 7, 4, 3, kind, "now")


BASE, BOUNDARY = published(meaning()), Cut(5, {0: 50})


@pytest.mark.parametrize("kind", ["publish", "promote"])
@pytest.mark.parametrize("boundary", [BOUNDARY, Cut(4, {0: 40})])
def test_records_since_a_version_of_the_same_meaning_are_enough(kind: str, boundary: Cut) -> None:
    assert incremental_objection(BASE, pointer(kind), meaning(), boundary, ()) is None


@pytest.mark.parametrize(
    ("base", "pointed", "now", "boundary", "losses", "reason"),
    [
        (None, None, meaning(), BOUNDARY, (), "no version to add to"),
        (BASE, pointer(), meaning(contract="c2"), BOUNDARY, (), "another meaning: the contract"),
        (BASE, pointer(), meaning(ORDERS, DEARER), BOUNDARY, (), "another meaning: view 'sales'"),
        (BASE, pointer(), meaning(window=21), BOUNDARY, (), "the dedupe window or the code"),
        (BASE, pointer("rollback"), meaning(), BOUNDARY, (), "moved to version 7 by a rollback"),
        (BASE, pointer(), meaning(), BOUNDARY, ({"partition": 0},), "losses were accepted since version 7"),
        (BASE, pointer(), meaning(), Cut(3, {0: 30}), (), "reaches beyond cut 3"),
    ],
)
def test_an_incremental_run_gives_way_to_a_full_one(
    base: Manifest | None,
    pointed: Pointer | None,
    now: Meaning,
    boundary: Cut,
    losses: tuple[Any, ...],
    reason: str,
) -> None:
    assert reason in (incremental_objection(base, pointed, now, boundary, losses) or "")


def test_a_change_is_named_by_what_changed() -> None:
    assert differences(BASE, meaning()) == []
    assert differences(BASE, meaning(ORDERS, DEARER, contract="c2")) == ["the contract", "view 'sales'"]
    other = replace(ORDERS, name="baskets")
    assert differences(BASE, meaning(other, SALES)) == ["view 'baskets' is new", "view 'orders' is gone"]


def test_a_backfill_of_the_same_meaning_needs_nobodys_word() -> None:
    check_backfill(BASE, meaning(), ["sales"], None)


def test_a_backfill_of_another_meaning_needs_somebody_to_vouch_for_the_rest() -> None:
    changed = meaning(ORDERS, DEARER)
    with pytest.raises(NotExact, match=r"view 'sales'.*--only-in-range"):
        check_backfill(BASE, changed, ["sales"], None)
    check_backfill(BASE, changed, ["sales"], "prices of 1 occur on that day only")


@pytest.mark.parametrize(
    ("now", "left_out"),
    [
        (meaning(ORDERS, DEARER), "sales"),
        (meaning(contract="c2"), "sales"),
        (meaning(ORDERS), "sales"),
        (meaning(ORDERS, SALES, replace(ORDERS, name="baskets")), "baskets"),
    ],
)
def test_nobody_can_vouch_for_a_changed_view_that_is_left_out(now: Meaning, left_out: str) -> None:
    with pytest.raises(NotExact, match=f"which changes {left_out} too"):
        check_backfill(BASE, now, ["orders"], "because")


def test_there_is_nothing_to_backfill_before_the_first_version() -> None:
    with pytest.raises(NotExact, match="publish one first"):
        check_backfill(None, meaning(), [], None)


def test_a_range_grows_to_whole_tiles() -> None:
    assert whole_tiles(DAY + 1, DAY + 2, DAY) == Span(DAY, 2 * DAY)
    assert whole_tiles(DAY, 3 * DAY, DAY) == Span(DAY, 3 * DAY)
    assert whole_tiles(-1, 1, DAY) == Span(-DAY, DAY)
    assert str(Span(0, DAY)) == "1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z"
    with pytest.raises(HandoffError, match="give FROM before TO"):
        whole_tiles(DAY, DAY, DAY)


def test_what_was_replaced_is_not_published_again_until_it_is_promoted_itself() -> None:
    old, new = meaning(), meaning(ORDERS, DEARER)
    promoted = published(new, superseded=superseded_by(BASE, new.semantics))
    check_not_superseded(None, old.semantics)
    check_not_superseded(promoted, new.semantics)
    with pytest.raises(Superseded, match="LAMBDA_APPLICATION"):
        check_not_superseded(promoted, old.semantics)
    back = published(old, superseded=superseded_by(promoted, old.semantics))
    check_not_superseded(back, old.semantics)
    with pytest.raises(Superseded):
        check_not_superseded(back, new.semantics)


def test_a_manifest_keeps_how_it_was_made() -> None:
    made = published(
        meaning(), mode="backfill", origin={"base": 6}, vouched=({"reason": "why"},), superseded=("a", "b")
    )
    assert Manifest.from_entry(made.entry()) == made
    before = {
        k: v for k, v in BASE.entry().items() if k not in ("contract", "origin", "vouched", "superseded")
    }
    assert Manifest.from_entry(before) == replace(BASE, contract="")
