"""The keys that the speed state holds something of: read from the lists of touched hashes.

A key is in the list of a segment before its first field of that segment is, and leaves it after the last one.
Lists of closed segments never grow, so they are read once; those of the segments that are still written are
read for each question.
"""

import asyncio
from collections.abc import Sequence

from core.handoff import Generation
from core.layout import Layout
from serving_layer.pipes import Pipe
from serving_layer.ports import TooManyHashes

__all__ = ["MOST_HASHES", "TouchedKeys", "TouchedLists"]

MOST_HASHES = 500_000  # of a view; they take about 100 bytes each
_AT_ONCE = 8  # segments whose lists are read in one pipeline
_PAUSE = 20_000  # hashes looked at before other requests have their turn
Hashes = dict[int, dict[str, int]]  # container -> key -> the newest segment that touched it


class TouchedLists:
    """The lists of one generation, in Redis."""

    def __init__(self, pipe: Pipe, layout: Layout, generation: Generation) -> None:
        self._pipe, self._layout, self._generation = pipe, layout, generation

    async def read(self, segments: Sequence[int]) -> list[tuple[int, list[bytes]]]:
        """Every list of these segments. Raises `SpeedSilent`."""
        generation, shards = self._generation.id, range(self._generation.shards)
        places = [(segment, shard) for segment in segments for shard in shards]
        commands = [("SMEMBERS", self._layout.touched(generation, shard, at)) for at, shard in places]
        replies = await self._pipe.execute(commands)
        return [(segment, names) for (segment, _), names in zip(places, replies, strict=True)]


class TouchedKeys:
    """What is known of one view's keys, for the life of a generation."""

    def __init__(self, view: str, most: int) -> None:
        self._head, self._most = f"{view}:".encode(), most
        self._kept: Hashes = {}
        self._segments = range(0)  # those whose lists are in `_kept`
        self._turn = asyncio.Lock()

    async def containers(
        self, lists: TouchedLists, prefix: str, segments: range, closed: int
    ) -> dict[str, list[int]]:
        """Keys whose text starts with `prefix`, each with the containers that `segments` touched.

        Segments below `closed` are final. Raises `TooManyHashes`, `SpeedSilent`.
        """
        async with self._turn:
            self._forget_but(segments)
            final = range(self._segments.stop, max(self._segments.stop, min(closed, segments.stop)))
            await self._gather(lists, final, self._kept)
            self._segments = range(self._segments.start, final.stop)
            newest: Hashes = {}
            await self._gather(lists, range(final.stop, segments.stop), newest)
        found: dict[str, list[int]] = {}
        for hashes in (self._kept, newest):
            await _choose(hashes, prefix, found)
        return found

    def _forget_but(self, segments: range) -> None:
        """Keep what lies from the boundary on; all of it is read anew if the boundary fell."""
        held = self._segments
        if not held.start <= segments.start <= held.stop:
            self._kept, self._segments = {}, range(segments.start, segments.start)
        elif held.start < segments.start:
            self._kept = {
                container: {key: at for key, at in keys.items() if at >= segments.start}
                for container, keys in self._kept.items()
            }
            self._segments = range(segments.start, held.stop)

    async def _gather(self, lists: TouchedLists, segments: range, into: Hashes) -> None:
        for first in range(segments.start, segments.stop, _AT_ONCE):
            for segment, names in await lists.read(segments[first - segments.start :][:_AT_ONCE]):
                self._add(segment, names, into)
            if sum(map(len, into.values())) > self._most:
                self._kept, self._segments = {}, range(0)
                raise TooManyHashes(
                    f"more than {self._most} hashes of the speed state were touched since the last publish"
                )

    def _add(self, segment: int, names: Sequence[bytes], into: Hashes) -> None:
        for name in names:
            if name.startswith(self._head):
                container, _, key = name[len(self._head) :].decode().partition(":")
                into.setdefault(int(container), {})[key] = segment


async def _choose(hashes: Hashes, prefix: str, found: dict[str, list[int]]) -> None:
    for container, keys in list(hashes.items()):
        names = list(keys)
        for first in range(0, len(names), _PAUSE):
            for key in names[first : first + _PAUSE]:
                if key.startswith(prefix) and container not in found.setdefault(key, []):
                    found[key].append(container)
            await asyncio.sleep(0)
