"""What a source may say of ids, and what views may make of persons."""

from dataclasses import replace
from typing import Any

import pytest

from core import Count, Identity, Max, Source, Sum, Top, Uniques, View, Visits
from core.application import BoundSource
from core.contracts import Contract
from core.declarations import Declaration
from core.errors import DefinitionError, DuplicateView
from core.identity import PERSON, identity_of, pairs_name, person_counts, person_part, uses_persons
from core.narrowing import narrowed
from core.visits import bounces, visits
from speed_layer.plan import Plan
from tests.identity_kit import CONTRACT

PEOPLE = Source("shop.people", contract="visits", declares=[Identity("user", "same_as", "undone")])


def bound(source: Source = PEOPLE, *views: View) -> BoundSource:
    return BoundSource.of(source, Contract.load(CONTRACT), {view.name: view for view in views})


def of_people(name: str = "people", **given: Any) -> View:
    return View(name, PEOPLE, **{"measures": {"n": Count()}, **given})


def test_a_source_that_joins_ids_has_persons_and_a_view_of_its_pairs() -> None:
    counting = of_people("all", measures={"p": Uniques("person")})
    made = bound(PEOPLE, of_people(key=("page", "person")), counting)
    assert made.derived == {"person": "string", "same_said": "string"}
    assert set(made.views) == {"people", "all", "shop_people_pairs"} and pairs_name(PEOPLE) in made.views
    pairs = made.views["shop_people_pairs"]
    assert list(pairs.key) == ["one", "other"] and pairs.measures["newest"] == Max("same_said")
    assert [person_part(view) for view in made.views.values()] == [1, None, None]
    assert [person_counts(view) for view in made.views.values()] == [(), ("p",), ()]
    identity = identity_of(made.declarations)
    assert identity is not None and identity.reads == ["same_as", "undone", "user"]
    assert Plan.of(made.views, made.declarations).columns == (
        "event_time", "page", "same_as", "undone", "user",
    )  # fmt: skip
    assert identity_of(bound(replace(PEOPLE, declares=())).declarations) is None


def test_the_view_of_pairs_is_given_again_or_not_but_never_changed() -> None:
    made = bound()
    assert BoundSource.of(PEOPLE, made.contract, made.definitions).definitions == made.definitions
    with pytest.raises(DuplicateView, match="declares; rename yours"):
        bound(PEOPLE, of_people("shop_people_pairs"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"key": {"who": "lower(person)"}}, "one part of a key that is the column alone"),
        ({"key": {"a": "person", "b": "person"}}, "one part of a key that is the column alone"),
        ({"where": "person <> 'x'"}, "a condition on the id itself"),
        ({"measures": {"top": Top("person")}}, "measure 'top' cannot be made of person"),
        ({"measures": {"last": Max("person")}}, "which changes with every new pair"),
        ({"measures": {"n": Sum("if(person = 'x', 1, 0)")}}, "Uniques('person') or Count('person')"),
        ({"measures": {"n": Uniques("coalesce(person, 'x')")}}, "Uniques('person') or Count('person')"),
        ({"measures": {"n": Count("same_said")}}, "same_said is for view 'shop_people_pairs' alone"),
    ],
)
def test_what_persons_would_make_wrong_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        bound(PEOPLE, of_people(**given))
    assert says in str(caught.value) and "view 'people'" in str(caught.value)


@pytest.mark.parametrize(
    ("identity", "says"),
    [
        (Identity("usr", "same_as"), "did you mean 'user'"),
        (Identity("user", "size"), "Identity same='size' is long; it has to be string"),
        (Identity("user", "same_as", "size"), "Identity undone='size' is long; it has to be boolean"),
    ],
)
def test_what_it_is_made_of_has_to_fit(identity: Identity, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        bound(replace(PEOPLE, declares=[identity]))
    assert says in str(caught.value)


def test_what_joins_ids_is_in_the_hash_of_what_numbers_mean() -> None:
    others = [Identity("user", "same_as"), Identity("user", "page", "undone")]
    hashes = {bound(replace(PEOPLE, declares=[one])).semantics(20) for one in others}
    assert len({bound().semantics(20), *hashes}) == 3
    assert PERSON == "person"


def of_visitors(*declares: Declaration, **given: Any) -> BoundSource:
    source = replace(PEOPLE, declares=list(declares) or [*PEOPLE.declares, Visits(user="person")])
    return BoundSource.of(source, Contract.load(CONTRACT), {"v": View("v", source, **given)})


@pytest.mark.parametrize(
    ("given", "recounted"),
    [
        ({"measures": {"n": Count(), "visits": visits(), "bounces": bounces()}}, ("visits", "bounces")),
        ({"key": ("visit_role",), "measures": {"n": Count()}}, ("n",)),
        ({"where": "visit_role = 'start'", "measures": {"n": Count()}}, ("n",)),
        ({"key": ("person",), "measures": {"n": Count()}}, ()),
        ({"measures": {"n": Count(), "people": Uniques("person")}}, ()),
    ],
)
def test_what_is_made_of_visits_of_persons_is_counted_again_by_batch(
    given: dict[str, Any], recounted: tuple[str, ...]
) -> None:
    made = of_visitors(**given)
    assert made.view("v").recounted == recounted and uses_persons(made.view("v"))
    assert not uses_persons(made.view(pairs_name(PEOPLE)))
    assert narrowed(made.view("v"), ["n"]).recounted == tuple(name for name in recounted if name == "n")


def test_visits_of_users_are_not_about_persons() -> None:
    view = of_visitors(*PEOPLE.declares, Visits(user="user"), measures={"visits": visits()}).view("v")
    assert view.recounted == () and not uses_persons(view)


def test_visits_of_persons_need_what_persons_are_made_of() -> None:
    made = of_visitors(key=("page",), measures={"visits": visits()})
    assert set(made.used) == {"event_time", "page", "same_as", "undone", "user"}
    assert Plan.of(made.views, made.declarations).columns == tuple(sorted(made.used))
    assert [type(one) for one in made.deriving(made.view("v"))] == [Identity, Visits]
    assert made.needed_for(["visit_role"]) == {"same_as", "undone", "user"}


@pytest.mark.parametrize(
    ("declares", "says"),
    [
        ([Visits(user="person"), *PEOPLE.declares], "unknown column 'person'"),
        ([*PEOPLE.declares, Visits(user="person", carry=["same_said"])], "for the view of pairs alone"),
    ],
)
def test_visits_of_persons_come_behind_what_says_who_they_are(declares: list[Declaration], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        of_visitors(*declares, measures={"n": Count()})
