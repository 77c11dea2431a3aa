"""A question in words: the path and the parameters it is asked with."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import wraps
from typing import Concatenate, Generic, ParamSpec, TypeVar
from urllib.parse import quote

from client.errors import QuestionError

__all__ = ["Moment", "Part", "Question", "in_words", "question"]

Part = str | int | bool | None
Moment = datetime | date | str | int
Asker = TypeVar("Asker")
Told = TypeVar("Told")
Words = ParamSpec("Words")


@dataclass(frozen=True)
class Question:
    """What is asked of a view."""

    view: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        return f"/v1/views/{quote(self.view, safe='')}"


def question(
    view: str,
    key: Mapping[str, Part] | None = None,
    /,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    last: timedelta | str | None = None,
    every: str | None = None,
    zone: str | None = None,
    version: int | None = None,
    as_of_cut: int | None = None,
    as_of_offsets: Mapping[int, int] | None = None,
    more: Mapping[str, str] | None = None,
    **parts: Part,
) -> Question:
    """One key of a view over [start, end), or over the time `last` until now; a series with `every`.

    The key's parts are arguments of their names, or `key` where a name is taken; None asks for NULL.
    `version`, `as_of_cut` and `as_of_offsets` (by partition) ask about the past. `more` are further
    parameters of the API. Raises `QuestionError`.
    """
    found = [_part(name, value) for name, value in {**(key or {}), **parts}.items()]
    found += _given(("from", _moment("start", start)), ("to", _moment("end", end)), ("last", _length(last)))
    found += _given(("every", every), ("zone", zone), ("version", _text(version)))
    found += _given(("as_of_cut", _text(as_of_cut)), ("as_of_offsets", _offsets(as_of_offsets)))
    return Question(view, (*found, *(more or {}).items()))


class InWords(Generic[Words]):
    """Turns a method that takes a question into one that takes the arguments of `make`."""

    def __init__(self, make: Callable[Words, Question]) -> None:
        self._make = make

    def __call__(self, ask: Callable[[Asker, Question], Told]) -> Callable[Concatenate[Asker, Words], Told]:
        make = self._make

        @wraps(ask)
        def asked(self: Asker, /, *words: Words.args, **named: Words.kwargs) -> Told:
            return ask(self, make(*words, **named))

        return asked


in_words = InWords(question)


def _given(*parameters: tuple[str, str | None]) -> Iterable[tuple[str, str]]:
    return [(name, value) for name, value in parameters if value is not None]


def _part(name: str, value: Part) -> tuple[str, str]:
    if value is None:
        return f"{name}.null", "true"
    return name, str(value).lower() if isinstance(value, bool) else str(value)


def _moment(name: str, value: Moment | None) -> str | None:
    """A date is its midnight in the question's zone; a number is milliseconds since 1970."""
    if isinstance(value, datetime) and value.tzinfo is None:
        raise QuestionError(f"{name} is {value!r}, which has no zone: give it a tzinfo, datetime.UTC say")
    if isinstance(value, date):  # a datetime is one as well
        return value.isoformat()
    return None if value is None else str(value)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _offsets(value: Mapping[int, int] | None) -> str | None:
    return None if value is None else ",".join(f"{part}:{offset}" for part, offset in sorted(value.items()))


def _length(value: timedelta | str | None) -> str | None:
    if not isinstance(value, timedelta):
        return value
    minutes, rest = divmod(value, timedelta(minutes=1))
    if rest:
        raise QuestionError(f"last is {value!r}: whole minutes are allowed")
    return f"{minutes}m"
