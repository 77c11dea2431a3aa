"""What the pages show is run, and what they list is what there is."""

import re
from typing import Any

import pytest

import core
from conf.settings import ROOT
from core.expressions import FUNCTIONS, compile_expression
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
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["definitions.md", "handoff.md"])
def test_examples_of_a_page_run_one_after_the_other(page: str) -> None:
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)
    for view in [value for value in names.values() if isinstance(value, View)]:
        view.compile(COLUMNS)


def test_every_measure_is_in_the_table_with_an_example() -> None:
    page = (DOCS / "definitions.md").read_text()
    examples = "".join(blocks("definitions.md", "python"))
    for name in set(core.__all__) - {"Source", "View"}:
        assert f"| `{name}(" in page or f", `{name}(" in page, name
        assert re.search(rf'": {name}\(', examples), name


def test_every_function_is_listed() -> None:
    assert " ".join(FUNCTIONS) in " ".join((DOCS / "definitions.md").read_text().split())


def test_the_hand_off_page_has_its_picture() -> None:
    assert [block.split()[0] for block in blocks("handoff.md", "mermaid")] == ["sequenceDiagram"]


def test_the_cast_that_the_page_advises_compiles() -> None:
    assert compile_expression("cast(price * price as decimal(18,4))", COLUMNS).type == "decimal(18,4)"
