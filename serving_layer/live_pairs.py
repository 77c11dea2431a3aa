"""What events said of pairs of ids since a boundary, and by which resolution the speed state counts."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from core.application import BoundSource
from core.errors import FormatRefused
from core.folders import Folders
from core.groups import Pair
from core.handoff import vouched
from core.identity import pairs_name
from core.keys import parse_key
from core.resolutions import Alone, Changes, Resolution, changes, open_resolution
from serving_layer.moments import EARLIEST, LATEST
from serving_layer.persons import Now
from serving_layer.ports import Snapshot, SpeedReading, SpeedSilent, SpeedStore, TooManyHashes

__all__ = ["LivePairs"]


@dataclass
class LivePairs:
    """Of one source. What was read of a micro-batch is kept until the next one."""

    bound: BoundSource
    speed: SpeedStore
    folders: Folders
    _kept: tuple[object, Mapping[Pair, str]] | None = field(default=None, repr=False)
    _compared: tuple[object, Changes] | None = field(default=None, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def now(self, snapshot: Snapshot) -> tuple[Now, SpeedReading]:
        """Who is one person, and what vouches for that. Raises `SpeedSilent`."""
        reading, words = await self._words(snapshot.boundary)
        published, generation = snapshot.persons, reading.generation
        version = snapshot.manifest.version if snapshot.manifest else 0
        content = snapshot.manifest.resolution if snapshot.manifest else ""
        if generation is None or generation.resolution == content:
            return Now(version, published, published, words), reading
        counted = self._counted(generation.resolution)
        if counted is None:
            return Now(version, published, None, words), reading
        changed = await self._changes(snapshot, counted, generation.resolution)
        return Now(version, published, counted, words, changed), reading

    async def _words(self, boundary: int) -> tuple[SpeedReading, Mapping[Pair, str]]:
        async with self._turn:
            reading = await self.speed.state()
            place = (reading.generation, reading.progress and reading.progress.batch, boundary)
            if self._kept is None or self._kept[0] != place:
                reading, words = await self._read(boundary)
                _check_all_there(reading)
                self._kept = (
                    (reading.generation, reading.progress and reading.progress.batch, boundary), words,
                )  # fmt: skip
            return reading, self._kept[1]

    async def _read(self, boundary: int) -> tuple[SpeedReading, Mapping[Pair, str]]:
        view = self.bound.view(pairs_name(self.bound.source))
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
