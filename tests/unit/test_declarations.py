"""What a source declares beyond its contract: checked like a view, and in the hash of what numbers mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar, Self, cast

import pytest
from pyspark.sql import DataFrame

from batch_layer.deriving import History, check_additive
from batch_layer.deriving import derive as derive_in_batch
from batch_layer.segment_events import Contested, SegmentEvents
from core import Count, Source, Sum, View, Visits
from core.application import BoundSource
from core.contracts import Contract
from core.declarations import Declaration, step_of
from core.equality import Cause
from core.errors import DefinitionError, NotExact, UnknownName
from core.semantics import meaning_of, semantics_hash
from core.views import find
from serving_layer.deriving import applied, history_of
from serving_layer.problems import Problem
from speed_layer.plan import Plan
from tests.unit.test_application import CONTRACT
from tests.unit.test_semantics import VIEW


@dataclass(frozen=True)
class Ranks(Declaration):
    """The place of an event among those of one buyer."""

    by: str = "buyer"
    name: str = "rank"

    def bind(self, columns: Mapping[str, str]) -> Self:
        find("column", self.by, columns)
        return self

    @property
    def columns(self) -> Mapping[str, str]:
        return {self.name: "long"}

    @property
    def reads(self) -> Sequence[str]:
        return (self.by,)


@dataclass(frozen=True)
class Marked(Ranks):
    additive: ClassVar[bool] = True
    name: str = "mark"


ORDERS = Source("shop.orders", contract="orders", declares=[Ranks()])
FIRSTS = View("firsts", ORDERS, where="rank = 1", measures={"n": Count(), "sum": Sum("price")})
PLAIN = View("plain", ORDERS, measures={"n": Count()})


def bound(source: Source = ORDERS, *views: View) -> BoundSource:
    contract = Contract.load(CONTRACT, source.event_id, source.event_time)
    return BoundSource.of(source, contract, {view.name: view for view in views})


def test_views_use_derived_columns_as_they_use_those_of_the_contract() -> None:
    made = bound(ORDERS, FIRSTS, PLAIN)
    assert made.columns == {**made.contract.types, "rank": "long"}
    assert made.views["firsts"].where == "(`rank` = 1L)"
    assert made.views["firsts"].reads == {"rank", "price", "event_time"}
    assert made.derived_in(made.views["firsts"]) == ["rank"] and not made.derived_in(made.views["plain"])
    assert made.deriving(made.views["firsts"]) == [Ranks()] and not made.deriving(made.views["plain"])
    with pytest.raises(UnknownName, match="did you mean 'rank'"):
        bound(ORDERS, replace(FIRSTS, where="ranks = 1"))


@pytest.mark.parametrize(
    ("declares", "message"),
    [
        ([Ranks(by="bayer")], "unknown column 'bayer'; did you mean 'buyer'?"),
        ([Ranks(name="PRICE")], "derives a column 'PRICE', and there is 'price' already"),
        ([Ranks(name="mark"), Marked()], "derives a column 'mark', and there is 'mark' already"),
        ([Ranks(name="_rank")], "derived column '_rank': a name has letters"),
    ],
)
def test_a_declaration_that_does_not_fit_the_contract_is_named(
    declares: list[Declaration], message: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        bound(replace(ORDERS, declares=declares))
    assert message in str(caught.value)
    assert "in what source 'shop.orders' declares" in caught.value.__notes__


def test_a_source_declares_one_of_a_class_and_nothing_else() -> None:
    with pytest.raises(DefinitionError, match="declares Ranks twice; keep one of them"):
        replace(ORDERS, declares=[Ranks(), Ranks(by="price")])
    with pytest.raises(DefinitionError, match="declares 'visits', which is no Declaration"):
        replace(ORDERS, declares=cast(Any, ["visits"]))
    assert hash(ORDERS) != hash(replace(ORDERS, declares=()))


def test_what_is_declared_is_in_the_hash_and_without_it_hashes_stay() -> None:
    views = [VIEW]
    plain = semantics_hash(views, "c1", 20)
    # as it was before anything could be declared: another one would begin every generation anew
    assert plain == semantics_hash(views, "c1", 20, ()) == "b9a4aae99485beb2"
    hashes = {semantics_hash(views, "c1", 20, declares) for declares in ([Ranks()], [Ranks("x")], [Marked()])}
    assert len({plain, *hashes}) == 4
    assert semantics_hash(views, "c1", 20, [Ranks(), Marked()]) == semantics_hash(
        views, "c1", 20, [Marked(), Ranks()]
    )
    one, other = (meaning_of(views, "c1", 20, [each]) for each in (Ranks(), Ranks("x")))
    assert all(one.definitions[name] != other.definitions[name] for name in one.definitions)


def test_the_speed_layer_decodes_what_declarations_read_and_projects_what_they_derive() -> None:
    made = bound(ORDERS, FIRSTS)
    plan = Plan.of(made.views, made.declarations)
    assert plan.columns == ("buyer", "event_time", "price")
    assert any("`rank`" in sql for sql in plan.select())


def test_only_what_is_additive_is_added_to_a_version() -> None:
    check_additive([Marked()])
    with pytest.raises(NotExact, match="recompute all"):
        check_additive([Marked(), Ranks()])


def test_a_class_that_a_layer_does_not_know_is_refused_by_name() -> None:
    frame = cast(DataFrame, SimpleNamespace())
    history = History(bound().contract, [])
    assert derive_in_batch(frame, (), history) is frame
    with pytest.raises(DefinitionError, match=r"the batch layer derives nothing of Ranks\(by='buyer'"):
        derive_in_batch(frame, [Ranks()], history)
    assert step_of("batch layer", {Ranks: 1}, Ranks()) == 1


def test_a_doubt_about_a_derived_column_touches_the_views_that_use_it() -> None:
    made, frame = bound(ORDERS, FIRSTS, PLAIN), cast(DataFrame, SimpleNamespace())
    about_rank = Contested(frame, Cause.OUT_OF_ORDER, frozenset({"rank"}))
    assert [about_rank.touches(view) for view in made.views.values()] == [True, False]
    assert Contested(frame, Cause.OUT_OF_ORDER).touches(made.views["plain"])
    assert SegmentEvents(frame, False, (about_rank,)).contested == (about_rank,)


def test_what_the_api_derives_nothing_of_is_refused_where_a_view_needs_it() -> None:
    made = bound(ORDERS, FIRSTS, PLAIN)
    with pytest.raises(Problem, match="the API derives nothing of Ranks") as caught:
        history_of(made, made.views["firsts"])
    assert (caught.value.kind, caught.value.extensions["allowed"]) == ("not-evaluable", "version=N")
    assert history_of(made, made.views["plain"]) == []
    assert applied(made, made.views["plain"]).view.name == "plain"


def test_a_view_needs_what_its_columns_are_derived_from_as_well() -> None:
    pages = Visits(user="buyer").bind({"buyer": "string"})
    made = replace(
        bound(ORDERS, FIRSTS, PLAIN), declarations=(Ranks(by="buyer", name="buyer"), pages, Ranks())
    )
    firsts = made.views["firsts"]
    assert made.deriving(firsts) == [Ranks(by="buyer", name="buyer"), Ranks()]
    assert made.deriving(made.views["plain"]) == []
