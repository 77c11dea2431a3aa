"""What became of each record that a number could hold: whether it counts, and why not if it does not."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.application import BoundSource
from core.corrections import corrections_of
from core.cuts import Cut, Offsets
from core.declarations import Declaration
from core.leniency import Lenient
from core.per_event import PerEvent
from core.views import CompiledView
from serving_layer.deriving import alone, applied, derive, history_of
from serving_layer.master_events import MasterEvents, Search
from serving_layer.master_log import Stand
from serving_layer.master_rows import Place, Row
from serving_layer.past_events import Before, PastEvent, read_records
from serving_layer.ports import Snapshot

__all__ = ["OUTCOMES", "Outcome", "Outcomes"]

OUTCOMES = ("counted", "duplicate", "excluded", "quarantined")
_CORRECTING = ("corrected", "retraction")  # of a source that declares corrections
_WORD = re.compile(r"[A-Za-z_]\w*")
History = Sequence[Declaration]
Values = Mapping[str, Any]
Found = dict[Place, "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What `name` says, and `why`. `values` are the record's, and what was derived.

    `by` is what took the event back, `took` what it took back itself: places, with event ids.
    """

    name: str
    why: str | None
    values: Values
    by: tuple[Place, str] | None = None
    took: Sequence[tuple[Place, str]] = ()


@dataclass(frozen=True)
class Outcomes:
    """Of the records of one source below `until`; what lies behind version `base` is derived as questions
    about the past derive it. Blocks."""

    bound: BoundSource
    events: MasterEvents
    stand: Stand
    cuts: Sequence[Cut]
    base: Snapshot
    until: Offsets

    @property
    def names(self) -> tuple[str, ...]:
        return OUTCOMES + (_CORRECTING if corrections_of(self.bound.source) else ())

    def find(self, view: CompiledView, search: Search) -> Found:
        """Those of a search, which is for all positions below `until`. Raises `Problem` and `IndexBroken`."""
        of, history = applied(self.bound, view), history_of(self.bound, view)
        found = self._derived(of, search, history) if history else self._plain(of, search)
        return found | dict(self._quarantined(of, search, history))

    def _plain(self, of: PerEvent, search: Search) -> Found:
        rows = self.events.find(self.stand, of, search)
        ids = {self.events.event_id(row) for row in rows}
        first = self.events.first(self.stand, ids, self.until, self.cuts)
        return {row.place: self._of_row(of, row, first[self.events.event_id(row)]) for row in rows}

    def _of_row(self, of: PerEvent, row: Row, first: Place) -> Outcome:
        values = of.known(row.values)
        return _copy(first, values) if first != row.place else self._asked(of, values)

    def _derived(self, of: PerEvent, search: Search, history: History) -> Found:
        """What an event is depends on others: all are derived, those of the version from nothing."""
        records = read_records(self.events, self.stand, {}, self.until, self.cuts)
        before = Before.of(self.bound, self.base, None)
        events = derive(records.events, history, of.view, before)
        ids = {event.place: str(event.values[self.bound.contract.event_id]) for event in events}
        found = {
            event.place: self._of_event(of, event, ids) for event in events if search.takes(of, event.values)
        }
        return found | dict(self._copies(of, search, history, records.copies))

    def _of_event(self, of: PerEvent, event: PastEvent, ids: Mapping[Place, str]) -> Outcome:
        values, took = of.known(event.values), [(place, ids[place]) for place in event.took]
        if not event.sign:
            why = "it takes back and never counts" if took else "it names nothing that counts"
            return Outcome("retraction", why, values, took=took)
        if event.by is not None:
            why = f"{_text(event.by)} takes it back, or its place"
            return Outcome("corrected", why, values, (event.by, ids[event.by]), took)
        return self._asked(of, values, took)

    def _asked(self, of: PerEvent, values: Values, took: Sequence[tuple[Place, str]] = ()) -> Outcome:
        if of.is_counted(values):
            return Outcome("counted", None, values, took=took)
        condition = self.bound.definitions[of.view.name].where
        return Outcome("excluded", f"{condition} is not true of it", values, took=took)

    def _copies(
        self,
        of: PerEvent,
        search: Search,
        history: History,
        copies: Sequence[tuple[Row, Place]],
    ) -> Iterator[tuple[Place, Outcome]]:
        """Those of which a record tells the key."""
        told = self._alone(of, history)
        if told is None:
            return
        for row, first in copies:
            values = of.known(told(row.values))
            if search.takes(of, values):
                yield row.place, _copy(first, values)

    def _quarantined(self, of: PerEvent, search: Search, history: History) -> Iterator[tuple[Place, Outcome]]:
        """Refused records of which key and time can still be read, and are those asked about."""
        lenient, needed, told = Lenient(self.bound.contract), self._needed(of), self._alone(of, history)
        if told is None:
            return
        for row in self.events.refused(self.stand, search):
            values = lenient.read(row.raw)
            if needed <= values.keys() and values[of.event_time] is not None:
                known = told(dict.fromkeys(self.bound.contract.types) | values)
                if search.takes(of, known):
                    yield row.place, Outcome("quarantined", row.reason, values)

    def _alone(self, of: PerEvent, history: History) -> Callable[[Values], Values] | None:
        before = Before.of(self.bound, self.base, None)
        return alone(self.bound, history, of.view, before)

    def _needed(self, of: PerEvent) -> set[str]:
        """The columns that say to which key and time an event belongs."""
        key = self.bound.definitions[of.view.name].key
        words = {
            word
            for text in (key.values() if isinstance(key, Mapping) else key)
            for word in _WORD.findall(text)
        }
        return {of.event_time, *self.bound.needed_for(words)}


def _copy(first: Place, values: Values) -> Outcome:
    return Outcome("duplicate", f"a copy of {_text(first)}, which counts", values)


def _text(place: Place) -> str:
    return f"{place[0]}:{place[1]}"
