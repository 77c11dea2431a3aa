"""The same parts give the same quantiles each time, within the same bounds."""

import random

from hypothesis import given
from hypothesis import strategies as st

from core import Count, Quantiles
from core.measures import Partial
from core.repeatable import repeatable
from core.views import CompiledView, View
from tests.serving_kit import BOUND

VIEW = View(
    "sizes", next(iter(BOUND.definitions.values())).source, {"n": Count(), "size": Quantiles("delta")}
)
PLAIN = VIEW.compile(BOUND.contract.types)
STEADY = repeatable(PLAIN)


def tile(values: list[int], view: CompiledView = PLAIN) -> Partial:
    return view.merge_all([view.lift({"n": 1, "size": value}) for value in values])


def drawn(count: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(1_000_000) for _ in range(count)]


def test_merging_large_sketches_gives_the_same_answer_each_time() -> None:
    tiles = [tile(drawn(5000, seed)) for seed in range(3)]
    assert len({str(PLAIN.present(PLAIN.merge_all(tiles))) for _ in range(10)}) > 1
    assert len({str(STEADY.present(STEADY.merge_all(tiles))) for _ in range(10)}) == 1


def test_quantiles_of_many_sketches_keep_their_bounds() -> None:
    values = [drawn(5000, seed) for seed in range(8)]
    shown = STEADY.present(STEADY.merge_all([tile(part) for part in values]))["size"]
    ranked = sorted(number for part in values for number in part)
    assert (shown["count"], shown["min"], shown["max"]) == (40_000, ranked[0], ranked[-1])
    for row in shown["quantiles"]:
        assert row["lower"] <= ranked[round(row["rank"] * 40_000) - 1] <= row["upper"]


@given(st.lists(st.lists(st.integers(-1000, 1000), max_size=30), max_size=12))
def test_small_sketches_stay_exact_however_they_are_joined(parts: list[list[int]]) -> None:
    whole = tile([number for part in parts for number in part])
    found = STEADY.merge_all([tile(part, STEADY) for part in parts])
    for left in (found, STEADY.merge(found, STEADY.zero)):
        assert STEADY.present(left) == PLAIN.present(whole)


def test_one_sketch_is_read_back_as_it_is() -> None:
    one = tile(drawn(5000, 1))
    assert STEADY.present(STEADY.merge_all([one])) == PLAIN.present(one)
