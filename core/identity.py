"""Which ids are one person: a declaration by which events say so, and what views may make of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from core.declarations import Declaration
from core.errors import DefinitionError
from core.exact import Count, Max
from core.expressions import Expression, compile_expression
from core.keys import columns_in
from core.sketches import Uniques
from core.sources import Source
from core.views import CompiledView, View

__all__ = [
    "PERSON", "SAID", "Identity", "identity_of", "pairs_name", "person_counts", "person_part", "uses_persons",
    "with_recounted",
]  # fmt: skip

PERSON = "person"
SAID = "same_said"  # what an event says of two ids, and where in the log: `core.groups.word`
_PERSON_SQL = f"`{PERSON}`"


@dataclass(frozen=True)
class Identity(Declaration):
    """An event whose `same` is not NULL says that `id` and `same` are one person; where `undone` is true it
    takes back what earlier events said of the two.

    All three are SQL over the contract's columns. Of all that count the newest event about two ids decides,
    by log order. The derived column `person` is the least id of all that are one with `id`, however far.
    """

    id: str
    same: str
    undone: str = "false"
    compiled: tuple[Expression, ...] = field(default=(), repr=False, compare=False)

    def bind(self, columns: Mapping[str, str]) -> Self:
        texts = {"id": self.id, "same": self.same, "undone": self.undone}
        wanted = {"id": "string", "same": "string", "undone": "boolean"}
        found = {name: compile_expression(text, columns) for name, text in texts.items()}
        for name, one in found.items():
            if one.type != wanted[name]:
                raise DefinitionError(
                    f"Identity {name}={texts[name]!r} is {one.type}; it has to be {wanted[name]}"
                )
        return replace(self, compiled=tuple(found.values()))

    @property
    def columns(self) -> Mapping[str, str]:
        return {PERSON: "string", SAID: "string"}

    @property
    def reads(self) -> Sequence[str]:
        return sorted({name for one in self.compiled for name in columns_in(one.sql)})

    @property
    def id_sql(self) -> str:
        return self.compiled[0].sql

    @property
    def same_sql(self) -> str:
        return self.compiled[1].sql

    @property
    def undone_sql(self) -> str:
        return f"coalesce({self.compiled[2].sql}, false)"

    @property
    def says_sql(self) -> str:
        """Whether an event says something of two ids."""
        one, other = self.id_sql, self.same_sql
        return f"({other} IS NOT NULL AND {one} IS NOT NULL AND {one} <> {other})"

    def word_sql(self, segment: str, partition: str, offset: str) -> str:
        """`core.groups.word` of an event, NULL where it says nothing; the place is SQL of whole numbers."""
        sign = f"if({self.undone_sql}, '-', '+')"
        word = f"format_string('%010d.%06d.%019d%s', {segment}, {partition}, {offset}, {sign})"
        return f"if({self.says_sql}, {word}, NULL)"

    def views(self, source: Source) -> Sequence[View]:
        """The newest word on every pair of ids, kept as any view is."""
        id_, same = f"({self.id})", f"({self.same})"
        pairs = View(
            pairs_name(source),
            source,
            key={"one": f"least({id_}, {same})", "other": f"greatest({id_}, {same})"},
            where=f"{same} is not null and {id_} is not null and {id_} <> {same}",
            bucket="1 day",
            measures={"newest": Max(SAID)},
            description="The newest word on every pair of ids, by log order: + one person, - undone.",
        )
        return (pairs,)

    def objection(self, view: CompiledView, source: Source) -> str | None:
        """Persons change as pairs come: what is made of them must be mergeable, or bounded."""
        if view.name == pairs_name(source):
            return None
        if SAID in view.reads:
            return f"{SAID} is for view {pairs_name(source)!r} alone"
        if _PERSON_SQL in view.where:
            return _changes("its condition", "a condition on the id itself")
        return _of_key(view) or _of_measures(view)


def _of_key(view: CompiledView) -> str | None:
    keys = [name for name, part in view.key.items() if _PERSON_SQL in part.sql]
    if len(keys) > 1 or any(view.key[name].sql != _PERSON_SQL for name in keys):
        return _changes(f"key {', '.join(keys)}", "one part of a key that is the column alone")
    return None


def _of_measures(view: CompiledView) -> str | None:
    for name, measure in view.measures.items():
        bounded = isinstance(measure, Uniques | Count) and measure.sql == _PERSON_SQL
        if _PERSON_SQL in measure.sql and not bounded:
            return _changes(f"measure {name!r}", f"Uniques({PERSON!r}) or Count({PERSON!r})")
    return None


def _changes(what: str, allowed: str) -> str:
    return f"{what} cannot be made of {PERSON}, which changes with every new pair; allowed is {allowed}"


def pairs_name(source: Source) -> str:
    """The view of what a source's events say of two ids."""
    return f"{source.name.replace('.', '_').replace('-', '_')}_pairs"


def identity_of(declarations: Sequence[Declaration]) -> Identity | None:
    """The one of a bound source that says which ids are one person, if it says so."""
    return next((declared for declared in declarations if isinstance(declared, Identity)), None)


def person_part(view: CompiledView) -> int | None:
    """Which part of a view's key is a person; None if none is."""
    return next((at for at, part in enumerate(view.key.values()) if part.sql == _PERSON_SQL), None)


def person_counts(view: CompiledView) -> tuple[str, ...]:
    """The measures that count persons within bounds."""
    return tuple(
        name
        for name, measure in view.measures.items()
        if isinstance(measure, Uniques) and measure.sql == _PERSON_SQL
    )


def with_recounted(view: CompiledView, declarations: Sequence[Declaration]) -> CompiledView:
    """The view, and which of its measures are of what is derived from events of one person: a pair that comes
    later changes them for events that were counted already."""
    if identity_of(declarations) is None:
        return view
    columns = {name for one in declarations if PERSON in one.reads for name in one.columns}
    texts = {name: measure.sql for name, measure in view.measures.items()}
    if any(_reads(text, columns) for text in (view.where, *(part.sql for part in view.key.values()))):
        return replace(view, recounted=tuple(texts))
    return replace(view, recounted=tuple(name for name, text in texts.items() if _reads(text, columns)))


def _reads(sql: str, columns: Collection[str]) -> bool:
    return not set(columns_in(sql)).isdisjoint(columns)


def uses_persons(view: CompiledView) -> bool:
    """Whether answers depend on which ids are one person."""
    return person_part(view) is not None or bool(person_counts(view)) or bool(view.recounted)
