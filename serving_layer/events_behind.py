"""The events behind a number, one by one, as the master dataset has them: which count, and why not others."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.application import BoundSource
from core.cuts import Cut, Offsets, offsets_to, segment_of
from core.identity import SAID
from core.instants import format_instant
from core.views import CompiledView
from serving_layer.master_events import MasterEvents, Search
from serving_layer.master_log import Stand
from serving_layer.master_rows import Place
from serving_layer.outcomes import Outcome, Outcomes
from serving_layer.ports import Snapshot
from serving_layer.problems import Problem

__all__ = ["MAX_LIMIT", "EventsBehind", "Listing", "parse_listing", "positions"]

MAX_LIMIT, _LIMIT = 1_000, 50
_CURSOR = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
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
    """Lists events of one source below `until`; those that version `base` has not are `newer`'s. Blocks."""

    bound: BoundSource
    events: MasterEvents
    stand: Stand
    cuts: Sequence[Cut]
    base: Snapshot
    until: Offsets
    newer: str

    def list(
        self, view: CompiledView, keys: Collection[str], span: tuple[int, int], page: Listing
    ) -> dict[str, Any]:
        """A page of those of some keys in the order of positions. Raises `Problem` if there is too much to
        read, and `IndexBroken`."""
        outcomes = Outcomes(self.bound, self.events, self.stand, self.cuts, self.base, self.until)
        search = Search(frozenset(keys).__contains__, *span, {}, self.until, keys, self.base.persons)
        told = outcomes.find(view, search)
        places = sorted(place for place in told if place > page.after)
        shown, more = places[: page.limit], len(places) > page.limit > 0
        names = [each.name for each in told.values()]
        ids = self.events.ids_at(self.stand, {one for place in shown for one in _named(told[place])})
        return {
            "events": [self._shown(place, told[place], page, ids) for place in shown],
            "cursor": f"{shown[-1][0]}:{shown[-1][1]}" if more else None,
            "found": {name: names.count(name) for name in outcomes.names},
        }

    def _shown(self, place: Place, told: Outcome, page: Listing, ids: Mapping[Place, str]) -> dict[str, Any]:
        contract, values = self.bound.contract, self._readable(told.values, page)
        covered = self.base.manifest.offsets if self.base.manifest else {}
        return {
            "partition": place[0],
            "offset": place[1],
            "segment": segment_of(*place, cuts=self.cuts),
            "layer": self.newer if place[1] >= covered.get(place[0], 0) else "batch",
            "event_id": values.pop(contract.event_id, None),
            "event_time": values.pop(contract.event_time, None),
            "outcome": told.name,
            "why": told.why,
            "corrected_by": told.by and _place(told.by, ids),
            "took_back": [_place(each, ids) for each in told.took],
            "values": values,
        }

    def _readable(self, values: Mapping[str, Any], page: Listing) -> dict[str, Any]:
        """Values as an answer shows them; personal ones for whoever may see them."""
        types = self.bound.contract.types
        derived = {name: kind for name, kind in self.bound.derived.items() if name in values and name != SAID}
        masked = set() if page.unmasked else self.bound.personal
        return {
            name: _readable(values.get(name), kind, name in masked)
            for name, kind in {**types, **derived}.items()
        }


def _readable(value: Any, kind: str, masked: bool) -> Any:
    if value is None or masked:
        return None if value is None else _MASKED
    return format_instant(value) if kind == "timestamp" else value


def _named(told: Outcome) -> list[Place]:
    return [*([told.by] if told.by else []), *told.took]


def _place(place: Place, ids: Mapping[Place, str]) -> dict[str, Any]:
    return {"partition": place[0], "offset": place[1], "event_id": ids[place]}


def positions(start: Offsets, end: Offsets) -> list[dict[str, int]]:
    """Ranges of offsets, [from, to), by partition; those that hold nothing are left out."""
    return [
        {"partition": int(p), "from": start.get(int(p), 0), "to": last}
        for p, last in offsets_to(end).items()
        if last > start.get(int(p), 0)
    ]
