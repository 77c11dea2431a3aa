"""Measures are commutative monoids, and what they show is what a naive computation shows."""

import random
from bisect import bisect_left, bisect_right
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import Count, Max, Mean, Min, Quantiles, Ratio, Sum, Top, Uniques
from core.errors import DefinitionError
from core.measures import Measure
from tests.expressions import COLUMNS
from tests.measures import BOUND, folded, seen

SOME = settings(max_examples=25, deadline=None)
each_measure = pytest.mark.parametrize(("measure", "values"), BOUND, ids=[repr(m) for m, _ in BOUND])


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, max_size=30)


@each_measure
def test_merge_is_associative_and_commutative_with_an_identity(measure: Measure, values: Any) -> None:
    @SOME
    @given(lists(values), lists(values), lists(values))
    def law(x: list[Any], y: list[Any], z: list[Any]) -> None:
        a, b, c = (folded(measure, part) for part in (x, y, z))
        merge = measure.merge
        assert seen(measure, merge(merge(a, b), c)) == seen(measure, merge(a, merge(b, c)))
        assert seen(measure, merge(a, b)) == seen(measure, merge(b, a))
        assert seen(measure, merge(a, measure.zero)) == seen(measure, a)
        assert seen(measure, merge(measure.zero, a)) == seen(measure, a)

    law()


@each_measure
def test_one_sees_x_another_y_and_together_they_saw_both(measure: Measure, values: Any) -> None:
    @SOME
    @given(lists(values), lists(values))
    def law(x: list[Any], y: list[Any]) -> None:
        together = measure.merge(folded(measure, x), folded(measure, y))
        assert seen(measure, together) == seen(measure, folded(measure, x + y))
        assert seen(measure, together) == seen(measure, measure.merge_all([measure.lift(v) for v in y + x]))

    law()


@each_measure
def test_zero_is_what_nothing_gives_and_can_be_shown(measure: Measure, values: Any) -> None:
    assert measure.merge_all([]) == measure.zero == folded(measure, [])
    measure.present(measure.zero)
    assert seen(measure, folded(measure, [None, None])) == seen(measure, measure.zero)


def bound(measure: Measure) -> Measure:
    return measure.bind(COLUMNS)


def shown(measure: Measure, values: list[Any]) -> Any:
    return bound(measure).present(folded(bound(measure), values))


@SOME
@given(st.lists(st.none() | st.integers(-(10**28) + 1, 10**28 - 1), max_size=50))
def test_a_sum_of_decimals_is_exact_to_38_digits(units: list[int | None]) -> None:
    values = [None if unit is None else Decimal(f"{unit}e-6") for unit in units]
    exact = sum(unit for unit in units if unit is not None)
    assert shown(Sum("wide"), values) == Decimal(f"{exact}e-6")


def test_a_sum_does_not_round_at_28_digits() -> None:
    values = [Decimal("9999999999999999999999.999999")] * 11
    assert shown(Sum("wide"), values) == Decimal("109999999999999999999999.999989")


def test_exact_measures_show_what_python_computes() -> None:
    values = [3, None, -5, 2**63 - 1, 2**63 - 1]
    assert shown(Count("number"), values) == 4
    assert shown(Count(), [1, 1]) == 2
    assert shown(Sum("number"), values) == 2**64 - 4
    assert shown(Mean("number"), [1, 2, None]) == 1.5
    assert shown(Mean("number"), []) is None
    pairs = [{"numerator": n, "denominator": d} for n, d in ((3, 2), (None, 2), (-1, None), (2**63 - 1, 0))]
    assert shown(Ratio("number", "number"), pairs[:3]) == 0.5
    assert shown(Ratio("number", "number"), pairs) == (2**63 + 1) / 4
    assert shown(Ratio("number", "number"), pairs[2:3]) is None
    assert shown(Min("number"), values) == -5
    assert shown(Max("text"), ["a", "日", None, "é"]) == "日"
    assert shown(Max("moment"), []) is None


def test_numbers_that_no_answer_could_show_do_not_count_as_extremes() -> None:
    assert shown(Max("ratio"), [float("nan"), 1.5, float("inf")]) == 1.5
    assert shown(Quantiles("ratio"), [float("nan"), 1.5, float("-inf")])["count"] == 1


@pytest.mark.parametrize("size", [0, 1, 7, 50, 300, 390, 1000, 20_000])
def test_uniques_lie_within_their_bounds_and_do_not_depend_on_the_split(size: int) -> None:
    dice, measure = random.Random(size), bound(Uniques("text"))
    values = [f"user {dice.randrange(size * 3)}" for _ in range(size)]
    whole = sketched(measure, [values])
    pieces = [values[piece::7] for piece in range(7)] + [values[: size // 2]]
    assert measure.present(sketched(measure, pieces)) == measure.present(whole)
    estimate, exact = measure.present(whole), len(set(values))
    assert estimate["lower"] <= exact <= estimate["upper"]
    assert abs(estimate["estimate"] - exact) <= 0.05 * exact


def sketched(measure: Measure, pieces: list[list[str]]) -> tuple[bytes]:
    """As Spark does it: one sketch that saw a whole piece, and then a union of the pieces."""
    from datasketches import hll_sketch, tgt_hll_type

    blobs = []
    for piece in pieces:
        sketch = hll_sketch(12, tgt_hll_type.HLL_8)
        for value in piece:
            sketch.update(value)
        blobs.append((bytes(sketch.serialize_compact()),))
    return measure.merge_all(blobs)


def test_uniques_do_not_count_the_empty_text_or_null() -> None:
    assert shown(Uniques("text"), ["", None, "a", "a"])["estimate"] == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("size", [1, 10, 1000, 5000])
def test_quantiles_lie_within_their_rank_bounds(size: int) -> None:
    dice = random.Random(size)
    values = [dice.randrange(-1000, 1000) for _ in range(size)]
    answer, ordered = shown(Quantiles("number"), list(values)), sorted(values)
    assert (answer["count"], answer["min"], answer["max"]) == (size, ordered[0], ordered[-1])
    for quantile in answer["quantiles"]:
        low, high = (bisect_left(ordered, quantile["value"]), bisect_right(ordered, quantile["value"]))
        slack = answer["rank_error"] * size + 1
        assert low - slack <= quantile["rank"] * size <= high + slack
        exact = ordered[max(0, -(-int(quantile["rank"] * 1000) * size // 1000) - 1)]
        assert quantile["lower"] <= exact <= quantile["upper"]


@SOME
@given(st.lists(st.sampled_from("abcdefghijklmnop"), max_size=300))
def test_top_values_lie_within_their_bounds(values: list[str]) -> None:
    counts = Counter(values)
    for row in shown(Top("text", capacity=8), list(values)):
        assert row["lower"] <= counts[row["value"]] <= row["upper"]
    exact = shown(Top("text", k=3), list(values))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
    assert [(row["value"], row["estimate"]) for row in exact] == ranked


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (Sum("text"), "Sum('text') is over string; it takes long, decimal"),
        (Sum("ratio"), "cast it, for instance cast(x as decimal(18,4))"),
        (Mean("flag"), "is over boolean"),
        (Sum("wide * wide"), "say how wide: cast(... as decimal(p,s)), p at most 28"),
        (Mean("cast(number as decimal(38,2))"), "p at most 28"),
        (Min("flag"), "it takes string, long, decimal, double, timestamp"),
        (Uniques("ratio"), "it takes string, long, boolean"),
        (Quantiles("text"), "it takes long, decimal, double"),
        (Top("number"), "it takes string"),
        (Sum(), "Sum needs an expression"),
        (Ratio("number"), "needs two expressions: what is divided, and by what"),
        (Ratio("number", "text"), "Sum('text') is over string; it takes long, decimal"),
        (Sum("NULL"), "is over null"),
    ],
)
def test_a_measure_that_does_not_fit_the_type_says_what_does(measure: Measure, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        bound(measure)
    assert message in str(caught.value)


def test_a_measure_that_was_never_bound_says_so() -> None:
    with pytest.raises(DefinitionError, match="use it inside a View"):
        _ = Sum("number").sql
