"""Both stores, asked about persons: whichever id of one a key names, all parts of the person are read."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.buckets import Run
from core.chains import Chain
from core.identity import person_part
from core.keys import key_text, parse_key
from core.periods import Periods
from core.resolutions import Resolution
from core.views import CompiledView
from core.visits import Visit, Visits
from serving_layer.person_keys import PersonKeys
from serving_layer.persons import Now, names_person
from serving_layer.ports import (
    Bucketed,
    Choose,
    Index,
    Listed,
    PersonNote,
    ReadKeys,
    Snapshot,
    SpeedReading,
    SpeedSilent,
    SpeedStore,
)

__all__ = ["PersonIndex", "PersonSpeed", "SilentSpeed", "keys_read"]

Span = tuple[int, int]


@dataclass(frozen=True)
class PersonIndex(Index):
    """An index whose keys are published persons, asked about whole ones."""

    inner: Index
    now: Now

    @property
    def persons(self) -> Resolution:
        return self.inner.persons

    def read(self, view: CompiledView, key: str, runs: Sequence[Run]) -> list[Bucketed]:
        return self.read_many(view, [key], runs)[key]

    def read_many(
        self, view: CompiledView, keys: Collection[str], runs: Sequence[Run]
    ) -> dict[str, list[Bucketed]]:
        of = {key: self.now.published_keys(view, key) for key in keys}
        found = self.inner.read_many(view, {one for each in of.values() for one in each}, runs)
        return {key: [held for one in each for held in found[one]] for key, each in of.items()}

    def keys(self, view: CompiledView, prefix: str, after: bytes | None, most: int) -> list[Listed]:
        return PersonKeys(self.inner, self.now, view, prefix).first(after, most)

    def parts(self, view: CompiledView, key: str) -> tuple[str, ...]:
        return tuple(self.now.published_keys(view, key))

    def visits(self, declared: Visits, users: Iterable[str]) -> Mapping[str, Visit]:
        return self.inner.visits(declared, users)

    def chains(self, digests: Iterable[bytes]) -> Mapping[bytes, Chain]:
        return self.inner.chains(digests)


@dataclass(frozen=True)
class PersonSpeed(SpeedStore):
    """A speed state whose keys are persons of the resolution by which it counts.

    `vouched` is what was read before `now` was known: nothing is vouched for beyond it.
    """

    inner: SpeedStore
    now: Now
    vouched: SpeedReading

    async def read(
        self, view: CompiledView, key: str, span: Span, boundary: int, every: Periods | None = None
    ) -> SpeedReading:
        reading, found = await self.read_many(view, [key], span, boundary, every)
        return reading if found is None else replace(reading, buckets=found[key])

    async def read_many(
        self,
        view: CompiledView,
        keys: Sequence[str],
        span: Span,
        boundary: int,
        every: Periods | None = None,
    ) -> ReadKeys:
        of, notes = dict[str, list[str]](), list[PersonNote]()
        for key in keys:
            of[key], note = self.now.counted_keys(view, key)
            notes.append(note)
        asked = sorted({one for each in of.values() for one in each})
        reading, found = await self.inner.read_many(view, asked, span, boundary, every)
        doubt = next((note.doubt for note in notes if note.doubt), None)
        return self.told(reading, replace(self.now.note, doubt=doubt)), _gathered(of, found)

    async def read_listed(
        self,
        view: CompiledView,
        prefix: str,
        span: Span,
        boundary: int,
        choose: Choose,
        every: Periods | None = None,
    ) -> ReadKeys:
        """Under the keys of whole persons; a person in the prefix is called by the least id."""
        of, alike = dict[str, list[str]](), self.now.same and not self.now.wholes

        def chosen(touched: Collection[str]) -> Collection[str]:
            raw: dict[str, list[str]] = {}
            for key in touched:
                raw.setdefault(key if alike else self.now.root(view, key), []).append(key)
            wanted = choose([key for key in raw if key.startswith(prefix)])
            of.update({key: raw[key] for key in wanted if key in raw})
            return [one for each in of.values() for one in each]

        within = prefix if alike else _before_person(view, prefix)
        reading, found = await self.inner.read_listed(view, within, span, boundary, chosen, every)
        return self.told(reading, self.now.listed), _gathered(of, found)

    async def state(self) -> SpeedReading:
        return await self.inner.state()

    def whole(self, view: CompiledView, key: str) -> str:
        return self.now.root(view, key)

    def told(self, reading: SpeedReading, note: PersonNote) -> SpeedReading:
        """A reading, and by which persons it is.

        A generation that readers moved to meanwhile may count by other persons: that is no answer.
        """
        if reading.generation != self.vouched.generation:
            raise SpeedSilent("the speed state changed while persons were looked up: ask again")
        lease = self.vouched.lease if reading.lease else None
        return replace(reading, lease=lease, persons=note)


@dataclass(frozen=True)
class SilentSpeed(SpeedStore):
    """A speed state of which nobody could say whose ids are one person, and why: those of `now` are taken."""

    inner: SpeedStore
    now: Now
    reason: str

    async def read(
        self, view: CompiledView, key: str, span: Span, boundary: int, every: Periods | None = None
    ) -> SpeedReading:
        raise SpeedSilent(self.reason)

    async def read_many(
        self,
        view: CompiledView,
        keys: Sequence[str],
        span: Span,
        boundary: int,
        every: Periods | None = None,
    ) -> ReadKeys:
        raise SpeedSilent(self.reason)

    async def read_listed(
        self,
        view: CompiledView,
        prefix: str,
        span: Span,
        boundary: int,
        choose: Choose,
        every: Periods | None = None,
    ) -> ReadKeys:
        raise SpeedSilent(self.reason)

    async def state(self) -> SpeedReading:
        return await self.inner.state()

    def whole(self, view: CompiledView, key: str) -> str:
        return self.now.root(view, key)


def _before_person(view: CompiledView, prefix: str) -> str:
    """The parts that keys of all ids of a person have in common."""
    return key_text(parse_key(prefix)[: person_part(view)]) if names_person(view, prefix) else prefix


def keys_read(view: CompiledView, key: str, snapshot: Snapshot, speed: SpeedStore) -> Sequence[str]:
    """The keys of a version whose events an answer about `key` holds, by the stores that were asked."""
    if isinstance(speed, PersonSpeed):
        return speed.now.published_keys(view, key)
    return snapshot.index.parts(view, key) if snapshot.index else [key]


def _gathered(
    of: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[Bucketed]] | None
) -> Mapping[str, Sequence[Bucketed]] | None:
    if found is None:
        return None
    return {key: [held for one in each for held in found.get(one, ())] for key, each in of.items()}
