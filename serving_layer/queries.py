"""Queries: one question asked of up to 1,000 keys, the body of `POST /v1/views/{view}/query`.

    {"keys": [{"channel": "#en.wikipedia", "page": "Ada"}, ...], "from": ..., "measures": ["edits"]}

Parts of keys are JSON values, null for NULL; the range is asked for as in `GET /v1/views/{view}`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from core.errors import UnknownName
from core.narrowing import narrowed
from core.views import CompiledView
from serving_layer.bodies import parse_json
from serving_layer.problems import Problem
from serving_layer.questions import KeyValue, Question, parse_question
from serving_layer.spans import PARAMETERS

__all__ = ["MAX_KEYS", "MAX_QUERY_ROWS", "Query", "check_rows", "chosen_measures", "parse_query"]

MAX_KEYS = 1_000
MAX_QUERY_ROWS = 25_000
_OWN = ("keys", "measures")


@dataclass(frozen=True)
class Query:
    """`question` is asked of each key, its own key aside, and answered with some of the view's measures."""

    question: Question
    keys: tuple[Mapping[str, KeyValue], ...]
    measures: tuple[str, ...]

    @cached_property
    def texts(self) -> list[str]:
        """The text of each key."""
        return list(map(self.question.view.key_of, self.keys))


def parse_query(view: CompiledView, body: bytes, clock: Callable[[], float]) -> Query:
    """Raises `Problem`, which names the member at fault, its value and what is allowed."""
    asked = parse_json(body)
    if not isinstance(asked, dict):
        raise Problem.of_field("bad-query", "body", type(asked).__name__, 'an object with "keys"')
    _refuse_unknown(asked)
    range_ = [(name, _range_text(name, asked[name])) for name in PARAMETERS if name in asked]
    nulls = [(f"{name}.null", "true") for name in view.key]
    question = parse_question(view, [*range_, *nulls], clock)
    keys = tuple(_key(view, place, key) for place, key in enumerate(_keys(asked)))
    check_rows(question, len(keys))
    return Query(question, keys, chosen_measures(view, asked.get("measures")))


def check_rows(question: Question, keys: int) -> None:
    """Raises `Problem` where a series of so many keys is open, or would have too many rows."""
    if question.every is None:
        return
    if question.edges is None:
        detail = "a series of many keys needs both ends of its range: give from and to, or last"
        raise Problem.of_field("bad-every", "every", question.every_name, "a range with both ends", detail)
    rows = (len(question.edges) - 1) * keys
    if rows > MAX_QUERY_ROWS:
        detail = f"{keys} keys would have {rows} rows: ask for fewer keys, wider steps or less time"
        allowed = f"at most {MAX_QUERY_ROWS} rows"
        raise Problem.of_field("too-many-rows", "every", question.every_name, allowed, detail)


def chosen_measures(view: CompiledView, names: Any) -> tuple[str, ...]:
    """The measures that are named, or all of them; raises `Problem`."""
    if names is None:
        return tuple(view.measures)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise Problem.of_field("bad-query", "measures", names, list(view.measures))
    try:
        return tuple(narrowed(view, names).measures)
    except UnknownName as error:
        raise Problem.of_field(
            "unknown-measure", "measures", names, list(view.measures), str(error)
        ) from error


def _refuse_unknown(asked: Mapping[str, Any]) -> None:
    known = [*_OWN, *PARAMETERS]
    for name, value in asked.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            text = f"a query has no member {name!r}{hint} There are: {', '.join(known)}"
            raise Problem("unknown-parameter", text, field=name, value=value, allowed=known)


def _range_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and name in ("from", "to"):
        return str(value)
    raise Problem.of_field("bad-query", name, value, f"a text, as the parameter {name} of GET")


def _keys(asked: Mapping[str, Any]) -> Sequence[Any]:
    keys = asked.get("keys")
    if not isinstance(keys, list) or not keys:
        raise Problem.of_field("bad-query", "keys", keys, f"a list of 1 to {MAX_KEYS} keys")
    if len(keys) > MAX_KEYS:
        raise Problem.of_field("too-many-keys", "keys", f"{len(keys)} keys", f"at most {MAX_KEYS} keys")
    return keys


def _key(view: CompiledView, place: int, key: Any) -> dict[str, KeyValue]:
    where = f"keys[{place}]"
    if not isinstance(key, dict):
        raise Problem.of_field(
            "bad-key-part", where, key, f"an object with {', '.join(view.key) or 'nothing'}"
        )
    for name in key:
        if name not in view.key:
            raise Problem.of_field("bad-key-part", f"{where}.{name}", key[name], list(view.key))
    return {name: _part(f"{where}.{name}", name, key, view.key[name].family) for name in view.key}


def _part(where: str, name: str, key: Mapping[str, Any], kind: str) -> KeyValue:
    if name not in key:
        detail = f"{where} is missing: every part of a key is named, null for events without one"
        raise Problem("missing-key-part", detail, field=where, value=None, allowed=f"a {kind}, or null")
    value = key[name]
    if value is None or _fits(value, kind):
        fitting: KeyValue = value
        return fitting
    allowed = {"long": "a whole number of 64 bits", "boolean": "true or false"}.get(kind, "a text in UTF-8")
    raise Problem.of_field("bad-key-part", where, value, f"{allowed}, or null")


def _fits(value: Any, kind: str) -> bool:
    if kind == "long":
        return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63
    return isinstance(value, bool if kind == "boolean" else str)
