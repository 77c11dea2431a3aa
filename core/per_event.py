"""A view applied to single events in plain Python: what Spark does with it over millions of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.buckets import floor
from core.conversions import Run
from core.evaluation import evaluator
from core.measures import Partial
from core.views import CompiledView, View

__all__ = ["PerEvent"]

Values = Mapping[str, Any]
_MICROS = 1_000_000


@dataclass(frozen=True)
class PerEvent:
    """Functions of an event's decoded values by column."""

    view: CompiledView
    event_time: str
    _key: Mapping[str, Run]
    _where: Run
    _inputs: Mapping[str, Run]

    @classmethod
    def of(cls, definition: View, view: CompiledView, columns: Mapping[str, str]) -> "PerEvent":
        """A definition and what it compiles to over `columns`. Raises `NotEvaluable`."""
        key = definition.key if isinstance(definition.key, Mapping) else {n: n for n in definition.key}
        inputs = {name: measure.expression or "1" for name, measure in view.measures.items()}
        return cls(
            view, definition.source.event_time,
            {name: evaluator(text, columns) for name, text in key.items()},
            evaluator(definition.where or "true", columns),
            {name: evaluator(text, columns) for name, text in inputs.items()},
        )  # fmt: skip

    def key_text(self, values: Values) -> str:
        return self.view.key_of({name: run(values) for name, run in self._key.items()})

    def bucket(self, values: Values) -> int:
        """The start of the finest bucket that the event counts in, in seconds since 1970."""
        return floor(values[self.event_time] // _MICROS, self.view.width)

    def is_counted(self, values: Values) -> bool:
        """Whether the view's condition is true of the event."""
        return self._where(values) is True

    def partial(self, values: Values) -> Partial:
        """What the event alone adds to the measures."""
        return self.view.lift({name: run(values) for name, run in self._inputs.items()})

    def fold(self, events: Iterable[Values]) -> dict[tuple[str, int], Partial]:
        """Partials of the events that count, by key and bucket, as a table holds them."""
        groups: dict[tuple[str, int], list[Partial]] = {}
        for values in events:
            if self.is_counted(values):
                place = (self.key_text(values), self.bucket(values))
                groups.setdefault(place, []).append(self.partial(values))
        codec, merge = self.view.codec, self.view.merge_all
        # packed, so that a decimal has the digits of its column
        return {place: codec.unpack(codec.pack(merge(group))) for place, group in groups.items()}
