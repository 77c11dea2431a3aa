"""The speed job where events are corrected: the real step and the real chains, on what the model keeps."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from typing import Any, cast

from core.chains import Chain, Link, Named
from core.handoff import Generation, Intent
from core.layout import Layout
from core.logs import get_logger
from core.manifest import Manifest
from core.measures import Partial
from speed_layer.correct_step import CorrectStep, Taken
from speed_layer.event_chains import EventChains, History, Kept
from speed_layer.histories import Histories
from speed_layer.notes import Notes
from speed_layer.scripts import Fence
from tests.model.corrected.batch import Corrected
from tests.model.corrected.orders import KEPT, VIEW, lifted, order_of, orders_of
from tests.model.counting import Added, Placed
from tests.model.redis import Shard
from tests.model.speed import Speed
from tests.model.world import SHARDS, Field, World

LAYOUT = Layout("model", "things")
NOTHING = cast(Any, None)
Read = Mapping[bytes, tuple[list[Link], list[Named]]]


@dataclass
class ChainedShard(Shard):
    """With blocks of events and of what names them, by field."""

    events: dict[int, dict[bytes, bytes]] = field(default_factory=dict)

    def keep(self, batch: int, block: int, items: Sequence[bytes | int]) -> None:
        """One script: an event is stored once, a correction is added to what names an event once."""
        self.check_stamp(batch)
        held, plain = self.events.setdefault(block, {}), cast(Sequence[bytes], items)
        for name, value in zip(plain[::2], plain[1::2], strict=True):
            if name.endswith(b"="):
                held.setdefault(name, value)
            elif value not in [named.pack() for named in Named.unpack_all(held.get(name, b""))]:
                held[name] = held.get(name, b"") + value

    def forget(self, block: int) -> None:
        """The blocks before it: a version holds their events."""
        for old in [old for old in self.events if old < block]:
            del self.events[old]


class StoodStill(Exception):
    """Between two scripts of the step, which is then begun again: as after a crash, or as Redis is back."""


@dataclass
class Patience:
    """How many scripts run before the job stands still."""

    scripts: int

    def spend(self) -> None:
        if not self.scripts:
            raise StoodStill
        self.scripts -= 1


@dataclass(frozen=True)
class Chains(EventChains):
    held: Sequence[ChainedShard] = ()
    patience: Patience = field(default_factory=lambda: Patience(0))

    def keep(self, kept: Kept) -> None:
        for (shard, block), items in kept.places.items():
            self.patience.spend()
            self.held[shard].keep(self.fence.batch, block, items)

    def _read(self, shard: int, digests: Sequence[bytes], blocks: range, found: Read) -> None:
        for events in [self.held[shard].events.get(block, {}) for block in blocks]:
            for digest in digests:
                if (link := events.get(digest + b"=")) is not None:
                    found[digest][0].append(Link.unpack(digest, link))
                found[digest][1].extend(Named.unpack_all(events.get(digest + b">", b"")))


@dataclass(frozen=True)
class Step(CorrectStep):
    chains: EventChains | None = None

    def _chains(self) -> EventChains:
        assert self.chains is not None
        return self.chains


@dataclass(frozen=True)
class Past(History):
    """The chains of a version; its folder is there as long as the version is kept."""

    chains: Mapping[bytes, Chain] = field(default_factory=dict)

    def look(self, digests: Iterable[bytes]) -> dict[bytes, Chain]:
        return {digest: self.chains[digest] for digest in digests if digest in self.chains}


@dataclass(frozen=True)
class Rooms:
    """Stands for the folders of the source, and of one version."""

    world: World
    version: int = 0

    def publications(self) -> Any:
        return self.world.publications

    def is_dir(self) -> bool:
        return self.version in self.world.tables


class Pasts(Histories):
    def _opened(self, manifest: Manifest) -> History | None:
        room = cast(Rooms, self.folders)
        made = room.world.tables.get(manifest.version)
        damaged = manifest.version in orders_of(room.world).damaged
        if manifest.semantics != self.semantics or made is None or damaged:
            return None
        assert isinstance(made, Corrected)
        return Past(cast(Any, replace(room, version=manifest.version)), 1, made.chains)


class CorrectingSpeed(Speed):
    shard = ChainedShard
    chains: type[Chains] = Chains
    step: type[Step] = Step

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.histories = Pasts(cast(Any, Rooms(world)), str(world.semantics), get_logger("model"))

    def adds(
        self, generation: Generation, intent: Intent, counted: Sequence[Placed]
    ) -> Generator[None, None, list[Added]]:
        added = yield from super().adds(generation, intent, counted)
        for _, some in groupby(counted, key=lambda placed: placed[1].partition):
            taken = yield from self.take_back(generation, intent, list(some))
            added += [(self.segment(one), *self.retracted(one)) for one in taken]
        return added

    def take_back(
        self, generation: Generation, intent: Intent, events: Sequence[Placed]
    ) -> Generator[None, None, list[Taken]]:
        """Of one partition. It stands still before each script, and each time begins again."""
        segments, links = [segment for segment, _ in events], [order_of(one).link for _, one in events]
        for scripts in count():
            try:
                step = self.stepping(generation, intent, Patience(scripts))
                return step.take_back(segments, links, Notes())
            except StoodStill:
                yield
        raise AssertionError("a step has an end")

    def stepping(self, generation: Generation, intent: Intent, patience: Patience) -> Step:
        first, window, fence = self.count_from(generation), self.world.window, Fence(intent.batch, "token")
        history, held = self.history(generation, first), cast(list[ChainedShard], self.shards(generation))
        chains = self.chains(
            NOTHING, LAYOUT, generation.id, fence, SHARDS, window, first, history, held, patience
        )
        return self.step(
            NOTHING, NOTHING, KEPT, NOTHING, LAYOUT, generation.id, fence, SHARDS, window, first, history,
            chains,
        )  # fmt: skip

    def history(self, generation: Generation, below: int) -> History | None:
        """What a version says of the events below a cut; without one what corrections take back is lost."""
        found = self.histories.covering(below) if below else None
        progress = self.progress(generation)
        if below and found is None and progress.lost is None:
            self.store(generation, replace(progress, lost="no version tells what events were"))
        return found

    def segment(self, taken: Taken) -> int:
        """Of the correction, whatever segment the event was in."""
        return taken.segment

    def retracted(self, taken: Taken) -> tuple[Field, Partial]:
        place, partial = lifted(taken.values, self.world.semantics)
        return place, VIEW.retracted(partial, 1)

    def drop(self, generation: Generation, floor: int) -> Iterator[None]:
        yield from super().drop(generation, floor)
        for shard in self.shards(generation):
            assert isinstance(shard, ChainedShard)
            shard.forget(self.needed(self.progress(generation).floor))

    def needed(self, floor: int) -> int:
        """The first block of events that no version holds whole."""
        return floor // self.world.window
