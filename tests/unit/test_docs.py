"""What the pages show is run, and what they list is what there is."""

import re
from typing import Any

import core
from conf.settings import ROOT
from core.expressions import FUNCTIONS, compile_expression
from core.measures import Measure
from core.views import View

DOCS = ROOT / "docs"
COLUMNS = {
    "order_id": "string",
    "placed_at": "timestamp",
    "buyer": "string",
    "country": "string",
    "vat_id": "string",
    "state": "string",
    "coupon": "string",
    "price": "decimal(10,2)",
    "items": "long",
    "gift": "boolean",
    "continent": "string",
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_examples_of_views_run_one_after_the_other() -> None:
    names: dict[str, Any] = {}
    for block in blocks("definitions.md", "python"):
        exec(compile(block, "definitions.md", "exec"), names)
    views = [value for value in names.values() if isinstance(value, View)]
    assert views
    for view in views:
        assert view.compile(COLUMNS).measures, view.name


def test_every_measure_is_in_the_table_with_an_example() -> None:
    page = (DOCS / "definitions.md").read_text()
    examples = "".join(blocks("definitions.md", "python"))
    for name in [name for name in core.__all__ if issubclass(getattr(core, name), Measure)]:
        assert f"| `{name}(" in page or f", `{name}(" in page, name
        assert re.search(rf'": {name}\(', examples), name


def test_every_function_is_listed() -> None:
    assert " ".join(FUNCTIONS) in " ".join((DOCS / "definitions.md").read_text().split())


def test_the_hand_off_page_has_its_picture() -> None:
    assert [block.split()[0] for block in blocks("handoff.md", "mermaid")] == ["sequenceDiagram"]


def test_the_cast_that_the_page_advises_compiles() -> None:
    assert compile_expression("cast(price * price as decimal(18,4))", COLUMNS).type == "decimal(18,4)"
