"""Rankings against a sort, and what bounds let them claim against every value that they allow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UnknownName
from core.narrowing import cutter, narrowed
from core.ranking import Score, rank, scorers
from tests.serving_kit import BOUND, edit, lifted

numbers = st.integers(-5, 5)
bounded = st.builds(
    lambda value, below, above: Score(value, value - below, value + above),
    numbers,
    st.integers(0, 3),
    st.integers(0, 3),
)
WIKI = BOUND.view("wiki")


@given(st.lists(numbers, max_size=12), st.integers(1, 13), st.booleans())
def test_exact_scores_are_ranked_as_a_sort_ranks_them(values: list[int], most: int, least: bool) -> None:
    found = rank([Score(value, value, value) for value in values], most, least)
    ordered = sorted(
        range(len(values)), key=lambda place: (values[place] if least else -values[place], place)
    )
    assert found.first == ordered[:most]
    assert all(found.certain)
    assert found.bound == (values[ordered[most]] if len(values) > most else None)


@given(st.lists(bounded, max_size=6), st.integers(1, 6), st.booleans(), st.data())
def test_what_is_certain_holds_for_every_value_between_the_bounds(
    scores: list[Score], most: int, least: bool, data: st.DataObject
) -> None:
    found = rank(scores, most, least)
    true = [data.draw(st.integers(score.lower, score.upper)) for score in scores]
    others = [true[place] for place in range(len(scores)) if place not in found.first]
    for place, certain in zip(found.first, found.certain, strict=True):
        if certain:
            beyond = [value for value in others if (value < true[place] if least else value > true[place])]
            assert not beyond
    assert all(value >= found.bound if least else value <= found.bound for value in others)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("edits", [""]),
        ("editors", [""]),
        ("last_edit", [""]),
        ("size", ["count", "min", "max", "0.5", "0.9", "0.99"]),
        ("top_pages", []),
    ],
)
def test_which_figures_of_a_measure_rank(name: str, figures: list[str]) -> None:
    measure = WIKI.measures[name]
    assert list(scorers(measure)) == figures
    partial = cutter(WIKI, [name])(lifted(WIKI, edit(1, delta=4)))
    for scorer in scorers(measure).values():
        score = scorer(measure.present(partial))
        assert score is not None and score.lower <= score.value <= score.upper


@pytest.mark.parametrize("name", ["first_edit", "size"])
def test_what_has_no_value_has_no_score(name: str) -> None:
    measure = WIKI.measures[name]
    shown = measure.present(measure.zero)
    assert [scorer(shown) for figure, scorer in scorers(measure).items() if figure != "count"] == [None] * (
        5 if name == "size" else 1
    )


@given(st.lists(st.sampled_from(list(WIKI.measures)), min_size=1, unique=True))
def test_a_narrowed_view_shows_of_cut_partials_what_the_whole_shows(names: list[str]) -> None:
    partial = WIKI.merge_all([lifted(WIKI, edit(1)), lifted(WIKI, edit(2, user="bob", delta=-9))])
    whole: dict[str, Any] = WIKI.present(partial)
    assert narrowed(WIKI, names).present(cutter(WIKI, names)(partial)) == {
        name: whole[name] for name in names
    }


def test_an_unknown_measure_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'edits'"):
        narrowed(WIKI, ["edit"])
