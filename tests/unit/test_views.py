"""Definitions: what a view compiles to, and which mistakes are named with the way out."""

import pickle
from typing import Any

import pytest

from core import Count, Max, Mean, Source, Sum, Uniques, View
from core.errors import DefinitionError, DuplicateView, UnknownName
from core.keys import key_text
from core.views import by_name, find
from tests.expressions import COLUMNS

SOURCE = Source("shop.orders", contract="orders", event_time="moment")


def view(**changes: Any) -> View:
    fields: dict[str, Any] = {"name": "v", "source": SOURCE, "measures": {"n": Count()}, "key": ("text",)}
    return View(**(fields | changes))


def test_a_view_compiles_to_sql_for_both_layers() -> None:
    compiled = view(
        key={"who": "lower(text)", "flag": "flag"},
        bucket="15 minutes",
        where="number > 0",
        measures={"n": Count(), "mean": Mean("number"), "users": Uniques("text")},
    ).compile(COLUMNS)
    assert compiled.columns == ["n", "mean__sum", "mean__count", "users"]
    assert list(compiled.partial_sql) == list(compiled.merge_sql) == compiled.columns
    assert compiled.partial_sql["n"] == "count(1)"
    assert compiled.merge_sql["mean__count"] == "coalesce(sum(`mean__count`), 0)"
    assert compiled.where == "(`number` > 0L)"
    assert compiled.tiles == (900, 3600, 86400)
    assert "unix_seconds(`moment`)" in compiled.bucket_sql
    assert compiled.key_of({"who": None, "flag": True}) == key_text([None, "true"])


def test_an_empty_key_makes_one_row_of_everything() -> None:
    compiled = view(key=()).compile(COLUMNS)
    assert (compiled.key_sql, compiled.key_of({}), compiled.where) == ("''", "", "true")


def test_partials_of_a_view_merge_measure_by_measure() -> None:
    compiled = view(measures={"n": Count(), "mean": Mean("number"), "last": Max("text")}).compile(COLUMNS)
    events: list[dict[str, Any]] = [
        {"n": 1, "mean": 4, "last": "b"},
        {"n": 1, "mean": None, "last": "c"},
        {"n": 1, "mean": 5, "last": None},
    ]
    lifted = [compiled.lift(event) for event in events]
    assert compiled.merge(compiled.merge(lifted[0], lifted[1]), lifted[2]) == compiled.merge_all(lifted)
    assert compiled.present(compiled.merge_all(lifted)) == {"n": 3, "mean": 4.5, "last": "c"}
    assert compiled.merge_all([]) == compiled.zero


def test_a_compiled_view_can_be_pickled() -> None:
    compiled = view(measures={"n": Count(), "u": Uniques("text")}).compile(COLUMNS)
    assert pickle.loads(pickle.dumps(compiled)) == compiled


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": ("txet",)}, "unknown column 'txet'; did you mean 'text'?"),
        ({"where": "nummer > 1"}, "unknown column 'nummer'; did you mean 'number'?"),
        ({"measures": {"s": Sum("amont")}}, "unknown column 'amont'; did you mean 'amount'?"),
        ({"measures": {"s": Sum("text")}}, "it takes long, decimal"),
        ({"measures": {"s": Count("rand() > 0.5")}}, "not deterministic function"),
        ({"where": "rand() > 0.5"}, "not deterministic function"),
        ({"key": {"x": "uuid()"}}, "not deterministic function"),
        ({"where": "number"}, "a condition is boolean"),
        ({"where": "NULL"}, "a condition is boolean"),
        ({"key": ("ratio",)}, "a key part is string, long, boolean"),
        ({"key": ("moment",)}, "a key part is string, long, boolean"),
        ({"key": "text"}, "write key=('text',)"),
        ({"bucket": "5 hours"}, "write N minutes"),
        ({"measures": {}}, "needs measures"),
        ({"measures": {"text": Count()}}, "named unlike each other and unlike its key parts"),
        ({"measures": {"n": Count(), "N": Count()}}, "named unlike each other"),
        ({"measures": {"from": Count()}}, "is none of"),
        ({"key": {"zone": "text"}}, "is none of"),
        ({"measures": {"a__b": Count()}}, "single underscores"),
        ({"name": "my-view"}, "letters, digits and single underscores"),
    ],
)
def test_a_wrong_definition_is_named_with_the_way_out(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        view(**changes).compile(COLUMNS)
    assert message in str(caught.value)
    notes = getattr(caught.value, "__notes__", [])
    assert any("of source 'shop.orders'" in note for note in notes)


def test_a_measure_may_be_named_like_a_parameter_of_questions() -> None:
    assert set(view(measures={"last": Count()}).compile(COLUMNS).measures) == {"last"}


@pytest.mark.parametrize("twin", ["v", "V"])
def test_two_views_of_one_name_are_refused_whatever_their_case(twin: str) -> None:
    with pytest.raises(DuplicateView, match="is defined twice"):
        by_name([view(), view(name=twin)])


def test_a_name_that_nothing_carries_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        find("view", "edit_by_page", {"edits_by_page": 1, "robots": 2})
    assert caught.value.nearest == "edits_by_page"
    assert find("view", "robots", {"robots": 2}) == 2


def test_a_source_names_its_topic_and_refuses_a_name_that_no_folder_takes() -> None:
    assert SOURCE.topic == "shop.orders"
    assert Source("orders", contract="orders", topic="t-1").topic == "t-1"
    with pytest.raises(DefinitionError, match="source"):
        Source("../orders", contract="orders")
