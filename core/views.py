"""Views: what an application defines, and what the layers get once it is compiled."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise, starmap
from typing import Any

from core.buckets import parse_bucket, tiles_of
from core.corrections import corrections_of
from core.errors import DefinitionError, DuplicateView, UnknownName
from core.expressions import Expression, compile_expression
from core.keys import KEY_TYPES, columns_in, key_text, key_text_sql, part_text
from core.measures import Measure, Partial, Slot
from core.names import RESERVED, check_name
from core.packing import Codec, fold, retracted
from core.sources import Source
from core.uncorrected import Uncorrected, correctable

_PARAMETERS = (  # of questions: no part of a key is named like one
    "last", "zone", "by", "n", "order", "limit", "cursor", "version", "as_of_cut", "as_of_offsets",
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """A function of all events of a source: which, by what key, what is measured, how fine in time.

    `key` names columns, or maps a name to an SQL expression; an empty key makes one row of everything.
    `where` keeps the events for which it is true.
    """

    name: str
    source: Source
    measures: Mapping[str, Measure]
    key: Sequence[str] | Mapping[str, str] = ()
    bucket: str = "1 hour"
    where: str | None = None
    description: str = ""

    def compile(self, columns: Mapping[str, str]) -> "CompiledView":
        """Check this view against the columns (name -> type) of its source; raises `DefinitionError`."""
        try:
            return self._compile(dict(columns))
        except DefinitionError as error:
            error.add_note(f"in view {self.name!r} of source {self.source.name!r}")
            raise

    def _compile(self, columns: dict[str, str]) -> "CompiledView":
        check_name("view", self.name)
        for name in self._key:
            check_name("key part", name, (*RESERVED, *_PARAMETERS))
        for name in self.measures:
            check_name("measure", name)
        names = [name.lower() for name in (*self._key, *self.measures)]
        if not self.measures or len(set(names)) < len(names):
            # SQL knows no case
            raise DefinitionError(
                f"view {self.name!r} needs measures, named unlike each other and unlike its key parts"
            )
        return CompiledView(
            name=self.name,
            description=self.description,
            width=parse_bucket(self.bucket),
            key={name: key_part(text, columns) for name, text in self._key.items()},
            where=_condition(self.where, columns),
            measures={name: self._kept(measure.bind(columns)) for name, measure in self.measures.items()},
            event_time=f"`{self.source.event_time}`",
        )

    def _kept(self, measure: Measure) -> Measure:
        """The measure as both layers keep it: where events are corrected, with what it could not follow."""
        return correctable(measure) if corrections_of(self.source) else measure

    @property
    def _key(self) -> dict[str, str]:
        if isinstance(self.key, str):
            raise DefinitionError(
                f"view {self.name!r}: key={self.key!r} is one text; write key=({self.key!r},)"
            )
        return dict(self.key) if isinstance(self.key, Mapping) else {name: name for name in self.key}

    @property
    def meaning(self) -> dict[str, Any]:
        """All of this view that changes what its numbers mean."""
        # as lists: another order of key parts or measures is another layout of all that is stored
        measures = [[name, repr(measure)] for name, measure in self.measures.items()]
        return {
            "name": self.name,
            "key": [[name, text] for name, text in self._key.items()],
            "where": self.where,
            "bucket": self.bucket,
            "measures": measures,
        }


@dataclass(frozen=True)
class CompiledView:
    """A view checked against its contract: SQL for Spark, and plain functions over partials.

    Measures of events that later ones may make count otherwise are `recounted` by batch.
    """

    name: str
    description: str
    width: int
    key: dict[str, Expression]
    where: str
    measures: dict[str, Measure]
    event_time: str
    recounted: tuple[str, ...] = ()
    codec: Codec = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", Codec(tuple(slot for _, slot in self.slots)))

    @property
    def tiles(self) -> tuple[int, ...]:
        """Widths in seconds, finest first."""
        return tiles_of(self.width)

    @property
    def slots(self) -> list[tuple[str, Slot]]:
        """Column name and slot of every part of a partial, in order."""
        return [
            (f"{name}__{slot.suffix}" if slot.suffix else name, slot)
            for name, measure in self.measures.items()
            for slot in measure.slots
        ]

    @property
    def columns(self) -> list[str]:
        return [column for column, _ in self.slots]

    @cached_property
    def reads(self) -> frozenset[str]:
        """The event columns that key, condition, measures and bucket are made of."""
        inputs = [measure.sql for measure in self.measures.values()]
        texts = [*(part.sql for part in self.key.values()), self.where, self.event_time, *inputs]
        return frozenset(name for text in texts for name in columns_in(text))

    @property
    def key_sql(self) -> str:
        """SQL of the key's text, over event columns."""
        return key_text_sql([part.sql for part in self.key.values()])

    @property
    def bucket_sql(self) -> str:
        """SQL of the finest bucket's start in seconds, over event columns."""
        seconds = f"unix_seconds({self.event_time})"
        return f"({seconds} - pmod({seconds}, {self.width}L))"

    @property
    def partial_sql(self) -> dict[str, str]:
        """Column -> aggregate over events."""
        found = [sql for measure in self.measures.values() for sql in measure.partial_sql(measure.sql)]
        return dict(zip(self.columns, found, strict=True))

    @property
    def merge_sql(self) -> dict[str, str]:
        """Column -> aggregate over partials of this view."""
        names, found = iter(self.columns), list[str]()
        for measure in self.measures.values():
            found.extend(measure.merge_sql(*[f"`{next(names)}`" for _ in measure.slots]))
        return dict(zip(self.columns, found, strict=True))

    @property
    def zero(self) -> Partial:
        return tuple(value for measure in self.measures.values() for value in measure.zero)

    def merge(self, left: Partial, right: Partial) -> Partial:
        return fold(tuple(self.measures.values()), (left, right))

    def merge_all(self, partials: Sequence[Partial]) -> Partial:
        """Many partials merged in one pass; `zero` if there are none."""
        return fold(tuple(self.measures.values()), partials)

    def retracted(self, partial: Partial, events: int) -> Partial:
        """What merged in takes back the `events` that a partial is of, as far as measures can."""
        return retracted(tuple(self.measures.values()), partial, events)

    def lift(self, values: Mapping[str, Any]) -> Partial:
        """The partial of one event, given each measure's input value by the measure's name (for oracles)."""
        return tuple(v for name, measure in self.measures.items() for v in measure.lift(values[name]))

    def present(self, partial: Partial) -> dict[str, Any]:
        """What an answer shows for each measure."""
        return {name: present(partial[at]) for name, present, at in self._shown}

    @cached_property
    def _shown(self) -> tuple[tuple[str, Callable[[Partial], Any], slice], ...]:
        return tuple((name, self.measures[name].present, at) for name, at in self.places.items())

    def uncorrected(self, partial: Partial) -> dict[str, int]:
        """The measures that hold events which were corrected, and how many of these; empty if none does."""
        found = {name: self.measures[name].uncorrected(partial[self.places[name]]) for name in self._followed}
        return {name: events for name, events in found.items() if events}

    @cached_property
    def _followed(self) -> list[str]:
        """The measures that no event can be taken back from, where a source declares corrections."""
        return [name for name, measure in self.measures.items() if isinstance(measure, Uncorrected)]

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where the slots of each measure lie in a partial."""
        ends = list(accumulate(len(measure.slots) for measure in self.measures.values()))
        return dict(zip(self.measures, starmap(slice, pairwise([0, *ends])), strict=True))

    def key_of(self, parts: Mapping[str, Any]) -> str:
        """The key's text for values by part name; a value of None is NULL."""
        return key_text([part_text(parts[name]) for name in self.key])


def key_part(text: str, columns: Mapping[str, str]) -> Expression:
    """A part of a key, compiled; raises `DefinitionError` for a type that no key has."""
    part = compile_expression(text, columns)
    if part.type not in KEY_TYPES:
        raise DefinitionError(f"key part {text!r} is {part.type}; a key part is {', '.join(KEY_TYPES)}")
    return part


def _condition(text: str | None, columns: Mapping[str, str]) -> str:
    if text is None:
        return "true"
    condition = compile_expression(text, columns)
    if condition.type != "boolean":
        raise DefinitionError(f"where={text!r} is {condition.type}; a condition is boolean")
    return condition.sql


def by_name(views: Iterable[View]) -> dict[str, View]:
    """Views by their names; raises `DuplicateView`."""
    found: dict[str, View] = {}
    for view in views:
        twin = next((name for name in found if name.lower() == view.name.lower()), None)
        if twin:
            raise DuplicateView(f"view {view.name!r} is defined twice ({twin!r}); rename one of them")
        found[view.name] = view
    return found


def find(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    """`known[name]`, or `UnknownName` with the nearest."""
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]
