"""What events said of pairs of ids since a boundary, and by which resolution the speed state counts."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from core.application import BoundSource
from core.errors import FormatRefused
from core.folders import Folders
from core.groups import Pair
from core.handoff import vouched
from core.identity import pairs_name, person_part
from core.keys import parse_key
from core.resolutions import Alone, Changes, Resolution, changes, open_resolution
from core.views import CompiledView
from serving_layer.moments import EARLIEST, LATEST
from serving_layer.persons import Now
from serving_layer.ports import Snapshot, SpeedReading, SpeedSilent, SpeedStore, TooManyHashes

__all__ = ["LivePairs"]

_MOST_KEYS = 100


@dataclass
class LivePairs:
    """Of one source. What was read of a micro-batch is kept until the next one, who is one person until
    that says something else."""

    bound: BoundSource
    speed: SpeedStore
    folders: Folders
    _kept: tuple[object, Mapping[Pair, str]] | None = field(default=None, repr=False)
    _compared: tuple[object, Changes] | None = field(default=None, repr=False)
    _made: tuple[object, Now] | None = field(default=None, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @property
    def name(self) -> str:
        """The view of pairs."""
        return pairs_name(self.bound.source)

    def keys_of(self, view: CompiledView, key: str) -> tuple[str, ...] | None:
        """The keys under which the speed state has what an answer is made of, by what was told last.

        None where these are not known, or too many to look at each.
        """
        now = self._made and self._made[1]
        if person_part(view) is None:
            return (key,)
        if now is None or now.counted is None:
            return None
        try:
            keys, _ = now.counted_keys(view, key)
        except SpeedSilent:
            return None
        return tuple(keys) if len(keys) <= _MOST_KEYS else None

    async def now(self, snapshot: Snapshot) -> tuple[Now, SpeedReading]:
        """Who is one person, and what vouches for that. Raises `SpeedSilent`."""
        reading, words = await self._words(snapshot.boundary)
        published = snapshot.manifest.resolution if snapshot.manifest else ""
        counted = reading.generation.resolution if reading.generation else published
        place, made = (snapshot.manifest and snapshot.manifest.version, published, counted), self._made
        # a resolution that is gone may come back
        if made is None or made[0] != place or made[1].words is not words or made[1].counted is None:
            made = self._made = place, await self._now(snapshot, words, published, counted)
        return made[1], reading

    async def _now(self, snapshot: Snapshot, words: Mapping[Pair, str], published: str, counted: str) -> Now:
        version, persons = snapshot.manifest.version if snapshot.manifest else 0, snapshot.persons
        if counted == published:
            return Now(version, persons, persons, words)
        resolution = self._counted(counted)
        if resolution is None:
            return Now(version, persons, None, words)
        changed = await self._changes(snapshot, resolution, counted)
        return Now(version, persons, resolution, words, changed)

    async def _words(self, boundary: int) -> tuple[SpeedReading, Mapping[Pair, str]]:
        async with self._turn:
            reading = await self.speed.state()
            place = (reading.generation, reading.progress and reading.progress.batch, boundary)
            if self._kept is None or self._kept[0] != place:
                reading, words = await self._read(boundary)
                _check_all_there(reading)
                if self._kept is not None and self._kept[1] == words:
                    words = self._kept[1]
                self._kept = (
                    (reading.generation, reading.progress and reading.progress.batch, boundary), words,
                )  # fmt: skip
            return reading, self._kept[1]

    async def _read(self, boundary: int) -> tuple[SpeedReading, Mapping[Pair, str]]:
        view = self.bound.view(self.name)
        try:
            reading, found = await self.speed.read_listed(view, "", (EARLIEST, LATEST), boundary, _all)
        except TooManyHashes as error:
            raise SpeedSilent(f"too many pairs of ids came since the last publish: {error}") from error
        words = dict[Pair, str]()
        for key, buckets in (found or {}).items():
            one, other = parse_key(key)
            (newest,) = view.merge_all([partial for _, partial in buckets])
            if one is not None and other is not None and newest is not None:
                words[one, other] = newest
        return reading, words

    def _counted(self, content: str) -> Resolution | None:
        if not content:
            return Alone()
        try:
            return open_resolution(self.folders.resolution(content))
        except FormatRefused:
            return None

    async def _changes(self, snapshot: Snapshot, counted: Resolution, content: str) -> Changes:
        """From what the speed state counts by to the version; most often the publish has told it."""
        entry = snapshot.manifest.identity if snapshot.manifest else {}
        if entry.get("from") == content:
            return Changes(entry["changed"], entry["parted"])
        place = (content, entry.get("hash", ""))
        if self._compared is None or self._compared[0] != place:
            found = await asyncio.to_thread(changes, counted, snapshot.persons)
            self._compared = place, found
        return self._compared[1]


def _check_all_there(reading: SpeedReading) -> None:
    """Raises `SpeedSilent` where a shard lost what it held: the pairs that are missing were in it, while all
    that is read of a person may lie in others."""
    if reading.progress and not vouched(reading.progress, reading.lease, reading.stamps):
        raise SpeedSilent("what is known of pairs of ids is older than the speed job says: ask again")


def _all(keys: Collection[str]) -> Collection[str]:
    return keys
