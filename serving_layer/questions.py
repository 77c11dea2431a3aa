"""Questions: the parameters of `GET /v1/views/{view}`, checked.

Every part of the key is a parameter of its own name; `part.null=true` asks for the key where it is NULL (an
empty value is the empty text). The others are those of `spans`.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from core.periods import Periods
from core.views import CompiledView
from serving_layer.moments import EARLIEST, LATEST
from serving_layer.problems import Problem
from serving_layer.spans import PARAMETERS, check_now, edges_within, parse_span

__all__ = ["Question", "parse_question"]

_NULL = ".null"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")

KeyValue = str | int | bool | None


@dataclass(frozen=True)
class Question:
    """What is asked of a view. `start` and `end` are seconds since 1970, None where the range is open.

    Times are shown as clocks of `zone` show them.
    """

    view: CompiledView
    key: Mapping[str, KeyValue]
    start: int | None = None
    end: int | None = None
    every: Periods | None = None
    zone: str = "UTC"

    @property
    def key_text(self) -> str:
        return self.view.key_of(self.key)

    @property
    def first(self) -> int:
        """The range's start, or the earliest there is."""
        return EARLIEST if self.start is None else self.start

    @property
    def last(self) -> int:
        """The range's end, or the latest there is."""
        return LATEST if self.end is None else self.end

    @property
    def every_name(self) -> str | None:
        return self.every.unit if self.every else None

    @property
    def open_in_zone(self) -> bool:
        """Whether it is a series of which nobody knows the rows, and so their tiles, before it is read."""
        return self.every is not None and self.every.zone != "UTC" and self.edges is None

    @cached_property
    def edges(self) -> tuple[int, ...] | None:
        """Where rows of the series begin and end; None for no series, and for one that is open at an end."""
        if self.every is None or self.start is None or self.end is None:
            return None
        return edges_within(self.every, self.view, self.start, self.end)


def parse_question(
    view: CompiledView,
    given: Iterable[tuple[str, str]],
    clock: Callable[[], float] = time.time,
    also: Sequence[str] = (),
) -> Question:
    """Raises `Problem`, which names the parameter, its value and what is allowed; `also` are left aside."""
    parameters = _once(given)
    _refuse_unknown(view, parameters, also)
    span = parse_span(view, parameters, clock)
    question = Question(view, _key(view, parameters), span.start, span.end, span.every, span.zone)
    if question.every and question.edges is None:
        # what could not be answered now is refused, whether there are events yet or not
        check_now(question.every, view, clock)
    return question


def _once(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in given:
        if name in found:
            raise Problem.of_field("repeated-parameter", name, value, "one value")
        found[name] = value
    return found


def _refuse_unknown(view: CompiledView, parameters: Mapping[str, str], also: Sequence[str]) -> None:
    known = [*PARAMETERS, *also, *view.key, *(name + _NULL for name in view.key)]
    for name, value in parameters.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            shown = [name for name in known if not name.endswith(_NULL)]
            text = f"view {view.name!r} has no parameter {name!r}{hint} There are: {', '.join(shown)}"
            raise Problem("unknown-parameter", text, field=name, value=value, allowed=known)


def _key(view: CompiledView, parameters: Mapping[str, str]) -> dict[str, KeyValue]:
    return {name: _part(view, name, parameters) for name in view.key}


def _part(view: CompiledView, name: str, parameters: Mapping[str, str]) -> KeyValue:
    null = parameters.get(name + _NULL, "false")
    if null not in ("true", "false"):
        raise Problem.of_field("bad-key-part", name + _NULL, null, ["true", "false"])
    if null == "true":
        if name in parameters:
            raise Problem.of_field(
                "bad-key-part", name, parameters[name], f"nothing beside {name}{_NULL}=true"
            )
        return None
    if name not in parameters:
        kind = view.key[name].type
        allowed = f"{name}=<{kind}>, or {name}{_NULL}=true for events without one"
        text = f"view {view.name!r} is kept by {', '.join(view.key)}; {name} is missing: add {allowed}"
        raise Problem("missing-key-part", text, field=name, value=None, allowed=allowed)
    return _typed(name, parameters[name], view.key[name].family)


def _typed(name: str, text: str, kind: str) -> KeyValue:
    if kind == "boolean":
        if text not in ("true", "false"):
            raise Problem.of_field("bad-key-part", name, text, ["true", "false"])
        return text == "true"
    if kind == "long":
        if not _INTEGER.fullmatch(text) or not -(1 << 63) <= int(text) < 1 << 63:
            raise Problem.of_field("bad-key-part", name, text, "a whole number of 64 bits")
        return int(text)
    return _writable(name, text)


def _writable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Problem.of_field("bad-key-part", name, ascii(text), "text that UTF-8 can write") from None
    return text
