"""What became of each record that a number could hold: whether it counts, and why not if it does not."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.application import BoundSource
from core.corrections import Corrections
from core.cuts import Cut, Offsets
from core.declarations import Declaration
from core.leniency import Lenient
from core.per_event import PerEvent
from core.views import CompiledView
from serving_layer.deriving import alone, applied, derive, hides_key, history_of, is_told
from serving_layer.master_events import MasterEvents, Search
from serving_layer.master_log import Stand
from serving_layer.master_rows import Place, Row
from serving_layer.past_corrections import PastChains
from serving_layer.past_events import Before, read_records
from serving_layer.ports import Snapshot

__all__ = ["Outcome", "Outcomes"]

_NAMES = ("counted", "duplicate", "excluded", "quarantined")
_CORRECTED = ("corrected", "retraction")  # of a source that declares corrections
_WORD = re.compile(r"[A-Za-z_]\w*")
History = Sequence[Declaration]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What `name` says, and `why`. `values` are the record's, and what was derived.

    `by` is the correction that took the event back, `took` what the event itself took back.
    """

    name: str
    why: str | None
    values: Values
    by: Place | None = None
    took: Sequence[Place] = ()


Found = dict[Place, Outcome]


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
        """All that there may be."""
        corrected = any(isinstance(one, Corrections) for one in self.bound.declarations)
        return _NAMES + (_CORRECTED if corrected else ())

    def find(self, view: CompiledView, search: Search) -> Found:
        """Those of a search, which is for all positions below `until`. Raises `Problem` and `IndexBroken`."""
        history = history_of(self.bound, view)
        before = Before.of(self.bound, self.base, self.base.index)
        of = alone(self.bound, history, view, before)
        if all(map(is_told, history)):
            found = self._told(of, search, history, before)
        else:
            found = self._derived(of, search, history)
        if not hides_key(self.bound, history, view):
            found |= dict(self._quarantined(of, search))
        return found

    def _told(self, of: PerEvent, search: Search, history: History, before: Before) -> Found:
        """Where records are all that is to be known, and which of them were corrected."""
        rows = self.events.find(self.stand, of, search)
        ids = {self.events.event_id(row) for row in rows}
        first = self.events.first(self.stand, ids, self.until, self.cuts)
        chains = next((self._chains(one, before) for one in history if isinstance(one, Corrections)), None)
        return {row.place: self._of_row(of, row, first[self.events.event_id(row)], chains) for row in rows}

    def _chains(self, declared: Corrections, before: Before) -> PastChains:
        since = read_records(self.events, self.stand, before.since, self.until, self.cuts)
        return PastChains.of(since.events, declared, before)

    def _of_row(self, of: PerEvent, row: Row, first: Place, chains: PastChains | None) -> Outcome:
        values = of.known(row.values)
        if first != row.place:
            return _copy(first, values)
        return self._asked(of, values) if chains is None else self._corrected(of, row.place, values, chains)

    def _corrected(self, of: PerEvent, place: Place, values: Values, chains: PastChains) -> Outcome:
        by, took = chains.by(place, values), [taken for taken, _ in chains.taken(place, values)]
        if chains.retracts(values):
            why = "it takes back and never counts" if took else "it names nothing that counts"
            return Outcome("retraction", why, values, took=took)
        if by is not None:
            return Outcome("corrected", f"{_text(by)} takes it back, or its place", values, by, took)
        return replace(self._asked(of, values), took=took)

    def _asked(self, of: PerEvent, values: Values) -> Outcome:
        if of.is_counted(values):
            return Outcome("counted", None, values)
        condition = self.bound.definitions[of.view.name].where
        return Outcome("excluded", f"{condition} is not true of it", values)

    def _derived(self, by_record: PerEvent, search: Search, history: History) -> Found:
        """Where what an event is follows from others: all are derived, those of the version from nothing."""
        view = by_record.view
        of, before = applied(self.bound, view), Before.of(self.bound, self.base, None)
        records = read_records(self.events, self.stand, {}, self.until, self.cuts)
        events = derive(records.events, history, view, before)
        mine = (event for event in events if search.takes(of, event.values))
        found = {event.place: self._asked(of, of.known(event.values)) for event in mine}
        if hides_key(self.bound, history, view):
            return found
        copies = ((row, first) for row, first in records.copies if search.takes(by_record, row.values))
        return found | {row.place: _copy(first, by_record.known(row.values)) for row, first in copies}

    def _quarantined(self, of: PerEvent, search: Search) -> Iterator[tuple[Place, Outcome]]:
        """Refused records of which key and time can still be read, and are those asked about."""
        lenient, needed = Lenient(self.bound.contract), self._needed(of)
        for row in self.events.refused(self.stand, search):
            values = lenient.read(row.raw)
            if needed <= values.keys() and values[of.event_time] is not None:
                known = dict.fromkeys(self.bound.contract.types) | values
                if search.takes(of, known):
                    yield row.place, Outcome("quarantined", row.reason, values)

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
