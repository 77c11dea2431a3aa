"""Simpler versions of the protocol, each with the number of the schedule on which it goes wrong: 1 to 7."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.cuts import Cut, Offsets
from core.handoff import Generation, Intent, Progress
from core.manifest import Manifest, Pointer, Publications
from core.measures import Partial
from core.standing import Standing
from tests.model.batch import Batch
from tests.model.equality import Check
from tests.model.reader import Reader
from tests.model.redis import Name, Shard
from tests.model.speed import Speed
from tests.model.world import VIEW, Field, Record

Places = Mapping[Name, Partial]


def shown(partial: Partial | None) -> int:
    return int(VIEW.present(partial)["n"]) if partial else 0


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

    def beginning(self, name: str) -> tuple[Generation, Progress]:
        generation, progress = super().beginning(name)
        return generation, replace(progress, end=self.ends_of(self.world.cuts.get(generation.start_cut)))


class NewestTime(Speed):
    """5: freshness is the newest time of any partition, though another one lags."""

    def as_of(self, ends: Offsets, consumed: Offsets, oldest: Mapping[int, float]) -> float:
        waiting = [oldest[p] for p in oldest]
        return self.world.now if len(waiting) < len(ends) else max(waiting)


class ReadsNoFloors(Reader):
    """5: paused between manifest and fields, across two publishes, it sums segments that are gone."""

    def floors(self, seen: list[Shard]) -> list[int]:
        return []


class DifferenceOfVersions(Batch):
    """6: holds the speed state against the new batch view minus the old one: a mended contract fails it."""

    class check(Check):
        def objection(
            self, standing: Standing | None, manifest: Manifest, start: int, boundary: Cut
        ) -> str | None:
            return None if standing and boundary.number >= start else "nothing to compare"

        def judge(self, generation: Generation, found: Places, expected: Places) -> None:
            *_, old, new = [{}, *(made.rows for _, made in sorted(self.world.tables.items()))]
            grown = Counter({place: shown(new[place]) - shown(old.get(place)) for place in new})
            held = Counter[Field]()
            for (view, key, _, bucket), partial in found.items():
                held[view, key, bucket] += shown(partial)
            if +grown != +held:
                self.world.alarms.append("they differ")


class BareIncrement(Speed):
    """Rule 6: adds again on replay."""

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
