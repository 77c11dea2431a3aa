"""A view applied to single events in plain Python: what Spark does with it over millions of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.buckets import floor
from core.conversions import Run
from core.evaluation import evaluator
from core.measures import Measure, Partial
from core.ratios import DENOMINATOR, NUMERATOR, Ratio
from core.views import CompiledView, View

__all__ = ["Derive", "PerEvent"]

Values = Mapping[str, Any]
Derive = Callable[[Values], Values]
_MICROS = 1_000_000


@dataclass(frozen=True)
class PerEvent:
    """Functions of an event's decoded values by column."""

    view: CompiledView
    event_time: str
    _key: Mapping[str, Run]
    _where: Run
    _inputs: Mapping[str, Run]
    _derives: Sequence[Derive] = ()

    @classmethod
    def of(
        cls, definition: View, view: CompiledView, columns: Mapping[str, str], derives: Sequence[Derive] = ()
    ) -> "PerEvent":
        """A definition and what it compiles to over `columns`, of which `derives` give those that an event's
        record does not hold. Raises `NotEvaluable`."""
        run = partial(_run, columns, derives)
        key = definition.key if isinstance(definition.key, Mapping) else {n: n for n in definition.key}
        return cls(
            view, definition.source.event_time,
            {name: run(text) for name, text in key.items()},
            run(definition.where or "true"),
            {name: _input(measure, run) for name, measure in view.measures.items()},
            derives,
        )  # fmt: skip

    def known(self, values: Values) -> Values:
        """The event's values, and what is derived of it alone."""
        return _with(values, self._derives)

    def key_text(self, values: Values) -> str:
        return self.view.key_of({name: run(values) for name, run in self._key.items()})

    def bucket(self, values: Values) -> int:
        """The start of the finest bucket that the event counts in, in seconds since 1970."""
        return floor(values[self.event_time] // _MICROS, self.view.width)

    def is_counted(self, values: Values) -> bool:
        """Whether the view's condition is true of the event."""
        return self._where(values) is True

    def inputs(self, values: Values) -> list[Any]:
        """What the event gives to each measure, in their order."""
        return [run(values) for run in self._inputs.values()]

    def fold(self, events: Iterable[Values]) -> dict[tuple[str, int], Partial]:
        """Partials of the events that count, by key and bucket, as a table holds them."""
        return {place: self._partial(rows) for place, rows in self._groups(events).items()}

    def taken(self, events: Iterable[Values]) -> dict[tuple[str, int], Partial]:
        """What merged into partials of these events takes them back, by key and bucket."""
        return {
            place: self.view.retracted(self._partial(rows), len(rows))
            for place, rows in self._groups(events).items()
        }

    def _groups(self, events: Iterable[Values]) -> dict[tuple[str, int], list[list[Any]]]:
        groups: dict[tuple[str, int], list[list[Any]]] = {}
        for values in events:
            if self.is_counted(values):
                place = (self.key_text(values), self.bucket(values))
                groups.setdefault(place, []).append(self.inputs(values))
        return groups

    def _partial(self, rows: list[list[Any]]) -> Partial:
        columns = zip(self.view.measures.values(), zip(*rows, strict=True), strict=True)
        slots = tuple(slot for measure, column in columns for slot in measure.lift_all(column))
        codec = self.view.codec
        # packed, so that a decimal has the digits of its column
        return codec.unpack(codec.pack(slots))


def _run(columns: Mapping[str, str], derives: Sequence[Derive], text: str) -> Run:
    run = evaluator(text, columns)
    return (lambda values: run(_with(values, derives))) if derives else run


def _with(values: Values, derives: Sequence[Derive]) -> Values:
    found = dict(values)
    for derive in derives:
        found |= derive(values)
    return found


def _input(measure: Measure, run: Callable[[str], Run]) -> Run:
    """What one event gives to `lift`."""
    runs = [run(text) for text in measure.expressions or ("1",)]
    if isinstance(measure, Ratio):
        return lambda values: {NUMERATOR: runs[0](values), DENOMINATOR: runs[1](values)}
    return runs[0]
