"""Events that are taken back: subtracted where a measure can, and else counted beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import Corrections, Count, Max, Mean, Min, Quantiles, Ratio, Source, Sum, Top, Uniques, View
from core.corrections import check_company
from core.declarations import Declaration, bind_all
from core.errors import DefinitionError
from core.measures import Measure
from core.narrowing import narrowed
from core.ranking import scorers
from core.repeatable import RepeatableQuantiles, repeatable
from core.uncorrected import Uncorrected, correctable
from tests.measures import BOUND, folded, seen

SOME = settings(max_examples=25, deadline=None)
each_measure = pytest.mark.parametrize(("measure", "values"), BOUND, ids=[repr(m) for m, _ in BOUND])
COLUMNS = {"event_id": "string", "event_time": "timestamp", "corrects": "string", "buyer": "string",
           "price": "decimal(10,2)", "gone": "boolean"}  # fmt: skip
ORDERS = Source("orders", "orders", declares=(Corrections("corrects", "gone"),))
MEASURES = {"n": Count(), "sum": Sum("price"), "buyers": Uniques("buyer"), "sizes": Quantiles("price")}
VIEW = View("spent", ORDERS, MEASURES)


def test_counts_sums_and_means_can_be_taken_back_and_nothing_else() -> None:
    assert {type(measure) for measure, _ in BOUND if measure.invertible} == {Count, Sum, Mean, Ratio}
    assert {type(measure) for measure, _ in BOUND if not measure.invertible} == {
        Min, Max, Uniques, Quantiles, Top,
    }  # fmt: skip


@each_measure
def test_what_is_taken_back_leaves_what_was_there(measure: Measure, values: Any) -> None:
    if not measure.invertible:
        with pytest.raises(DefinitionError, match="cannot take back"):
            measure.inverse(measure.zero)
        return

    @SOME
    @given(st.lists(st.none() | values, max_size=20), st.lists(st.none() | values, max_size=20))
    def law(kept: list[Any], gone: list[Any]) -> None:
        some = folded(measure, gone)
        assert measure.merge(some, measure.inverse(some)) == measure.zero
        both = folded(measure, kept + gone)
        assert measure.merge(both, measure.retracted(some, len(gone))) == folded(measure, kept)

    law()


@each_measure
def test_what_cannot_be_taken_back_stays_and_is_counted(measure: Measure, values: Any) -> None:
    if measure.invertible:
        assert correctable(measure) is measure
        return
    kept = correctable(measure)
    assert correctable(kept) is kept and kept.plain is measure and repr(kept) == repr(measure)

    @SOME
    @given(*[st.lists(st.none() | values, max_size=20)] * 2)
    def law(left: list[Any], right: list[Any]) -> None:
        one, other = folded(kept, left), folded(kept, right)
        merged = kept.merge(kept.merge(one, kept.retracted(other, 3)), kept.retracted(one, 4))
        assert kept.uncorrected(merged) == 7 and kept.uncorrected(one) == 0
        assert seen(measure, merged[:-1]) == seen(measure, one[:-1])
        assert kept.present(one) == measure.present(one[:-1])
        assert kept.same(one, one) and not kept.same(one, kept.merge(one, kept.retracted(one, 1)))

    law()


def test_only_views_of_a_source_that_declares_corrections_keep_the_number() -> None:
    plain = View("spent", Source("orders", "orders"), MEASURES).compile(COLUMNS)
    view = VIEW.compile(COLUMNS)
    assert [name for name, _ in view.slots if name not in dict(plain.slots)] == [
        "buyers__uncorrected", "sizes__uncorrected",
    ]  # fmt: skip
    partial = view.merge(
        view.lift({"n": 1, "sum": 2, "buyers": "a", "sizes": 2}), view.retracted(view.zero, 2)
    )
    assert view.uncorrected(partial) == {"buyers": 2, "sizes": 2}
    assert view.uncorrected(view.zero) == {} == plain.uncorrected(plain.zero)
    assert narrowed(view, ["n", "buyers"]).uncorrected((1, b"", 5)) == {"buyers": 5}
    assert view.codec.unpack(view.codec.pack(partial)) == partial


def test_what_looks_into_a_measure_sees_the_one_that_was_defined() -> None:
    view = VIEW.compile(COLUMNS)
    assert list(scorers(view.measures["buyers"])) == [""] and "min" in scorers(view.measures["sizes"])
    sizes = repeatable(view).measures["sizes"]
    assert isinstance(sizes, Uncorrected) and isinstance(sizes.plain, RepeatableQuantiles)
    assert sizes.approximate and not correctable(Min("price").bind(COLUMNS)).approximate


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (Corrections("corrected"), "did you mean 'corrects'"),
        (Corrections("price"), "column of strings"),
        (Corrections("upper(corrects)"), "column of strings"),
        (Corrections("corrects", "price"), "a condition is boolean"),
    ],
)
def test_a_mistake_is_named(declared: Corrections, says: str) -> None:
    with pytest.raises(Exception, match=says):
        declared.bind(COLUMNS)


def test_a_correction_without_a_target_is_an_event_like_any_other() -> None:
    retracting = Corrections("corrects", "gone").bind(COLUMNS).retracting()
    assert retracting({"corrects": "a", "gone": True})
    for values in (
        {"corrects": None, "gone": True},
        {"corrects": "a", "gone": None},
        {"corrects": "a", "gone": False},
    ):
        assert not retracting(values)


@dataclass(frozen=True)
class Other(Declaration):
    """A declaration that derives something."""

    def bind(self, columns: Mapping[str, str]) -> Self:
        return self

    @property
    def columns(self) -> Mapping[str, str]:
        return {"rank": "long"}

    @property
    def reads(self) -> Sequence[str]:
        return ["buyer"]


@dataclass(frozen=True)
class OfOneEvent(Other):
    """One that derives something of each event alone."""

    additive: ClassVar[bool] = True


def test_corrections_go_with_nothing_that_is_derived_from_the_events_before() -> None:
    check_company(ORDERS)
    check_company(replace(ORDERS, declares=(Other(),)))
    with pytest.raises(DefinitionError, match="declares Corrections and Other, which do not go together"):
        check_company(replace(ORDERS, declares=(*ORDERS.declares, Other())))


def test_what_is_derived_of_an_event_alone_goes_with_corrections_and_comes_after_them() -> None:
    declares = (OfOneEvent(), *ORDERS.declares)
    check_company(replace(ORDERS, declares=declares))
    bound, _ = bind_all("orders", declares, COLUMNS)
    assert [type(one) for one in bound] == [Corrections, OfOneEvent]
