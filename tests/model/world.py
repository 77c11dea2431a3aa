"""All that outlives a process: the log, the registry, the archive, Redis, the checkpoints, the clock."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from core import Count, Source, Sum, View
from core.cuts import CutRegistry, Offsets
from core.entries import EntryLog
from core.errors import EntryTaken
from core.handoff import Intent
from core.keys import parse_key
from core.losses import Losses
from core.manifest import Publications
from core.measures import Partial
from core.topics import LogIdentity
from core.views import CompiledView
from tests.model.redis import Name, Redis

SOURCE = Source("things", contract="things")
VIEW = View("by_key", SOURCE, key=("k",), measures={"n": Count(), "total": Sum("amount")}).compile(
    {"event_id": "string", "event_time": "timestamp", "k": "string", "amount": "long"}
)
SHARDS = 2
WINDOW = 100  # segments; the machine sends no copy later than that

Field = tuple[str, str, int]  # view, key text, bucket
Counts = Counter[tuple[str, str, int, str]]  # and measure
Range = tuple[dict[int, int], dict[int, int]]


@dataclass(frozen=True)
class Record:
    partition: int
    offset: int
    at: int
    event_id: str
    key: str
    bucket: int
    amount: int
    valid: bool = True
    heals: bool = False  # the contract of the first definitions refuses it, and every later one accepts it

    def counts(self, semantics: int) -> bool:
        return self.valid or (self.heals and semantics > 1)

    @property
    def position(self) -> tuple[int, int]:
        return self.partition, self.offset

    @property
    def field(self) -> Field:
        return VIEW.name, VIEW.key_of({"k": self.key}), self.bucket

    def partial(self, semantics: int) -> Partial:
        """What the event adds; a changed definition counts the amount another time."""
        return VIEW.lift({"n": 1, "total": self.amount * semantics})


class MemoryEntries(EntryLog):
    """An entry log without a disk: a few hundred schedules need no fsync."""

    def __init__(self) -> None:
        super().__init__(Path("memory"))
        self.entries: dict[int, dict[str, Any]] = {}

    def append(self, number: int, entry: Mapping[str, Any]) -> None:
        if number in self.entries:
            raise EntryTaken(f"entry {number} exists")
        self.entries[number] = dict(entry)

    def read(self, number: int) -> dict[str, Any]:
        return dict(self.entries[number])

    def numbers(self) -> list[int]:
        return sorted(self.entries)

    def following(self, number: int) -> list[int]:
        return [found for found in self.numbers() if found > number]


@dataclass
class Checkpoint:
    """What Spark keeps of a stream: ranges that were planned, and the last micro-batch that was committed."""

    start: dict[int, int]
    planned: dict[int, Range] = field(default_factory=dict)
    committed: int = -1

    @property
    def next(self) -> int:
        return self.committed + 1

    @property
    def end(self) -> dict[int, int]:
        return dict(self.planned[self.committed][1]) if self.planned and self.committed >= 0 else self.start


@dataclass(frozen=True)
class Made:
    """What a run makes of all records below a boundary."""

    rows: dict[Field, Partial]


class World:
    """A world of another kind of event has other `views`, and says in `lifted` what an event adds to them."""

    views: ClassVar[Mapping[str, CompiledView]] = {VIEW.name: VIEW}
    window = WINDOW

    def __init__(self, publications: type[Publications] = Publications) -> None:
        self.now = 0
        self.semantics = 1
        self.topic = 1
        self.losses = Losses(MemoryEntries(), MemoryEntries())
        self.log: list[list[Record]] = [[], []]
        self.sent: list[Record] = []
        self.begins: dict[int, int] = {}
        self.aliases: dict[str, str] = {}
        self.alarms: list[str] = []
        self.checks: list[str] = []
        self.cuts = CutRegistry(MemoryEntries())
        self.publications = publications(MemoryEntries(), MemoryEntries())
        self.archive: list[tuple[Range, list[Record]]] = []
        self.tables: dict[int, Made] = {}
        self.redis = Redis()
        self.checkpoints: dict[str, Checkpoint] = {}
        self.cut_times: dict[int, int] = {}
        self.intended: dict[tuple[str, int], Intent] = {}  # what no process reads

    def lifted(self, record: Record, semantics: int) -> Iterator[tuple[Field, Partial]]:
        """What an event adds, and where."""
        yield record.field, record.partial(semantics)

    def fold(self, partials: Iterable[tuple[Field, Partial]]) -> dict[Field, Partial]:
        found: dict[Field, Partial] = {}
        for place, partial in partials:
            view = self.views[place[0]]
            found[place] = view.merge(found.get(place, view.zero), partial)
        return found

    def merge(self, name: Name, packed: bytes | None, change: Partial) -> bytes:
        """A field of Redis with what a micro-batch adds to it."""
        view = self.views[name.view]
        held = view.zero if packed is None else view.codec.unpack(packed)
        return view.codec.pack(view.merge(held, change))

    def send(self, record: Record) -> Record:
        """Append a record; its time lies before every later reading of the clock."""
        place = self.log[record.partition]
        sent = replace(record, offset=len(place), at=self.now)
        place.append(sent)
        self.sent.append(sent)
        self.now += 1
        return sent

    @property
    def identity(self) -> LogIdentity:
        return LogIdentity("cluster", SOURCE.topic, f"topic {self.topic}")

    def ends(self) -> dict[int, int]:
        return {partition: len(records) for partition, records in enumerate(self.log)}

    def read(self, start: Offsets, end: Offsets) -> Iterator[Record]:
        for partition, last in end.items():
            yield from self.log[partition][max(start.get(partition, 0), self.begin(partition)) : last]

    def begin(self, partition: int) -> int:
        """The first offset that the log still has."""
        return self.begins.get(partition, 0)

    def archived(self) -> dict[int, int]:
        return dict(self.archive[-1][0][1]) if self.archive else {}

    def after(self, start: Offsets, appetite: int, limit: Offsets | None = None) -> dict[int, int]:
        """Where a read of at most `appetite` records for each partition ends."""
        ends = self.ends() if limit is None else limit
        return {p: max(start.get(p, 0), min(end, start.get(p, 0) + appetite)) for p, end in ends.items()}

    def truth(self, semantics: int, aliases: Mapping[str, str], before: float = float("inf")) -> Counts:
        """The oracle: the first valid copy of each event sent before a time, counted plainly."""
        return plainly([record for record in self.sent if record.at < before], semantics, aliases)


def plainly(records: Iterable[Record], semantics: int, aliases: Mapping[str, str]) -> Counts:
    """The first valid copy of each event, in the order they were sent."""
    found: Counts = Counter()
    seen: set[str] = set()
    for record in records:
        if record.counts(semantics) and record.event_id not in seen:
            seen.add(record.event_id)
            place = resolved(record.field, aliases)
            found[(*place, "n")] += 1
            found[(*place, "total")] += record.amount * semantics
    return found


def resolved(place: Field, aliases: Mapping[str, str]) -> Field:
    """A field under the name that its key has been joined to."""
    view, key, bucket = place
    name = parse_key(key)[0]
    return view, VIEW.key_of({"k": aliases.get(str(name), name)}), bucket
