"""Corrected events between a version and a position: which count, and which the version counts no more.

`core.chains` is the rule. Chains of what lies before are in the version's index, the others are made here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from core.chains import NOTHING, Chain, Link, Named, chain_digest, taken_back
from core.corrections import Corrections, EventCodec
from serving_layer.master_rows import Place
from serving_layer.past_events import Before, PastEvent

__all__ = ["corrected"]


def corrected(events: Sequence[PastEvent], declared: Corrections, before: Before) -> list[PastEvent]:
    """The events, told which of them count and what they take back, and behind them those that are taken back
    of what the version counts: with the values that are kept of them. Raises `IndexBroken`."""
    chains, retracts = _Chains(before), declared.retracting()
    for event in events:
        chains.add(event, event.values[declared.target], retracts(event.values))
    by, took, taken = dict[Place, Place](), dict[Place, list[Place]](), list[PastEvent]()
    known, unpack = {event.place for event in events}, EventCodec(before.used).unpacker()
    for event in events:
        for link in chains.taken(event, event.values[declared.target]):
            place = (event.place[0], link.offset)
            by[place] = event.place
            took.setdefault(event.place, []).append(place)
            if place not in known:
                values = dict(zip(before.used, unpack(link.values), strict=True))
                taken.append(PastEvent(place, event.segment, values, sign=-1, by=event.place))
    told = (
        replace(
            event, sign=int(not retracts(event.values)), by=by.get(event.place),
            took=tuple(sorted(took.get(event.place, ()))),
        )
        for event in events
    )  # fmt: skip
    return [*told, *taken]


@dataclass
class _Chains:
    """The chains of events, and those that the version has."""

    before: Before
    links: dict[bytes, Link] = field(default_factory=dict)
    named: dict[bytes, list[Named]] = field(default_factory=dict)

    def add(self, event: PastEvent, target: str | None, retracts: bool) -> None:
        (partition, offset), event_id = event.place, event.values[self.before.contract.event_id]
        own = chain_digest(partition, event_id)
        named = None if target is None else chain_digest(partition, target)
        self.links[own] = Link(offset, own, named, retracts, b"")
        if named is not None:
            self.named.setdefault(named, []).append(Named(offset, own))

    def taken(self, event: PastEvent, target: str | None) -> Iterator[Link]:
        """What stops counting at an event."""
        if target is not None:
            partition, offset = event.place
            yield from taken_back(offset, chain_digest(partition, target), self.look)

    def look(self, digest: bytes) -> Chain:
        link, index = self.links.get(digest), self.before.index
        own = Chain.of([link] if link else [], self.named.get(digest, ()))
        return own.joined(index.chains([digest]).get(digest, NOTHING)) if index else own
