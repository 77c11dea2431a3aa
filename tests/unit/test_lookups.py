"""Columns that a table gives to events: declared like a view, and in the hash of what numbers mean."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import Count, Lookup, Source, View, Visits
from core.application import BoundSource
from core.contracts import Contract
from core.errors import DefinitionError, UnknownName
from core.semantics import semantics_hash
from core.tables import TableRefused, digest_of
from serving_layer.deriving import applied
from speed_layer.plan import Plan
from tests.unit.test_application import CONTRACT

ROWS = "who,day,city,age\nann,5,Rome,30\nbob,5,Oslo,\nann,6,Bari,31\n"
KEY = {"who": "buyer", "day": "dayofweek(event_time)"}
GIVES = {"city": "string", "age": "long"}
THURSDAY, FRIDAY = 0, 86_400_000_000  # 1 and 2 January 1970


@pytest.fixture
def lookup(tmp_path: Path) -> Lookup:
    path = tmp_path / "buyers.csv"
    path.write_text(ROWS)
    return Lookup(path, KEY, GIVES)


def bound(*declares: Lookup, key: tuple[str, ...] = ("city",)) -> BoundSource:
    source = Source("shop.orders", contract="orders", declares=declares)
    contract = Contract.load(CONTRACT, source.event_id, source.event_time)
    return BoundSource.of(source, contract, {"n": View("n", source, key=key, measures={"n": Count()})})


def event(**values: Any) -> Mapping[str, Any]:
    return {"event_id": "1", "event_time": THURSDAY, "buyer": "ann", "price": None} | values


def test_views_use_its_columns_as_they_use_those_of_the_contract(lookup: Lookup) -> None:
    made = bound(lookup)
    assert made.derived == GIVES and made.views["n"].reads == {"city", "event_time"}
    assert made.needed_for(["city", "price"]) == {"buyer", "event_time", "price"}
    assert Plan.of(made.views, made.declarations).columns == ("buyer", "event_time")


def test_an_event_gets_the_row_of_its_key_or_nothing(lookup: Lookup) -> None:
    derive = bound(lookup).declarations[0].of_event()
    assert derive is not None
    assert derive(event()) == {"city": "Rome", "age": 30}
    assert derive(event(event_time=FRIDAY)) == {"city": "Bari", "age": 31}
    assert derive(event(buyer="bob")) == {"city": "Oslo", "age": None}
    assert derive(event(buyer=None)) == derive(event(buyer="eve")) == {"city": None, "age": None}


@given(st.lists(st.tuples(st.sampled_from(["ann", "bob", "eve", "", None]), st.integers(0, 14))))
def test_single_events_are_counted_as_a_naive_search_through_the_file_counts_them(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str | None, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "naive.csv"
    path.write_text(ROWS)
    made = bound(Lookup(path, KEY, GIVES))
    view = made.views["n"]
    events = [
        event(event_id=str(n), buyer=who, event_time=day * FRIDAY) for n, (who, day) in enumerate(drawn)
    ]
    told = {key: partial[0] for (key, _), partial in _by_key(applied(made, view).fold(events)).items()}
    assert told == _naively(view, drawn)


def _by_key(found: Mapping[tuple[str, int], Any]) -> dict[tuple[str, int], Any]:
    merged: dict[tuple[str, int], Any] = {}
    for (key, _), partial in found.items():
        before = merged.get((key, 0), (0,))
        merged[key, 0] = (before[0] + partial[0],)
    return merged


def _naively(view: Any, drawn: list[tuple[str | None, int]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    lines = [line.split(",") for line in ROWS.splitlines()[1:]]
    for who, day in drawn:
        weekday = str((day + 4) % 7 + 1)
        cities = [city for name, on, city, _ in lines if (name, on) == (who, weekday)]
        key = view.key_of({"city": cities[0] if cities else None})
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_a_source_may_look_up_in_several_tables_and_twice_in_one(lookup: Lookup) -> None:
    other = replace(lookup, key={"who": "'ann'", "day": "6"}, prefix="ann_")
    made = bound(lookup, other, key=("city", "ann_city"))
    assert made.derived == {"city": "string", "age": "long", "ann_city": "string", "ann_age": "long"}
    assert applied(made, made.views["n"]).key_text(event()) == "4:Rome4:Bari"
    with pytest.raises(DefinitionError, match="derives a column 'city', and there is 'city' already"):
        bound(lookup, replace(lookup, gives={"city": "string"}))


def test_what_a_table_gives_is_derived_behind_all_that_takes_several_events(lookup: Lookup) -> None:
    source = Source("shop.orders", "orders", declares=[lookup, Visits("buyer")])
    contract = Contract.load(CONTRACT, source.event_id, source.event_time)
    assert [type(one) for one in BoundSource.of(source, contract, {}).declarations] == [Visits, Lookup]


def test_its_content_is_part_of_the_meaning_and_its_place_is_not(lookup: Lookup, tmp_path: Path) -> None:
    moved, changed = tmp_path / "moved.csv", tmp_path / "changed.csv"
    moved.write_text(ROWS)
    changed.write_text(ROWS.replace("Oslo", "Bergen"))

    def hashed(one: Lookup) -> str:
        return semantics_hash([], "c1", 20, [one])

    assert hashed(lookup) == hashed(replace(lookup, path=moved))
    others = [
        replace(lookup, path=changed),
        replace(lookup, prefix="x_"),
        replace(lookup, gives={"age": "long"}),
    ]
    assert len({hashed(one) for one in [lookup, *others]}) == 4


def test_what_is_looked_up_is_what_was_hashed_though_the_file_changes(lookup: Lookup) -> None:
    before = lookup.meaning
    lookup.path.write_text(ROWS.replace("Rome", "Pisa"))
    derive = bound(lookup).declarations[0].of_event()
    assert derive and derive(event())["city"] == "Rome" and lookup.meaning == before
    assert replace(lookup).meaning != before


def test_only_the_content_that_is_expected_is_taken(lookup: Lookup) -> None:
    assert bound(replace(lookup, sha256=digest_of(ROWS.encode())))
    with pytest.raises(TableRefused, match=r"has sha256 [0-9a-f]{64}, expected 0000"):
        bound(replace(lookup, sha256="0" * 64))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"key": {"who": "bayer"}}, UnknownName, "did you mean 'buyer'"),
        ({"key": {"whom": "buyer"}}, UnknownName, "did you mean 'who'"),
        ({"key": {"age": "price"}}, DefinitionError, "key part 'price' is decimal"),
        (
            {"key": {"who": "cast(price * 2.5 as string)"}, "gives": {}},
            DefinitionError,
            "needs a key and columns",
        ),
        ({"key": {}}, DefinitionError, "needs a key and columns"),
        ({"gives": {"age": "string"}, "prefix": "price__"}, DefinitionError, "derived column 'price__age'"),
        ({"path": Path("/nowhere/at.csv")}, TableRefused, "cannot be read"),
    ],
)
def test_a_lookup_that_does_not_fit_is_named(
    lookup: Lookup, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        bound(replace(lookup, **changes))
    assert message in str(caught.value)
