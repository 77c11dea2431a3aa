"""Questions: the parameters of `GET /v1/views/{view}`, checked.

Every part of the key is a parameter of its own name; `part.null=true` asks for the key where it is NULL (an
empty value is the empty text). `from` and `to` make a half-open range, open where one is left out; `every`
makes a series.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from core.buckets import DAY, HOUR, MINUTE, ceil, floor
from core.views import CompiledView
from serving_layer.moments import EARLIEST, LATEST, parse_moment
from serving_layer.problems import Problem

__all__ = ["MAX_ROWS", "STEPS", "Question", "parse_question"]

MAX_ROWS = 10_000
STEPS = {"minute": MINUTE, "hour": HOUR, "day": DAY}
_NULL = ".null"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")

KeyValue = str | int | bool | None


@dataclass(frozen=True)
class Question:
    """What is asked of a view. `start` and `end` are seconds since 1970, None where the range is open."""

    view: CompiledView
    key: Mapping[str, KeyValue]
    start: int | None = None
    end: int | None = None
    every: int | None = None

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
        return next((name for name, width in STEPS.items() if width == self.every), None)


def parse_question(view: CompiledView, given: Iterable[tuple[str, str]]) -> Question:
    """Raises `Problem`, which names the parameter, its value and what is allowed."""
    parameters = _once(given)
    _refuse_unknown(view, parameters)
    start, end = (_moment(name, parameters, view.width) for name in ("from", "to"))
    question = Question(view, _key(view, parameters), start, end, _every(view, parameters))
    _check_range(question)
    return question


def _once(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in given:
        if name in found:
            raise Problem.of_field("repeated-parameter", name, value, "one value")
        found[name] = value
    return found


def _refuse_unknown(view: CompiledView, parameters: Mapping[str, str]) -> None:
    known = ["from", "to", "every", *view.key, *(name + _NULL for name in view.key)]
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


def _moment(name: str, parameters: Mapping[str, str], width: int) -> int | None:
    return parse_moment(name, parameters[name], width) if name in parameters else None


def _every(view: CompiledView, parameters: Mapping[str, str]) -> int | None:
    name = parameters.get("every")
    if name is None:
        return None
    fitting = [step for step, width in STEPS.items() if width % view.width == 0]
    if name not in fitting:
        detail = f"every is {name!r}; view {view.name!r} has series by {', '.join(fitting)}"
        raise Problem.of_field("bad-every", "every", name, fitting, detail)
    return STEPS[name]


def _check_range(question: Question) -> None:
    if question.first >= question.last:
        detail = "from must lie before to: the range is half open, [from, to)"
        raise Problem.of_field("bad-range", "from", question.start, "a time before to", detail)
    if question.every and question.start is not None and question.end is not None:
        check_rows(floor(question.start, question.every), ceil(question.end, question.every), question.every)


def check_rows(start: int, end: int, every: int) -> None:
    """Raises `Problem` if [start, end) has more rows than an answer may have."""
    rows = (end - start) // every
    if rows > MAX_ROWS:
        name = next(name for name, width in STEPS.items() if width == every)
        detail = f"the series would have {rows} rows, at most {MAX_ROWS} are answered: shorten the range"
        raise Problem.of_field("too-many-rows", "every", name, f"at most {MAX_ROWS} rows", detail)
