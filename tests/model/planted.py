"""Simpler versions of the protocol, each with the number of the schedule on which it serves wrong numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.cuts import Cut, Offsets
from core.handoff import Intent, Progress
from core.layout import unseal
from core.manifest import Manifest, Pointer, Publications
from tests.model.batch import Batch, Rows
from tests.model.reader import Reader
from tests.model.redis import Shard
from tests.model.speed import Fields, Marks, Speed
from tests.model.world import Record


class BorderOfTime(Batch):
    """1: covers up to the newest border there is now, though the drain ended before it."""

    def boundary(self, cuts: Sequence[Cut], archived: Offsets, at_least: int) -> Cut:
        return cuts[-1] if cuts else Cut(0, {})


class IgnoresForeignCuts(Speed):
    """1: goes on when somebody registers a cut behind what is consumed."""

    def check_cuts(self, cuts: list[Cut], progress: Progress) -> None:
        pass


class TrustsRedis(Speed):
    """2: a shard that came back older is written on."""

    class shard(Shard):
        def check_stamp(self, batch: int) -> None:
            pass

    def check_stamps(self, *_: object) -> None:
        pass


class ReadsNoStamps(Reader):
    """2: absent fields read as zero."""

    def stamps(self, seen: list[Shard]) -> list[int | None]:
        return []


class ForgetsTheIntent(Speed):
    """3: replays whatever is planned now under the same micro-batch id."""

    def replay(self, stored: Intent, planned: Intent) -> Intent:
        return planned


class ReplaysByNewCuts(Speed):
    """3: replays the same records, but divides them by cuts that were made since."""

    def replay(self, stored: Intent, planned: Intent) -> Intent:
        return replace(super().replay(stored, planned), cuts=planned.cuts)


class MarksAreSeen(Speed):
    """4: a mark says that an event was seen, not which copy counts: a replay calls itself a duplicate."""

    def owner(self, record: Record, mark: tuple[int, int] | None) -> tuple[int, int]:
        return (-1, -1) if mark else record.position


class KnowsNoEarlierCopies(Speed):
    """4: a generation does not read what lies just before its start."""

    def reads_from(self, start: int) -> dict[int, int]:
        return dict(self.world.cuts.get(start).offsets)


class ReadsNoFloors(Reader):
    """5: paused between manifest and fields, across two publishes, it sums segments that are gone."""

    def floors(self, seen: list[Shard]) -> list[int]:
        return []


class BareIncrement(Speed):
    """6: adds again on replay."""

    class shard(Shard):
        def is_new(self, batch: int, held: int) -> bool:
            return True


class LastWriterWins(Publications):
    """7: a slow publisher puts the pointer back."""

    def publish(self, manifest: Manifest, parent: Pointer | None, kind: str, at: str) -> Pointer:
        current = self.current()
        previous, number = (current.boundary, current.number) if current else (0, 0)
        self.pointers.append(
            number + 1,
            {
                "version": manifest.version,
                "boundary": manifest.boundary,
                "previous_boundary": previous,
                "kind": kind,
                "at": at,
            },
        )
        return self.pointer(number + 1)


class StartsAtTheNewestCut(Speed):
    """9: a generation says that it starts at the boundary, and reads from the newest cut."""

    def reads_from(self, start: int) -> dict[int, int]:
        return dict(self.world.cuts.latest().offsets)


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

    def check(self, pinned: Rows) -> None:
        pass
