"""The speed state of a source in Redis: keys that are named are read in one pipeline.

The order of the commands is what makes an answer right while the job writes:

    condemned, lease, progress
                            first: whatever they vouch for is in the fields that are read after them
    containers, touched, fields
    stamps, current         last: no segment at or beyond the stamps' floor was dropped before the fields were
                            read, and a generation that is current now was so all the time

Keys that are not named are looked up in the lists of touched hashes: what is vouched for before these are
read is in them. Their fields are read in many pipelines, so that no other request waits for long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import orjson

from core.cuts import Cut
from core.handoff import Generation, Progress
from core.layout import Layout
from core.periods import Periods
from core.views import CompiledView
from serving_layer.closed import ClosedSegments, closed_segments
from serving_layer.key_reading import MOST_OPEN, KeyReading, Wanted
from serving_layer.pipes import Command, Pipe
from serving_layer.ports import Bucketed, Choose, ReadKeys, SpeedReading, SpeedSilent, SpeedStore
from serving_layer.touched import MOST_HASHES, TouchedKeys, TouchedLists
from serving_layer.vouchers import current_generation, ends_asked, in_use, reading_of, stamped, vouchers_asked

__all__ = ["RedisSpeedStore"]

_TRIES = 5
_MOST_COMMANDS = 5_000
_MOST_OPEN_OF_MANY = 4
_TURN = 50  # keys settled before other requests have their turn
_AT_ONCE = 100  # keys of a list whose fields are read in one pipeline


class RedisSpeedStore(SpeedStore):
    """Remembers the generation and the containers of each view; a pipeline says whether that still holds."""

    def __init__(
        self, layout: Layout, pipe: Pipe, semantics: str, cuts: Callable[[], Sequence[Cut]] = tuple
    ) -> None:
        self._layout, self._pipe, self._semantics, self._cuts = layout, pipe, semantics, cuts
        self._generation: Generation | None = None
        self._containers: dict[str, frozenset[int]] = {}
        self._touched: dict[str, TouchedKeys] = {}
        self._newest = 0
        self._closed = ClosedSegments()

    async def state(self) -> SpeedReading:
        generation = await self._current()
        if generation is None:
            return SpeedReading()
        following: Command = ("GET", self._layout.following())
        *vouchers, name = await self._pipe.execute([*vouchers_asked(self._layout, generation), following])
        reading = reading_of(generation, *vouchers)
        return reading if name is None else replace(reading, successor=await self._successor(name.decode()))

    async def _successor(self, generation: str) -> tuple[str, Progress | None]:
        (progress,) = await self._pipe.execute([("GET", self._layout.of(generation, "progress"))])
        return generation, Progress.from_json(orjson.loads(progress)) if progress else None

    async def read(
        self,
        view: CompiledView,
        key: str,
        span: tuple[int, int],
        boundary: int,
        every: Periods | None = None,
    ) -> SpeedReading:
        reading, found = await self.read_many(view, [key], span, boundary, every)
        return reading if found is None else replace(reading, buckets=found[key])

    async def read_many(
        self,
        view: CompiledView,
        keys: Sequence[str],
        span: tuple[int, int],
        boundary: int,
        every: Periods | None = None,
    ) -> ReadKeys:
        wanted = [Wanted(view, key, *span, boundary, every) for key in keys]
        return await self._tried(lambda generation: self._read(generation, wanted))

    async def read_listed(
        self,
        view: CompiledView,
        prefix: str,
        span: tuple[int, int],
        boundary: int,
        choose: Choose,
        every: Periods | None = None,
    ) -> ReadKeys:
        wanted = Wanted(view, prefix, *span, boundary, every)
        return await self._tried(lambda generation: self._read_listed(generation, wanted, choose))

    async def _tried(self, attempt: Callable[[Generation], Awaitable[ReadKeys | None]]) -> ReadKeys:
        for _ in range(_TRIES):
            generation = self._generation or await self._current()
            if generation is None:
                return SpeedReading(), None
            if generation.semantics != self._semantics:
                # its bytes have another layout: whoever runs those definitions can read them, we cannot
                self._generation = None
                return await self.state(), None
            found = await attempt(generation)
            if found is not None:
                return found
        raise SpeedSilent("the speed state changed each time it was read: ask again")

    async def _read(self, generation: Generation, wanted: Sequence[Wanted]) -> ReadKeys | None:
        """None if what we remember no longer holds: then it was forgotten, and the next try reads it anew."""
        one = wanted[0]
        chosen = one.within(self._containers.get(one.view.name, frozenset()))
        # each key asks of each open segment: of many keys that is more than their fields
        most_open = MOST_OPEN if len(wanted) == 1 else _MOST_OPEN_OF_MANY
        asked = [
            KeyReading(self._layout, generation, each, chosen, self._closed, self._newest, most_open)
            for each in wanted
        ]
        (*vouchers, registry), *fields, (*stamps, current) = await self._ask(
            [*vouchers_asked(self._layout, generation), self._registry(generation, one)],
            *(each.commands() for each in asked),
            ends_asked(self._layout, generation, {each.shard for each in asked}),
        )
        if not self._still(generation, current):
            return None
        reading = stamped(reading_of(generation, *vouchers), stamps)
        if not self._remembered(one, registry, reading.progress, chosen):
            return None
        return await _settled(reading, asked, fields, closed_segments(self._cuts(), reading.progress))

    async def _read_listed(self, generation: Generation, wanted: Wanted, choose: Choose) -> ReadKeys | None:
        """`wanted` names the prefix where other reads name the key."""
        before = reading_of(generation, *await self._pipe.execute(vouchers_asked(self._layout, generation)))
        closed = closed_segments(self._cuts(), before.progress)
        hashes = await self._hashes(generation, wanted, before.progress, closed)
        chosen = [
            (replace(wanted, key=key), wanted.within(hashes[key])) for key in choose(hashes) if key in hashes
        ]
        found, fields, unkept = dict[str, Sequence[Bucketed]](), 0, ClosedSegments(0)
        for at in range(0, len(chosen), _AT_ONCE):
            # nothing of it is kept: that is for keys which are asked for by name
            asked = [
                KeyReading(self._layout, generation, one, containers, unkept, closed)
                for one, containers in chosen[at : at + _AT_ONCE]
            ]
            replies = await self._ask(*(each.commands() for each in asked))
            for each, reply in zip(asked, replies, strict=True):
                found[each.key] = each.settle(reply, closed, None) or ()
                fields += each.fields
        *stamps, current = await self._pipe.execute(
            ends_asked(self._layout, generation, range(generation.shards))
        )
        if not self._still(generation, current):
            return None
        return replace(stamped(before, stamps), fields=fields), found

    async def _hashes(
        self, generation: Generation, wanted: Wanted, progress: Progress | None, closed: int
    ) -> Mapping[str, list[int]]:
        """The containers of each key that segments from the boundary on touched."""
        name = wanted.view.name
        touched = self._touched.setdefault(name, TouchedKeys(name, MOST_HASHES))
        segments = range(wanted.boundary, (progress.cuts if progress else 0) + 1)
        lists = TouchedLists(self._pipe, self._layout, generation)
        return await touched.containers(lists, wanted.key, segments, closed)

    async def _ask(self, *groups: Sequence[Command]) -> list[list[Any]]:
        """The replies of each group, in one pipeline, or in several that Redis answers in time."""
        commands = [command for group in groups for command in group]
        replies = list[Any]()
        for at in range(0, len(commands), _MOST_COMMANDS):
            replies += await self._pipe.execute(commands[at : at + _MOST_COMMANDS])
        each = iter(replies)
        return [list(islice(each, len(group))) for group in groups]

    def _still(self, generation: Generation, current: bytes | None) -> bool:
        if in_use(generation, current):
            return True
        self._forget()
        return False

    def _remembered(
        self, wanted: Wanted, registry: Sequence[bytes], progress: Progress | None, chosen: list[int]
    ) -> bool:
        """Whether the containers and the newest segment were those we thought; from now on they are."""
        found, newest = frozenset(map(int, registry)), progress.cuts if progress else 0
        same = wanted.within(found) == chosen and newest <= self._newest
        self._containers[wanted.view.name], self._newest = found, newest
        return same

    def _registry(self, generation: Generation, wanted: Wanted) -> Command:
        """The containers that hold a segment from the boundary on, or did a moment ago."""
        name = self._layout.containers(generation.id, wanted.view.name)
        return ("ZRANGEBYSCORE", name, wanted.boundary, "+inf")

    async def _current(self) -> Generation | None:
        generation = await current_generation(self._pipe, self._layout)
        if generation != self._generation:
            self._forget()
            self._generation = generation
        return generation

    def _forget(self) -> None:
        self._generation = None
        self._containers = {}
        self._touched = {}
        self._closed = ClosedSegments()  # whoever reads now goes on with the former one


async def _settled(
    reading: SpeedReading, asked: Sequence[KeyReading], replies: Sequence[Sequence[Any]], closed: int
) -> ReadKeys | None:
    """None if a key was touched where nothing was asked for: what is kept says so now, and is asked again."""
    settled = list[list[Bucketed] | None]()
    batch = reading.progress.batch if reading.progress else None
    for each, fields in zip(asked, replies, strict=True):
        settled.append(each.settle(fields, closed, batch))
        if len(settled) % _TURN == 0:
            await asyncio.sleep(0)
    buckets = {each.key: some for each, some in zip(asked, settled, strict=True) if some is not None}
    if any(some is None for some in settled):
        return None
    return replace(reading, fields=sum(each.fields for each in asked)), buckets
