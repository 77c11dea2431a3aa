"""Fakes and events for tests of the serving layer."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Self

import httpx
from fastapi import FastAPI

from bench.state import Buckets, Fields
from conf.settings import ROOT, Settings
from core.application import Application, BoundSource
from core.buckets import floor
from core.cuts import Cut, segment_of
from core.handoff import Generation, Lease, Progress
from core.instants import parse_instant
from core.keys import index_text
from core.logs import Logger
from core.manifest import Manifest, Pointer
from core.measures import Partial
from core.periods import Periods
from core.views import CompiledView
from serving_layer.asking import Desk
from serving_layer.event_log import EventLog, LogRefuses, LogSilent, Position
from serving_layer.pipes import Command, Pipe
from serving_layer.ports import (
    Bucketed,
    Choose,
    Index,
    IndexBroken,
    Listed,
    ReadKeys,
    Snapshot,
    SpeedReading,
    SpeedSilent,
    SpeedStore,
    Versions,
)  # fmt: skip
from serving_layer.services import Services
from serving_layer.speed_fields import Asked, Field, SpeedFields
from serving_layer.status import Status

APPLICATION = Application.load("conf.definitions.wikipedia", ROOT / "conf" / "contracts")
BOUND: BoundSource = APPLICATION.source()
SEMANTICS = BOUND.semantics(20)
DAY = 1_442_016_000  # 2015-09-12
KEY = "correct horse"

Event = Mapping[str, Any]
_INPUTS: Mapping[str | None, Callable[[Event], Any]] = {
    None: lambda event: 1,
    "abs(delta)": lambda event: abs(event["delta"]),
    "concat(channel, ' ', page)": lambda event: f"{event['channel']} {event['page']}",
    "event_time": lambda event: parse_instant(event["event_time"]),
}


def counts(view: CompiledView, event: Event) -> bool:
    """Whether a view counts an event."""
    return view.where == "true" or bool(event["isRobot"])


def place(view: CompiledView, event: Event) -> tuple[str, int]:
    """The key's text and the bucket of an event."""
    return view.key_of({name: event[name] for name in view.key}), floor(
        parse_instant(event["event_time"]) // 1_000_000, view.width
    )


def lifted(view: CompiledView, event: Event) -> Partial:
    """One event's partial, in plain Python."""
    return view.lift({name: _input(measure.expression, event) for name, measure in view.measures.items()})


def _input(expression: str | None, event: Event) -> Any:
    return _INPUTS[expression](event) if expression in _INPUTS else event[str(expression)]


def buckets_of(view: CompiledView, events: Iterable[Event]) -> Buckets:
    found: Buckets = _folded(view, ((place(view, event), event) for event in events))
    return found


def fields_of(view: CompiledView, events: Iterable[tuple[int, Event]]) -> Fields:
    """Of (segment, event) pairs."""
    placed = []
    for segment, event in events:
        key, bucket = place(view, event)
        placed.append(((key, segment, bucket), event))
    found: Fields = _folded(view, placed)
    return found


def _folded(view: CompiledView, placed: Iterable[tuple[Any, Event]]) -> Any:
    groups: dict[Any, list[Partial]] = {}
    for where, event in placed:
        if counts(view, event):
            groups.setdefault(where, []).append(lifted(view, event))
    return {where: view.merge_all(partials) for where, partials in groups.items()}


def segments(events: Sequence[Event], cuts: Sequence[int]) -> list[int]:
    """The segment of each event, one partition, offsets in order, cuts at these offsets."""
    vectors = [Cut(number + 1, {0: offset}) for number, offset in enumerate(cuts)]
    return [segment_of(0, offset, vectors) for offset in range(len(events))]


def generation(start_cut: int = 0, semantics: str = SEMANTICS, name: str = "g1") -> Generation:
    return Generation(name, BOUND.source.name, start_cut, {}, semantics, 4, "cluster", "topic")


def progress(cuts: int = 0, batch: int = 7, floor: int = 0, lost: str | None = None) -> Progress:
    return Progress(batch, {0: 1000}, cuts, floor, lost)


def lease(batch: int = 7, as_of: float = DAY + 43_200.0) -> Lease:
    return Lease(batch, as_of, as_of)


class AppClient:
    """Speaks HTTP with an app in this process: one event loop, from start to stop."""

    def __init__(self, app: FastAPI) -> None:
        self.app, self._runner = app, asyncio.Runner()
        self._lifespan = app.router.lifespan_context(app)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://api")

    def __enter__(self) -> Self:
        self._runner.run(self._enter())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._leave())
        self._runner.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.request("GET", path, params=parameters)

    def do(self, work: Any) -> Any:
        """Run a coroutine in the app's loop."""
        return self._runner.run(work)

    async def _enter(self) -> None:
        await self._lifespan.__aenter__()

    async def _leave(self) -> None:
        await self._client.aclose()
        await self._lifespan.__aexit__(None, None, None)


class FakeIndex(Index):
    """Tiles from a dict of finest buckets."""

    def __init__(self, buckets: Mapping[str, Buckets]) -> None:
        self.buckets = buckets

    def read(self, view: CompiledView, key: str, runs: Sequence[Any]) -> list[Bucketed]:
        found = sorted((b, p) for (k, b), p in self.buckets.get(view.name, {}).items() if k == key)
        return [(b, p) for b, p in found if any(run.start <= b < run.end for run in runs)]

    def read_many(
        self, view: CompiledView, keys: Collection[str], runs: Sequence[Any]
    ) -> dict[str, list[Bucketed]]:
        return {key: self.read(view, key, runs) for key in keys}

    def keys(self, view: CompiledView, prefix: str, after: bytes | None, most: int) -> list[Listed]:
        texts = {key for key, _ in self.buckets.get(view.name, {}) if key.startswith(prefix)}
        listed: list[Listed] = sorted((index_text(text), text) for text in texts)
        return [(name, text) for name, text in listed if after is None or name > after][:most]


@dataclass
class FakeVersions(Versions):
    """Snapshots one after the other: `renew` moves to the next."""

    snapshots: list[Snapshot]
    renewed: int = 0
    broken: str | None = None

    def current(self) -> Snapshot:
        if self.broken:
            raise IndexBroken(self.broken)
        return self.snapshots[0]

    @property
    def trouble(self) -> str | None:
        return self.broken

    async def renew(self) -> Snapshot:
        self.renewed += 1
        if len(self.snapshots) > 1:
            self.snapshots.pop(0)
        return self.current()


@dataclass
class FakeSpeed(SpeedStore):
    """Fields from a dict, or silence."""

    reading: SpeedReading = field(default_factory=SpeedReading)
    fields: Mapping[str, Fields] = field(default_factory=dict)
    silence: str | None = None

    async def read(
        self, view: CompiledView, key: str, span: tuple[int, int], boundary: int, every: Periods | None = None
    ) -> SpeedReading:
        if self.silence:
            raise SpeedSilent(self.silence)
        if self.reading.generation is None:
            return self.reading
        found = [
            (bucket, partial)
            for (name, segment, bucket), partial in self.fields.get(view.name, {}).items()
            if name == key and segment >= boundary and span[0] <= bucket < span[1]
        ]
        return SpeedReading(**{**vars(self.reading), "buckets": found, "fields": len(found)})

    async def read_many(
        self,
        view: CompiledView,
        keys: Sequence[str],
        span: tuple[int, int],
        boundary: int,
        every: Periods | None = None,
    ) -> ReadKeys:
        found = {key: await self.read(view, key, span, boundary, every) for key in keys}
        fields = sum(reading.fields for reading in found.values())
        if self.reading.generation is None:
            return self.reading, None
        reading = SpeedReading(**{**vars(self.reading), "fields": fields})
        return reading, {key: each.buckets or () for key, each in found.items()}

    async def read_listed(
        self,
        view: CompiledView,
        prefix: str,
        span: tuple[int, int],
        boundary: int,
        choose: Choose,
        every: Periods | None = None,
    ) -> ReadKeys:
        if self.silence:
            raise SpeedSilent(self.silence)
        if self.reading.generation is None:
            return self.reading, None
        there = {
            key
            for key, segment, _ in self.fields.get(view.name, {})
            if segment >= boundary and key.startswith(prefix)
        }
        return await self.read_many(
            view, [key for key in choose(there) if key in there], span, boundary, every
        )

    async def state(self) -> SpeedReading:
        if self.silence:
            raise SpeedSilent(self.silence)
        return self.reading


@dataclass
class FakeFields(SpeedFields):
    """The fields of a `FakeSpeed`."""

    speed: SpeedStore

    async def read(self, asked: Asked) -> tuple[SpeedReading, Sequence[Field] | None]:
        span = (asked.start, asked.end)
        reading = await self.speed.read(asked.view, asked.key, span, asked.boundary)
        if not isinstance(self.speed, FakeSpeed) or reading.buckets is None:
            return reading, None
        held = self.speed.fields.get(asked.view.name, {})
        return reading, sorted(
            Field(segment, bucket, partial)
            for (name, segment, bucket), partial in held.items()
            if name == asked.key and segment >= asked.boundary and asked.start <= bucket < asked.end
        )


@dataclass
class FakeLog(EventLog):
    """Keeps records; `silent` and `refuses` are what it says instead."""

    records: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    silent: str | None = None
    refuses: str | None = None
    closed: bool = False

    def append(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> list[Position]:
        self._say()
        first = len(self.records)
        self.records += [(topic, key, value) for key, value in records]
        return [Position(0, first + place) for place in range(len(records))]

    def ends(self, topic: str) -> Mapping[int, int]:
        self._say()
        return {0: 1010, 1: 5}

    def close(self) -> None:
        self.closed = True

    def _say(self) -> None:
        if self.silent:
            raise LogSilent(self.silent)
        if self.refuses:
            raise LogRefuses(self.refuses)


class FakePipe(Pipe):
    """A few commands of Redis over dicts. `before` is called with each pipeline before it runs."""

    def __init__(self, commands: Iterable[Any] = ()) -> None:
        self.data: dict[str, Any] = {}
        self.pipelines: list[list[Command]] = []
        self.before: Any = None
        self.apply(commands)

    def apply(self, commands: Iterable[Any]) -> list[Any]:
        return [getattr(self, f"_{str(command[0]).lower()}")(*command[1:]) for command in commands]

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        self.pipelines.append(list(commands))
        if self.before:
            self.before(commands)
        return self.apply(commands)

    def _set(self, key: str, value: str) -> bytes:
        self.data[key] = value.encode()
        return b"OK"

    def _get(self, key: str) -> bytes | None:
        return self.data.get(key)

    def _del(self, key: str) -> None:
        self.data.pop(key, None)

    def _sadd(self, key: str, *members: Any) -> int:
        self.data.setdefault(key, set()).update(str(member).encode() for member in members)
        return 1

    def _smembers(self, key: str) -> list[bytes]:
        return list(self.data.get(key, ()))

    def _zadd(self, key: str, _: str, score: int, member: int) -> int:
        held = self.data.setdefault(key, {})
        held[str(member).encode()] = max(score, held.get(str(member).encode(), score))
        return 1

    def _zrangebyscore(self, key: str, least: int, _: str) -> list[bytes]:
        return [member for member, score in self.data.get(key, {}).items() if score >= least]

    def _smismember(self, key: str, *members: Any) -> list[int]:
        return [int(str(member).encode() in self.data.get(key, ())) for member in members]

    def _hset(self, key: str, *pairs: Any) -> int:
        raw = [part if isinstance(part, bytes) else str(part).encode() for part in pairs]
        self.data.setdefault(key, {}).update(zip(raw[::2], raw[1::2], strict=True))
        return 1

    def _hgetall(self, key: str) -> list[bytes]:
        return [part for pair in self.data.get(key, {}).items() for part in pair]

    def _hmget(self, key: str, *names: str | bytes) -> list[bytes | None]:
        raw = [name if isinstance(name, bytes) else name.encode() for name in names]
        return [self.data.get(key, {}).get(name) for name in raw]


def services(
    versions: Versions, speed: SpeedStore, log: EventLog, settings: Settings, clock: float = DAY + 43_210.0
) -> Services:
    """Services over fakes."""
    from core.folders import Folders
    from serving_layer.explaining import Explainer
    from serving_layer.master_events import Limits
    from serving_layer.past_desks import PastDesks

    name = BOUND.source.name
    desk = Desk(BOUND, SEMANTICS, versions, speed)
    status = Status(desk, Folders(settings.data_dir, name), log, lambda: clock)
    limits = Limits(settings.as_of_records, settings.as_of_copies)
    past = PastDesks(
        BOUND, SEMANTICS, Folders(settings.data_dir, name), limits, settings.batch_interval, lambda: clock
    )
    return Services(
        APPLICATION, {name: desk}, {name: status}, log, KEY, clock=lambda: clock, pasts={name: past},
        explainers={name: Explainer(desk, past, FakeFields(speed), settings.dedupe_window)},
    )  # fmt: skip


def snapshot(manifest: Manifest, buckets: Mapping[str, Buckets]) -> Snapshot:
    pointer = Pointer(1, manifest.version, manifest.boundary, 0, "publish", manifest.created_at)
    return Snapshot(pointer, manifest, FakeIndex(buckets))


def edit(number: int, **values: Any) -> dict[str, Any]:
    """An edit that the contract accepts."""
    return {
        "event_id": f"e{number}", "event_time": "2015-09-12T06:00:00Z", "channel": "#en.wikipedia",
        "page": "Ada", "user": "mary", "namespace": "Main", "isRobot": False, "isNew": False,
        "isMinor": False, "isAnonymous": False, "isUnpatrolled": False, "added": 5, "deleted": 2, "delta": 3,
        "countryIsoCode": None, **values,
    }  # fmt: skip


def silent_logger() -> Logger:
    return Logger("test", stream=StringIO())
