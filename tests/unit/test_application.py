"""Applications: modules of definitions, also from a package outside the clone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conf.settings import ROOT
from core.application import Application
from core.contracts import Contract
from core.errors import ContractError, DefinitionError, DuplicateView, UnknownName

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: orders
version: "1.0.0"
status: active
schema:
  - name: orders
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: buyer, logicalType: string}
      - {name: price, logicalType: number, physicalType: "decimal(10,2)"}
"""
DEFINITIONS = """
from core import Count, Source, Sum, View

ORDERS = Source("shop.orders", contract="orders")
VIEWS = [
    View("revenue", ORDERS, key=("buyer",), measures={"orders": Count(), "revenue": Sum("price")}),
    View("orders", ORDERS, measures={"orders": Count()}),
]
"""
Load = Callable[..., Application]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads definitions from a package of the user's own, outside the clone."""
    package = f"shop_{abs(hash(tmp_path)) % 10**9}"

    def load(definitions: str = DEFINITIONS, contract: str = CONTRACT) -> Application:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "views.py").write_text(definitions)
        (tmp_path / "contracts").mkdir()
        (tmp_path / "contracts" / "orders.yaml").write_text(contract)
        monkeypatch.syspath_prepend(str(tmp_path))
        return Application.load(f"{package}.views", tmp_path / "contracts")

    return load


def test_an_application_may_live_outside_the_clone(load: Load) -> None:
    application = load()
    bound = application.source()
    assert bound.source.name == "shop.orders" and application.source("shop.orders") is bound
    assert sorted(bound.views) == ["orders", "revenue"]
    assert isinstance(bound.contract, Contract)
    assert application.owner("revenue") is bound
    assert len(bound.semantics(20)) == 16 and bound.semantics(20) != bound.semantics(21)


def test_the_application_of_the_clone_loads() -> None:
    application = Application.load("conf.definitions.wikipedia", ROOT / "conf" / "contracts")
    assert len(application.source("wikipedia.edits").views) >= 6


def test_the_application_with_visits_has_all_views_of_the_other_and_its_own() -> None:
    folder = ROOT / "conf" / "contracts"
    plain = Application.load("conf.definitions.wikipedia", folder).source()
    bound = Application.load("conf.definitions.wikipedia_visits", folder).source()
    assert (
        bound.views.keys() - plain.views.keys() == {"visits_by_channel"}
        and plain.views.keys() < bound.views.keys()
    )
    assert bound.derived_in(bound.view("visits_by_channel")) == ["visit_role", "visit_step", "visit_channel"]
    assert bound.semantics(20) != plain.semantics(20) and not bound.derived_in(bound.view("wiki"))


def test_an_unknown_view_or_source_suggests_the_nearest(load: Load) -> None:
    application = load()
    with pytest.raises(UnknownName, match="did you mean 'revenue'"):
        application.source().view("revenu")
    with pytest.raises(UnknownName, match="did you mean 'revenue'"):
        application.owner("revenues")
    with pytest.raises(UnknownName, match=r"unknown source 'shop\.order'"):
        application.source("shop.order")


def test_a_source_may_have_no_view_yet(load: Load) -> None:
    application = load('from core import Source\nSOURCES = [Source("o", contract="orders")]\n')
    assert application.source().views == {}


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('"price"', '"prise"', UnknownName, "did you mean 'price'"),
        ('View("orders"', 'View("revenue"', DuplicateView, "'revenue' is defined twice"),
        ("VIEWS = [", "OTHER = [", DefinitionError, "defines neither VIEWS nor SOURCES"),
        ("from core import", "import missing_module\nfrom core import", DefinitionError, "missing_module"),
        (
            'View("orders", ORDERS',
            'View("orders", Source("shop.orders", contract="orders", topic="t2")',
            DefinitionError,
            "source 'shop.orders' is defined twice",
        ),
    ],
)
def test_a_mistake_in_definitions_is_named(
    load: Load, old: str, new: str, error: type[Exception], message: str
) -> None:
    assert old in DEFINITIONS
    with pytest.raises(error) as caught:
        load(DEFINITIONS.replace(old, new, 1))
    assert message in str(caught.value)


def test_a_missing_contract_is_named(load: Load) -> None:
    with pytest.raises(ContractError, match=r"missing\.yaml"):
        load(DEFINITIONS.replace('contract="orders"', 'contract="missing"'))


def test_a_module_that_cannot_be_imported_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="set LAMBDA_APPLICATION"):
        Application.load("no_such_package.views", tmp_path)
