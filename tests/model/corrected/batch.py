"""The batch job where events are corrected: a window over all of history, and the chains it leaves behind."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.chains import Chain, Link, Named
from core.cuts import Cut, segment_of
from core.handoff import Generation
from core.manifest import Manifest, Pointer
from core.standing import Standing, counted_lost
from tests.model.batch import Batch, Rows, firsts
from tests.model.corrected.orders import VIEW, Order, lifted, order_of
from tests.model.counting import Added
from tests.model.equality import Check
from tests.model.world import Made, Record

Ends = list[tuple[Order, int]]


@dataclass(frozen=True)
class Corrected(Made):
    chains: Mapping[bytes, Chain] = field(default_factory=dict)


class CorrectingCheck(Check):
    def before(self, manifest: Manifest, parent: Pointer | None, records: list[Record]) -> Iterator[None]:
        standing = self.look()
        yield from super().before(manifest, parent, records)
        if standing and (lost := self.lost(standing, manifest)):
            self.world.redis.condemn(standing.generation.id, lost)

    def lost(self, standing: Standing, manifest: Manifest) -> str | None:
        return counted_lost(standing, manifest.losses)

    def added(self, generation: Generation, start: int, records: list[Record]) -> Iterator[Added]:
        """With what corrections take back, of events that lie wherever."""
        semantics, cuts = int(generation.semantics), self.world.cuts.all()
        yield from super().added(generation, start, records)
        valid = [record for record in records if record.counts(semantics)]
        for order, by in ends([order_of(one) for _, one in firsts(valid, cuts)]):
            if not order.retracts:
                place, partial = lifted(order.values, semantics)
                yield segment_of(order.partition, by, cuts), place, VIEW.retracted(partial, 1)


class CorrectingBatch(Batch):
    check: type[Check] = CorrectingCheck

    def recompute(self, pinned: Rows, boundary: Cut, semantics: int, aliases: Mapping[str, str]) -> Made:
        orders = [order_of(record) for _, record in self.firsts(pinned, boundary, semantics)]
        stopped = {order.position for order, _ in self.ends(orders)}
        found = [
            added
            for order in orders
            if order.position not in stopped
            for added in self.world.lifted(order, semantics)
        ]
        return Corrected(self.world.fold(found), chains_of(orders))

    def ends(self, orders: Sequence[Order]) -> Ends:
        return ends(orders)


def ends(orders: Sequence[Order]) -> Ends:
    """The orders that stop counting, and the offset of the first behind each that is in one of its chains."""
    named = defaultdict[tuple[int, str], list[int]](list)
    for order in orders:
        if order.corrects is not None:
            named[order.partition, order.corrects].append(order.offset)
    found = []
    for order in orders:
        chains = [(order.partition, name) for name in (order.event_id, order.corrects) if name is not None]
        later = [offset for chain in chains for offset in named.get(chain, ()) if offset > order.offset]
        found += [(order, min(later))] if later else []
    return found


def chains_of(orders: Sequence[Order]) -> dict[bytes, Chain]:
    links, named = defaultdict[bytes, list[Link]](list), defaultdict[bytes, list[Named]](list)
    for link in [order.link for order in orders]:
        links[link.digest].append(link)
        if link.target is not None:
            named[link.target].append(Named(link.offset, link.digest))
    return {digest: Chain.of(links[digest], named[digest]) for digest in {*links, *named}}
