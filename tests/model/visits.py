"""Visits under schedules: micro-batches that crash, cuts by others, publishes, floors, new generations.

The rule, the state and the step are the real ones; Redis, the log and versions are plain Python. A user's
events are on one partition and in the order of their times, so that every role is certain, and counts exact.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from core.cuts import Cut, Offsets, cuts_within, reaches, segment_of
from core.layout import Layout
from core.visits import Visit, Visits, follow
from speed_layer.scripts import Fence
from speed_layer.visit_index import VisitIndex
from speed_layer.visit_state import Held, VisitState
from speed_layer.visit_step import VisitStep, _Event

VISITS = Visits(gap="10 seconds").bind({"user": "string"})
SECOND = 1_000_000
Roles = Counter[tuple[str, str]]


@dataclass(frozen=True)
class Sent:
    user: str
    at: int
    partition: int
    offset: int


class Memory(VisitState):
    """State in a dictionary, which the model keeps."""

    held: dict[str, Held]

    def _held(self, shard: int, users: Sequence[str]) -> Iterator[tuple[str, Held]]:
        return ((user, self.held[user]) for user in users if user in self.held)

    def store(self, shard: int, found: Mapping[str, Held]) -> None:
        self.held.update(found)


@dataclass(frozen=True)
class Known(VisitIndex):
    visits: Any = None

    def look_up(self, _: Visits, users: Any) -> dict[str, Visit]:
        return {user: self.visits[user] for user in users if user in self.visits}


@dataclass(frozen=True)
class Step(VisitStep):
    state: Memory | None = None

    def _state(self) -> VisitState:
        assert self.state is not None
        return self.state


@dataclass
class Platform:
    """One log of two partitions, its cuts and versions, and the generation that is written."""

    memory: type[Memory] = Memory
    log: tuple[list[Sent], list[Sent]] = field(default_factory=lambda: ([], []))
    cuts: list[Cut] = field(default_factory=list)
    boundaries: list[int] = field(default_factory=lambda: [0, 0])
    now: int = 0

    def __post_init__(self) -> None:
        self.begin()

    # --- what befalls it ----------------------------------------------------------------------------------

    def send(self, user: int, pause: int) -> None:
        """Half of the users are on each partition."""
        self.now += pause * SECOND
        place = self.log[user % 2]
        place.append(Sent(f"u{user}", self.now, user % 2, len(place)))

    def begin(self) -> None:
        """A new generation at readers' boundary."""
        self.start, self.floor, self.batch = self.boundaries[-1], 0, 0
        self.end: Offsets = self.cut(self.start).offsets
        self.planned: Offsets | None = None
        self.held: dict[str, Held] = {}
        self.fields: dict[tuple[str, int], tuple[int, Roles]] = {}

    def micro_batch(self, appetite: int, crash: str | None = None) -> None:
        """The next one, or what was planned before a crash: after the state, or after some of the fields."""
        if self.planned is None:
            self.planned = {p: min(len(log), self.end.get(p, 0) + appetite) for p, log in enumerate(self.log)}
        told = self.derive()
        if crash == "stored":
            return
        written = sorted(told)[: len(told) // 2] if crash else sorted(told)
        for place in written:
            batch, roles = self.fields.get(place, (-1, Roles()))
            if batch < self.batch:
                self.fields[place] = (self.batch, roles + told[place])
        if not crash:
            self.end, self.planned, self.batch = self.planned, None, self.batch + 1

    def make_cut(self, leader: bool) -> None:
        """At the end of what is written, or of the log: batch does so where nobody leads."""
        offsets = self.end if leader else {p: len(log) for p, log in enumerate(self.log)}
        behind = self.cut(len(self.cuts)).offsets, self.planned or self.end
        if all(reaches(offsets, each) for each in behind):
            self.cuts.append(Cut(len(self.cuts) + 1, dict(offsets)))

    def publish(self) -> None:
        """A version up to the newest cut, and the speed job has not looked yet."""
        self.boundaries.append(len(self.cuts))

    def maintain(self, forget: bool) -> None:
        """The job follows readers, also before a replay; what lies below the floor goes at once, or later."""
        self.floor = max(self.floor, min(self.boundaries[-2:]))
        if forget:
            self.fields = {p: held for p, held in self.fields.items() if p[1] >= self.floor}
            self.held = {user: held for user, held in self.held.items() if held.last >= self.floor}

    # --- how it works -------------------------------------------------------------------------------------

    def cut(self, number: int) -> Cut:
        return self.cuts[number - 1] if number else Cut(0, {})

    @property
    def count_from(self) -> int:
        return max(self.start, self.floor)

    def derive(self) -> dict[tuple[str, int], Roles]:
        """(user, segment) -> roles of the events that the micro-batch counts."""
        assert self.planned is not None
        base, _ = cuts_within(self.cuts, self.end, self.planned)
        records = [
            sent for p, log in enumerate(self.log) for sent in log[self.end.get(p, 0) : self.planned[p]]
        ]
        events = []
        for place, sent in enumerate(records):
            segment = segment_of(sent.partition, sent.offset, self.cuts)
            if segment >= self.count_from:
                position = sent.partition << 48 | sent.offset
                events.append(_Event(sent.user, segment, sent.at, position, place, ()))
        fence, layout, nothing = Fence(self.batch, "token"), Layout("model", "site"), cast(Any, None)
        state = self.memory(nothing, layout, "g", fence, VISITS, self.count_from)
        object.__setattr__(state, "held", self.held)
        index = self.index(max(base, self.count_from))
        step = Step(VISITS, "at", nothing, layout, "g", fence, self.count_from, index, state)
        found: dict[tuple[str, int], Roles] = {}
        segments = {event.place: event.segment for event in events}
        for place, one in step._shard(0, sorted(events)):
            user = records[place].user
            found.setdefault((user, segments[place]), Roles())[user, one.role] += 1
        return found

    def index(self, consumed: int) -> VisitIndex | None:
        """The newest version that says what there was before the micro-batch."""
        some = [boundary for boundary in self.boundaries if self.count_from <= boundary <= consumed]
        return self.version(some[-1])

    def version(self, boundary: int) -> VisitIndex:
        visits: dict[str, Visit] = {}
        for sent in self.below(self.cut(boundary).offsets):
            _, visits[sent.user] = follow(visits.get(sent.user), sent.at, (), VISITS.gap_micros)
        return Known(boundary, Path(), (), visits)

    def below(self, offsets: Offsets) -> list[Sent]:
        some = [sent for p, log in enumerate(self.log) for sent in log[: offsets.get(p, 0)]]
        return sorted(some, key=lambda sent: sent.at)

    # --- what is asked ------------------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether a reader may call the answer so: nothing half written, all there from the boundary on."""
        boundary = self.boundaries[-1]
        reached = reaches(self.end, self.cut(boundary).offsets)
        return self.planned is None and reached and self.count_from <= boundary

    def answer(self, publish: int = -1) -> Roles:
        """Batch up to the boundary of a publish, and the fields from there on."""
        boundary = self.boundaries[publish]
        found = plainly(self.below(self.cut(boundary).offsets))
        for (_, segment), (_, roles) in self.fields.items():
            if segment >= boundary:
                found += roles
        return found

    def truth(self) -> Roles:
        return plainly(self.below(self.end))


def plainly(sent: Sequence[Sent]) -> Roles:
    """Roles by a loop over the events of each user, in the order of their times."""
    before: dict[str, list[int]] = {}
    found = Roles()
    for one in sent:
        times = before.setdefault(one.user, [])
        if times and one.at - times[-1] > 10 * SECOND:
            times.clear()
        times.append(one.at)
        found[one.user, ("start", "second", "later")[min(len(times), 3) - 1]] += 1
    return found


# --- simpler versions ---------------------------------------------------------------------------------------


class OnlyAfter(Memory):
    """Keeps no visit from before a micro-batch: a replay counts on from what the crash left."""

    def before(self, shard: int, users: Sequence[str]) -> dict[str, Visit | None]:
        return {user: held.after for user, held in self._held(shard, users)}


class NeverForgets(Memory):
    """Goes on from what it last saw, though segments were left to batch in between."""

    def before(self, shard: int, users: Sequence[str]) -> dict[str, Visit | None]:
        held = dict(self._held(shard, users))
        same = self.fence.batch
        return {user: one.before if one.batch == same else one.after for user, one in held.items()}


class NewestVersion(Platform):
    """Looks users up in what readers use now, whatever the micro-batch is about to count."""

    def index(self, consumed: int) -> VisitIndex | None:
        return self.version(self.boundaries[-1])


class BeginsWithNothing(Platform):
    """A new generation knows no visit that is under way."""

    def index(self, consumed: int) -> VisitIndex | None:
        return None
