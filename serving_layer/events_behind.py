"""The events behind a number, one by one, as the master dataset has them: which count, and why not others."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.application import BoundSource
from core.cuts import Cut, Offsets, offsets_to, segment_of
from core.instants import format_instant
from core.leniency import Lenient
from core.per_event import PerEvent
from core.views import CompiledView
from serving_layer.deriving import applied
from serving_layer.master_events import MasterEvents, Search
from serving_layer.master_log import Stand
from serving_layer.master_rows import Place, Row
from serving_layer.problems import Problem

__all__ = ["MAX_LIMIT", "EventsBehind", "Listing", "parse_listing", "positions"]

MAX_LIMIT, _LIMIT = 1_000, 50
_CURSOR = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
_WORD = re.compile(r"[A-Za-z_]\w*")
_MASKED = "(personal)"


@dataclass(frozen=True)
class Listing:
    """A page: at most `limit` events behind position `after`. `unmasked` shows personal columns."""

    limit: int = _LIMIT
    after: Place = (-1, -1)
    unmasked: bool = False


def parse_listing(given: Sequence[tuple[str, str]]) -> tuple[Listing, list[tuple[str, str]]]:
    """The page that parameters ask for, and the other parameters. Raises `Problem`."""
    own = [(name, value) for name, value in given if name in ("limit", "cursor")]
    page = dict(own)
    if len(page) < len(own):
        raise Problem.of_field("repeated-parameter", own[-1][0], own[-1][1], "one value")
    limit, cursor = page.get("limit", str(_LIMIT)), _CURSOR.fullmatch(page.get("cursor", "0:0"))
    if not re.fullmatch("[0-9]{1,4}", limit) or int(limit) > MAX_LIMIT:
        raise Problem.of_field("bad-count", "limit", limit, f"a whole number from 0 to {MAX_LIMIT}")
    if cursor is None:
        raise Problem.of_field("bad-cursor", "cursor", page["cursor"], "the cursor of the page before")
    after = (int(cursor[1]), int(cursor[2])) if "cursor" in page else (-1, -1)
    return Listing(int(limit), after), [each for each in given if each not in own]


@dataclass(frozen=True)
class EventsBehind:
    """Lists events of one source below `until`; those at or beyond `boundary` are `newer`'s. Blocks."""

    bound: BoundSource
    events: MasterEvents
    stand: Stand
    cuts: Sequence[Cut]
    boundary: Offsets
    until: Offsets
    newer: str

    def list(self, view: CompiledView, key: str, span: tuple[int, int], page: Listing) -> dict[str, Any]:
        """A page of them in the order of positions. Raises `Problem` if there is too much to read."""
        of = applied(self.bound, view)
        search = Search(lambda text: text == key, *span, {}, self.until, key)
        rows = self.events.find(self.stand, of, search)
        first = self.events.first(
            self.stand, {self.events.event_id(row) for row in rows}, self.until, self.cuts
        )
        told = {row.place: self._told(row, of, first[self.events.event_id(row)]) for row in rows}
        told |= {row.place: event for row, event in self._quarantined(of, search)}
        places = sorted(place for place in told if place > page.after)
        shown, more = places[: page.limit], len(places) > page.limit > 0
        return {
            "events": [self._shown(place, told[place], page) for place in shown],
            "cursor": f"{shown[-1][0]}:{shown[-1][1]}" if more else None,
            "found": _counts(told.values()),
        }

    def _told(self, row: Row, of: PerEvent, first: Place) -> dict[str, Any]:
        values = row.values
        if first != row.place:
            why = f"a copy of {first[0]}:{first[1]}, which counts"
            return {"outcome": "duplicate", "why": why, "values": values}
        if not of.is_counted(values):
            condition = self.bound.definitions[of.view.name].where
            return {"outcome": "excluded", "why": f"{condition} is not true of it", "values": values}
        return {"outcome": "counted", "why": None, "values": values}

    def _quarantined(self, of: PerEvent, search: Search) -> Iterator[tuple[Row, dict[str, Any]]]:
        """Refused records of which key and time can still be read, and are those asked about."""
        lenient, needed = Lenient(self.bound.contract), self._needed(of)
        for row in self.events.refused(self.stand, search):
            values = lenient.read(row.raw)
            if needed <= values.keys() and values[of.event_time] is not None:
                known = dict.fromkeys(self.bound.contract.types) | values
                if search.start <= of.bucket(known) < search.end and search.accepts(of.key_text(known)):
                    yield row, {"outcome": "quarantined", "why": row.reason, "values": values}

    def _needed(self, of: PerEvent) -> set[str]:
        """The columns that say to which key and time an event belongs."""
        key = self.bound.definitions[of.view.name].key
        words = {
            word
            for text in (key.values() if isinstance(key, Mapping) else key)
            for word in _WORD.findall(text)
        }
        return {of.event_time, *self.bound.needed_for(words)}

    def _shown(self, place: Place, told: Mapping[str, Any], page: Listing) -> dict[str, Any]:
        contract, values = self.bound.contract, self._readable(told["values"], page)
        newer = place[1] >= self.boundary.get(place[0], 0)
        return {
            "partition": place[0],
            "offset": place[1],
            "segment": segment_of(*place, cuts=self.cuts),
            "layer": self.newer if newer else "batch",
            "event_id": values.pop(contract.event_id, None),
            "event_time": values.pop(contract.event_time, None),
            "outcome": told["outcome"],
            "why": told["why"],
            "values": values,
        }

    def _readable(self, values: Mapping[str, Any], page: Listing) -> dict[str, Any]:
        """Values as an answer shows them; personal ones for whoever may see them."""
        found: dict[str, Any] = {}
        for column in self.bound.contract.columns:
            value = values.get(column.name)
            if value is None:
                found[column.name] = None
            elif column.personal and not page.unmasked:
                found[column.name] = _MASKED
            else:
                found[column.name] = format_instant(value) if column.type == "timestamp" else value
        return found


def _counts(told: Any) -> dict[str, int]:
    outcomes = [each["outcome"] for each in told]
    return {name: outcomes.count(name) for name in ("counted", "duplicate", "excluded", "quarantined")}


def positions(start: Offsets, end: Offsets) -> list[dict[str, int]]:
    """Ranges of offsets, [from, to), by partition; those that hold nothing are left out."""
    return [
        {"partition": int(p), "from": start.get(int(p), 0), "to": last}
        for p, last in offsets_to(end).items()
        if last > start.get(int(p), 0)
    ]
