"""Simpler versions of the protocol, each with the number of the schedule on which it goes wrong: 8 to 14."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from core.cuts import Cut, Offsets
from core.handoff import Generation, Lease, Progress
from core.layout import unseal
from core.measures import Partial
from tests.model.batch import Batch, Rows
from tests.model.counting import Fields, Marks
from tests.model.reader import Reader
from tests.model.redis import Shard
from tests.model.speed import Speed
from tests.model.world import Field, Record, resolved


class StaleVerdicts(Batch):
    """8: keeps to the contract by which a record was archived, though the speed layer reads another."""

    def counts(self, record: Record, semantics: int) -> bool:
        return record.counts(1)


class TwoTables(Batch):
    """8: good records and quarantine are two commits, and a crash leaves one of them."""

    def archive(self, archiver: str, appetite: int) -> None:
        super().archive(archiver, appetite)
        if self.world.archive:
            self.world.archive[-1] = (
                self.world.archive[-1][0],
                [r for r in self.world.archive[-1][1] if r.valid],
            )


class StartsAtTheNewestCut(Speed):
    """9: a generation says that it starts at the boundary, and reads from the newest cut."""

    def beginning(self, name: str) -> tuple[Generation, Progress]:
        generation, progress = super().beginning(name)
        return generation, replace(progress, end=self.ends_of(self.world.cuts.latest()))


class RunsAhead(Speed):
    """9: a rebuild reads as far as it can, and takes no notice of cuts made behind it."""

    def pace(self, leader: Progress) -> Offsets:
        return self.world.ends()

    def check_cuts(self, cuts: list[Cut], progress: Progress) -> None:
        pass


class TakesTheWriting(Speed):
    """9: readers move to a rebuild at once, before it has caught up, and nobody tells them."""

    def succeed(self, follower: Generation) -> None:
        self.redis.writing = self.redis.current = follower.id
        self.redis.following = self.redis.rebuild = None

    def vouch(self, generation: Generation) -> None:
        progress = self.progress(generation)
        self.redis.leases[generation.id] = Lease(progress.batch, self.world.now, self.world.now)


class TrustsTheName(Batch):
    """10: a topic of that name is the log."""

    def check_log(self) -> None:
        pass

    def check_kept(self, start: Offsets) -> None:
        pass


class TrustsTheNameToo(Speed):
    """10: the same in the speed layer."""

    def check_log(self) -> None:
        pass


class SkipsWhatIsGone(Batch):
    """11: goes on behind what the log dropped, and says nothing."""

    def check_kept(self, start: Offsets) -> None:
        pass


class CountsByName(Speed):
    """12: keeps what it counts under the name that is joined now: readers of another version miss it."""

    def lifted(self, generation: Generation, segment: int, record: Record) -> Iterator[tuple[Field, Partial]]:
        yield resolved(record.field, self.world.aliases), record.partial(self.world.semantics)


class ReadsOneName(Reader):
    """12: asks the speed state for the joined name alone, which holds it under those it came with."""

    def place(self, field: Field, aliases: Mapping[str, str]) -> Field:
        return field


class TouchesLater(Speed):
    """13: fields first, the list of what was touched in another call, and a replay skips both."""

    class shard(Shard):
        def touch(self, changes: Mapping[Any, Any]) -> None:
            pass

    def write(self, shard: Shard, batch: int, fields: Fields, marks: Marks) -> Iterator[None]:
        new = {n: v for n, v in fields.items() if n not in shard.fields or unseal(shard.fields[n])[0] < batch}
        yield from super().write(shard, batch, fields, marks)
        Shard.touch(shard, new)


class TwoArchivers(Batch):
    """14: a drain and a long-running archiver, each with a checkpoint of its own."""

    def archives_from(self, archiver: str) -> dict[int, int]:
        ends: dict[str, dict[int, int]] = self.__dict__.setdefault("ends", {})
        start = ends.get(archiver, {})
        ends[archiver] = self.world.after(start, 1000)
        return start

    def check_chunks(self, pinned: Rows) -> None:
        pass
