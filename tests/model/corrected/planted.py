"""Simpler versions of how events are corrected, each of which serves wrong numbers on some schedule."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from core.chains import NOTHING, Chain
from core.handoff import Generation, Intent
from core.keys import shard_of
from core.layout import seal, unseal
from core.manifest import Manifest
from core.measures import Partial
from core.standing import Standing
from speed_layer.correct_step import Taken, _Event
from speed_layer.event_chains import EventChains, History, Kept
from speed_layer.notes import Notes
from tests.model.corrected.batch import CorrectingBatch, CorrectingCheck, Ends
from tests.model.corrected.orders import VIEW, Order, lifted
from tests.model.corrected.speed import Chains, CorrectingSpeed, Read, Step
from tests.model.counting import Placed
from tests.model.equality import Check
from tests.model.redis import Name
from tests.model.world import SHARDS, Field


class TakesBackAtOnce(CorrectingSpeed):
    """Subtracts as soon as it knows, and not with the micro-batch: a replay does it again."""

    def take_back(
        self, generation: Generation, intent: Intent, events: Sequence[Placed]
    ) -> Generator[None, None, list[Taken]]:
        for one in (yield from super().take_back(generation, intent, events)):
            self.subtract(generation, one)
        return []

    def subtract(self, generation: Generation, taken: Taken) -> None:
        (view, key, bucket), partial = self.retracted(taken)
        name, shard = (
            Name(view, key, taken.segment, bucket),
            self.shards(generation)[shard_of(view, key, SHARDS)],
        )
        held, packed = unseal(shard.fields[name]) if name in shard.fields else (-1, None)
        shard.touch({name: partial})
        shard.fields[name] = seal(held, self.world.merge(name, packed, partial))


class AsksRedisAlone(CorrectingSpeed):
    """Knows the events that its own generation read, and not those of the version below it."""

    def history(self, generation: Generation, below: int) -> History | None:
        return None


class CallsNothingLost(CorrectingSpeed):
    """Goes on where no version of its definitions says what events were."""

    def history(self, generation: Generation, below: int) -> History | None:
        return self.histories.covering(below) if below else None


class DropsTooSoon(CorrectingSpeed):
    """Drops the block of the floor, which no version needs to hold."""

    def needed(self, floor: int) -> int:
        return super().needed(floor) + 1


class LastCopyCounts(CorrectingSpeed):
    """Of copies the last one is the event: what named the first lies before it."""

    class chains(Chains):
        def _read(self, shard: int, digests: Sequence[bytes], blocks: range, found: Read) -> None:
            super()._read(shard, digests, blocks, found)
            for links, _ in found.values():
                del links[:-1]


@dataclass
class BlindAtFirst:
    """Chains that say nothing at the first look, by which copies are told."""

    chains: EventChains
    asked: bool = False

    def look(self, digests: Iterable[bytes], last: int) -> dict[bytes, Chain]:
        if not self.asked:
            self.asked = True
            return dict.fromkeys(digests, NOTHING)
        return self.chains.look(digests, last)

    def keep(self, kept: Kept) -> None:
        self.chains.keep(kept)


class CopiesCorrect(CorrectingSpeed):
    """A copy of a correction that came beyond the window corrects once more."""

    class step(Step):
        def _takes(self, chains: EventChains, named: Sequence[_Event], notes: Notes) -> list[Taken]:
            return super()._takes(cast(EventChains, BlindAtFirst(chains)), named, notes)


class SaysNothing(CorrectingSpeed):
    """Does not count what it cannot subtract from."""

    def retracted(self, taken: Taken) -> tuple[Field, Partial]:
        place, partial = lifted(taken.values, self.world.semantics)
        return place, VIEW.retracted(partial, 0)


class FollowsNoChain(CorrectingBatch):
    """An event stops counting where it is named itself, and not where another one names what it had named."""

    def ends(self, orders: Sequence[Order]) -> Ends:
        found: Ends = []
        for order in orders:
            named = [by for by in orders if by.corrects == order.event_id and by.offset > order.offset]
            found += [(order, by.offset) for by in named if by.partition == order.partition][:1]
        return found


class KeepsWhatIsLost(CorrectingBatch):
    """Lets the speed layer go on with events that the version declares lost."""

    class check(CorrectingCheck):
        def lost(self, standing: Standing, manifest: Manifest) -> str | None:
            return None


class ComparesWhatCame(CorrectingBatch):
    """Holds the speed state against what came, without what was taken back."""

    check = Check
