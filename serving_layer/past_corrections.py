"""Corrected events between a version and a position: which count, and which the version counts no more.

`core.chains` is the rule. Chains of what lies before are in the version's index, the others are made here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from core.chains import NOTHING, Chain, Link, Named, chain_digest, stopped_at, taken_back
from core.corrections import Corrections, EventCodec
from serving_layer.master_rows import Place
from serving_layer.past_events import Before, PastEvent

__all__ = ["PastChains", "corrected"]

Values = Mapping[str, Any]


def corrected(events: Sequence[PastEvent], declared: Corrections, before: Before) -> list[PastEvent]:
    """The events, told which of them count, and behind them those that are taken back of what the version
    counts: with the values that are kept of them. Raises `IndexBroken`."""
    chains, known = PastChains.of(events, declared, before), {event.place for event in events}
    unpack = EventCodec(before.used).unpacker()
    told = [
        replace(event, sign=int(not chains.retracts(event.values)), by=chains.by(event.place, event.values))
        for event in events
    ]
    taken = [
        PastEvent(
            place, event.segment, dict(zip(before.used, unpack(link.values), strict=True)), sign=-1,
            by=event.place,
        )
        for event in events
        for place, link in chains.taken(event.place, event.values)
        if place not in known
    ]  # fmt: skip
    return told + taken


@dataclass
class PastChains:
    """The chains of some events, and those that the version has. Its methods raise `IndexBroken`."""

    declared: Corrections
    before: Before
    links: dict[bytes, Link] = field(default_factory=dict)
    named: dict[bytes, list[Named]] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[PastEvent], declared: Corrections, before: Before) -> Self:
        found = cls(declared, before)
        for event in events:
            found._add(found._link(event.place, event.values))
        return found

    def __post_init__(self) -> None:
        self.retracts = self.declared.retracting()

    def by(self, place: Place, values: Values) -> Place | None:
        """The correction at which an event stops counting."""
        offset = stopped_at(self._link(place, values), self._look)
        return None if offset is None else (place[0], offset)

    def taken(self, place: Place, values: Values) -> list[tuple[Place, Link]]:
        """The events that stop counting at this one."""
        target = self._link(place, values).target
        links = taken_back(place[1], target, self._look) if target else []
        return [((place[0], link.offset), link) for link in links]

    def _link(self, place: Place, values: Values) -> Link:
        (partition, offset), target = place, values[self.declared.target]
        named = None if target is None else chain_digest(partition, target)
        own = chain_digest(partition, values[self.before.contract.event_id])
        return Link(offset, own, named, self.retracts(values), b"")

    def _add(self, link: Link) -> None:
        self.links[link.digest] = link
        if link.target is not None:
            self.named.setdefault(link.target, []).append(Named(link.offset, link.digest))

    def _look(self, digest: bytes) -> Chain:
        link, index = self.links.get(digest), self.before.index
        own = Chain.of([link] if link else [], self.named.get(digest, ()))
        return own.joined(index.chains([digest]).get(digest, NOTHING)) if index else own
