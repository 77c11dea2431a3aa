"""Listings: the keys that begin with the parts given, page by page, or those with the most of a measure.

The first parts of the key are parameters, as in `GET /v1/views/{view}`; those left out may be anything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.keys import key_text, parse_key
from core.ranking import Scorer, scorers
from core.views import CompiledView
from serving_layer.cursors import Cursor, digest_of, parse_cursor
from serving_layer.problems import Problem
from serving_layer.queries import check_rows
from serving_layer.questions import KeyValue, Question, parse_question

__all__ = ["MAX_PAGE", "Page", "Prefix", "Ranking", "key_of_text", "parse_page", "parse_ranking"]

MAX_PAGE = 1_000
_PAGE, _FIRST = 100, 10
_ORDERS = ("most", "least")
Given = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Prefix:
    """Keys of which the first parts have these values, asked one `question`; its own key is none of them."""

    question: Question
    parts: Mapping[str, KeyValue]

    @property
    def text(self) -> str:
        view = self.question.view
        whole = parse_key(view.key_of({name: self.parts.get(name) for name in view.key}))
        return key_text(whole[: len(self.parts)])


@dataclass(frozen=True)
class Page:
    """At most `limit` keys behind those of the page before. `digest` stands for the parameters."""

    prefix: Prefix
    limit: int
    digest: int
    cursor: Cursor | None = None


@dataclass(frozen=True)
class Ranking:
    """The `most` keys with the most of a figure of a measure, or with the least."""

    prefix: Prefix
    measure: str
    figure: str
    score: Scorer
    most: int
    least_first: bool = False

    @property
    def by(self) -> str:
        return f"{self.measure}.{self.figure}" if self.figure else self.measure


def parse_page(view: CompiledView, given: Given, clock: Callable[[], float]) -> Page:
    """Raises `Problem`, which names the parameter, its value and what is allowed."""
    prefix, own = _parse(view, given, clock, ("limit", "cursor"))
    limit = _count("limit", own.get("limit"), _PAGE, MAX_PAGE)
    check_rows(prefix.question, limit)
    digest = digest_of(view.name, [(name, value) for name, value in given if name not in ("limit", "cursor")])
    return Page(prefix, limit, digest, parse_cursor(own["cursor"], digest) if "cursor" in own else None)


def parse_ranking(view: CompiledView, given: Given, clock: Callable[[], float]) -> Ranking:
    """Raises `Problem`, which names the parameter, its value and what is allowed."""
    prefix, own = _parse(view, given, clock, ("by", "n", "order"))
    if prefix.question.every is not None:
        detail = "keys are ranked over one range: leave every out, and ask for the series of the first keys"
        raise Problem.of_field("bad-every", "every", prefix.question.every_name, "nothing", detail)
    order = own.get("order", "most")
    if order not in _ORDERS:
        raise Problem.of_field("bad-query", "order", order, list(_ORDERS))
    measure, figure, score = _scorer(view, own.get("by"))
    most = _count("n", own.get("n"), _FIRST, MAX_PAGE)
    return Ranking(prefix, measure, figure, score, most, order == "least")


def key_of_text(view: CompiledView, text: str) -> dict[str, KeyValue]:
    """The values of a key's parts by name."""
    kinds = [part.family for part in view.key.values()]
    return {
        name: _value(part, kind) for name, part, kind in zip(view.key, parse_key(text), kinds, strict=True)
    }


def _value(part: str | None, kind: str) -> KeyValue:
    if part is None or kind not in ("long", "boolean"):
        return part
    return int(part) if kind == "long" else part == "true"


def _parse(
    view: CompiledView, given: Given, clock: Callable[[], float], own: Sequence[str]
) -> tuple[Prefix, dict[str, str]]:
    names = {name for name, _ in given}
    there = [name for name in view.key if name in names or f"{name}.null" in names]
    absent = [name for name in view.key if name not in there]
    gap = next((name for name in absent if name in list(view.key)[: len(there)]), None)
    if gap is not None:
        detail = f"keys of view {view.name!r} are {', '.join(view.key)} in this order; {gap} is missing"
        raise Problem("bad-prefix", detail, field=gap, value=None, allowed=f"{gap}=..., or {gap}.null=true")
    filled = [*given, *((f"{name}.null", "true") for name in absent)]
    question = parse_question(view, filled, clock, own)
    parts = {name: question.key[name] for name in there}
    return Prefix(question, parts), {name: value for name, value in given if name in own}


def _count(name: str, text: str | None, usual: int, most: int) -> int:
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise Problem.of_field("bad-count", name, text, f"a whole number from 1 to {most}")
    return int(text)


def _scorer(view: CompiledView, by: str | None) -> tuple[str, str, Scorer]:
    figures = {
        (name, figure): scorer
        for name, measure in view.measures.items()
        for figure, scorer in scorers(measure).items()
    }
    allowed = [f"{name}.{figure}" if figure else name for name, figure in figures]
    name, _, figure = (by or "").partition(".")
    if (name, figure) not in figures:
        detail = f"by is {by!r}; keys of view {view.name!r} can be ranked by {', '.join(allowed)}"
        raise Problem.of_field("unknown-measure", "by", by, allowed, detail)
    return name, figure, figures[name, figure]
