"""No answer passes off as right what the speed layer could not take back."""

import asyncio
from typing import Any

import pytest

from core import Corrections, Count, Max, Source, Sum, Uniques, View
from core.measures import Partial
from core.ranking import scorers
from core.views import CompiledView
from serving_layer.answers import Evidence, compose, document
from serving_layer.gathering import Gathered
from serving_layer.key_answers import compose_query, compose_ranking
from serving_layer.listings import Prefix, Ranking
from serving_layer.ports import Snapshot, SpeedReading
from serving_layer.queries import Query
from serving_layer.questions import parse_question
from tests.serving_kit import SEMANTICS, generation, lease, progress

COLUMNS = {"event_id": "string", "event_time": "timestamp", "corrects": "string", "shop": "string",
           "buyer": "string", "price": "long"}  # fmt: skip
ORDERS = Source("orders", "orders", declares=(Corrections("corrects"),))
MEASURES = {"n": Count(), "sum": Sum("price"), "buyers": Uniques("buyer"), "dearest": Max("price")}


def view_of(*names: str) -> CompiledView:
    measures = {name: MEASURES[name] for name in names or MEASURES}
    return View("orders", ORDERS, measures, key=("shop",)).compile(COLUMNS)


def order(view: CompiledView, buyer: str, price: int) -> Partial:
    values = {"n": 1, "sum": price, "buyers": buyer, "dearest": price}
    return view.lift({name: values[name] for name in view.measures})


def corrected(view: CompiledView) -> list[tuple[int, Partial]]:
    """Two orders, the dearer one of which was taken back later."""
    first, second = order(view, "ann", 10), order(view, "bob", 90)
    return [(0, view.merge(first, second)), (3600, view.retracted(second, 1))]


def evidence(buckets: list[tuple[int, Partial]], **changed: Any) -> Evidence:
    speed = SpeedReading(generation(), progress(), lease(), (7,), buckets=buckets)
    return Evidence(Snapshot(), SEMANTICS, None, speed, **changed)


def answered(view: CompiledView, buckets: list[tuple[int, Partial]], **changed: str) -> dict[str, Any]:
    given = {"shop": "a", "from": "1970-01-01", "to": "1970-01-02", **changed}
    return compose(parse_question(view, list(given.items())), evidence(buckets))


def test_a_row_names_what_is_not_corrected_and_all_else_is_right() -> None:
    answer = answered(view_of(), corrected(view_of()))
    (row,) = answer["rows"]
    assert (row["measures"]["n"], row["measures"]["sum"]) == (1, 10)
    assert row["uncorrected"] == {"buyers": 1, "dearest": 1}
    assert not answer["complete"] and answer["as_of"] is not None
    assert [reason.partition(" ")[0] for reason in answer["reasons"]] == ["buyers", "dearest"]


def test_a_series_names_the_rows_of_which_that_is_true() -> None:
    answer = answered(view_of(), corrected(view_of()), every="hour")
    assert [row.get("uncorrected") for row in answer["rows"][:3]] == [None, {"buyers": 1, "dearest": 1}, None]
    assert not answer["complete"]


def test_an_answer_without_such_measures_or_corrections_stays_complete() -> None:
    exact = view_of("n", "sum")
    answer = answered(exact, corrected(exact))
    assert answer["complete"] and answer["reasons"] == [] and "uncorrected" not in answer["rows"][0]
    answer = answered(view_of(), corrected(view_of())[:1])
    assert answer["complete"] and "uncorrected" not in answer["rows"][0]


def test_a_rendered_series_is_not_complete_either() -> None:
    view = view_of()
    question = parse_question(view, [("shop", "a"), ("from", "1970-01-01"), ("to", "1970-01-02")])
    assert not document(question, evidence(corrected(view)), b"[]")["complete"]


@pytest.mark.parametrize(("measures", "complete"), [(["n"], True), (["n", "dearest"], False)])
def test_of_several_keys_only_what_was_asked_for_counts(measures: list[str], complete: bool) -> None:
    view = view_of()
    questions = [parse_question(view, [("shop", "a"), ("from", "1970-01-01"), ("to", "1970-01-02")])]
    narrow = view_of(*measures)
    speed = evidence([]).speed
    gathered = Gathered(
        Snapshot(), SEMANTICS, None, speed, keys=[questions[0].key_text], batch_of=None,
        speed_of={questions[0].key_text: corrected(narrow)},
    )  # fmt: skip
    answer = asyncio.run(compose_query(Query(questions[0], ({"shop": "a"},), tuple(measures)), gathered))
    assert answer["complete"] is complete
    assert ("uncorrected" in answer["results"][0]["rows"][0]) is not complete


@pytest.mark.parametrize(("by", "sure"), [("sum", True), ("dearest", False)])
def test_a_ranking_by_what_is_not_corrected_is_certain_of_nothing(by: str, sure: bool) -> None:
    view, narrow = view_of(), view_of(by)
    question = parse_question(view, [("shop", "a"), ("from", "1970-01-01"), ("to", "1970-01-02")])
    gathered = Gathered(
        Snapshot(), SEMANTICS, None, evidence([]).speed, keys=["1:a", "1:b"], batch_of=None,
        speed_of={"1:a": corrected(narrow), "1:b": [(0, order(narrow, "eve", 5))]},
    )  # fmt: skip
    ranking = Ranking(Prefix(question, {}), by, "", scorers(view.measures[by])[""], 1, False)
    answer = asyncio.run(compose_ranking(ranking, gathered))
    assert [row["certain"] for row in answer["rows"]] == [sure]
    assert (answer["exact"], answer["complete"], answer["others"]["bound"] is not None) == (sure, sure, sure)
