"""One key of the speed state: what has to be asked of Redis, and what the replies say."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.handoff import Generation
from core.keys import shard_of
from core.layout import Layout, container_width, field_name, parse_field, unseal
from core.measures import Partial
from core.periods import Periods
from core.views import CompiledView
from serving_layer.closed import Bundle, Closed, ClosedSegments, Latest, Place
from serving_layer.pipes import Command
from serving_layer.ports import Bucketed

__all__ = ["MOST_OPEN", "KeyReading", "Wanted"]

_WORTH = 4  # fields: merging fewer anew costs less than keeping them
_MANY = 32  # fields that are not final: from here on they are kept until the next micro-batch
MOST_OPEN = 64  # segments: a container last looked at before so many is read as a whole


@dataclass(frozen=True)
class Wanted:
    """Which fields of a key are asked for; `every` are the rows they go into, if not one row."""

    view: CompiledView
    key: str
    start: int
    end: int
    boundary: int
    every: Periods | None = None

    @property
    def step(self) -> int:
        return container_width(self.view.width)

    def within(self, containers: Iterable[int]) -> list[int]:
        return sorted(at for at in containers if self.start < at + self.step and at < self.end)

    def in_one_row(self, container: int) -> bool:
        """Whether all that is asked for of a container goes into one row."""
        if self.every is None:
            return True
        end = container + self.step
        return self.start <= container and end <= self.end and self.every.one_holds(container, end)

    def place(self, container: int) -> Place:
        """What is asked for of a container: at the ends of a range that is a part of it."""
        end = container + self.step
        return (self.view.name, self.key, max(self.start, container), min(self.end, end))


class KeyReading:
    """The commands for some containers of a key, given what is kept of closed segments.

    `newest` is the segment that is written now.
    """

    def __init__(
        self, layout: Layout, generation: Generation, wanted: Wanted, containers: Sequence[int],
        kept: ClosedSegments, newest: int, most_open: int = MOST_OPEN,
    ) -> None:  # fmt: skip
        self._layout, self._generation, self._wanted, self._kept = layout, generation, wanted, kept
        self._newest, self._most_open, self.fields = newest, most_open, 0
        self.shard = shard_of(wanted.view.name, wanted.key, generation.shards)
        known = {at: closed for at in containers if (closed := self._closed(at)) is not None}
        self._resting = {at: closed for at, closed in known.items() if closed.latest is not None}
        self._warm = {at: closed for at, closed in known.items() if closed.latest is None}
        self._cold = [at for at in containers if at not in known]
        self._hot = [at for at, closed in self._warm.items() if closed.hot]
        oldest = min((closed.upto for closed in self._warm.values()), default=newest + 1)
        self._segments = range(oldest, newest + 1)

    def commands(self) -> list[Command]:
        members = [self._name(at)[self._head :] for at in self._warm]
        asked: list[Command] = [("SMISMEMBER", self._touched(at), *members) for at in self._segments]
        asked += [("HMGET", self._name(at), *self._names(at)) for at in self._hot]
        asked += [("HGETALL", self._name(at)) for at in self._cold]
        return asked

    def settle(self, replies: Sequence[Any], closed: int, batch: int | None) -> list[Bucketed] | None:
        """Buckets and whole containers; None if what is kept does not hold any more: ask again.

        Keeps segments below `closed`, which are final, and much that came with micro-batches up to `batch`.
        """
        asked = iter(replies)
        touched = self._touched_containers([next(asked) for _ in self._segments])
        if not self._holds(touched, batch):
            return None
        upto, found = min(closed, self._newest + 1), self._at_rest(touched)
        newest = {at: next(asked) for at in self._hot}
        for at in self._warm:
            found += self._warmed(at, self._newly(at, newest.get(at)), upto, at in touched, batch)
        for at in self._cold:
            found += self._colded(at, next(asked), upto, batch)
        return found

    def _holds(self, touched: set[int], batch: int | None) -> bool:
        """Whether all that was written was asked for, or is kept; from now on it will be."""
        stale = [at for at, held in self._resting.items() if held.latest and held.latest.batch != batch]
        missed = touched - set(self._hot)
        for at in stale:
            self._keep(at, replace(self._resting[at], latest=None))
        for at in missed:
            self._keep(at, replace(self._warm[at], hot=True))
        return not stale and not missed

    def _keep(self, at: int, closed: Closed) -> None:
        self._kept.containers.put(self._wanted.place(at), closed)

    def _at_rest(self, touched: set[int]) -> list[Bucketed]:
        """Containers that nothing was added to; into one row they are merged once, while that is so."""
        quiet = {at: held.partial for at, held in self._warm.items() if at not in touched}
        quiet |= {at: held.latest.partial for at, held in self._resting.items() if held.latest}
        found = [(at, partial) for at, partial in quiet.items() if partial is not None]
        return found if self._wanted.every is not None or not found else [self._bundled(found)]

    def _bundled(self, found: Sequence[Bucketed]) -> Bucketed:
        partials = [partial for _, partial in found]
        place = (self._wanted.view.name, self._wanted.key, self._wanted.start, self._wanted.end)
        bundle = self._kept.bundles.get(place)
        if bundle is None or not bundle.made_of(partials):
            bundle = Bundle(tuple(partials), self._wanted.view.merge_all(partials))
            self._kept.bundles.put(place, bundle)
        return min(at for at, _ in found), bundle.partial

    def _warmed(
        self, at: int, fields: Iterable[tuple[int, int, Partial]], upto: int, hot: bool, batch: int | None
    ) -> list[Bucketed]:
        """What was added to a container since it was kept; all of it, if something was."""
        held, (final, still_open) = self._warm[at], _apart(fields, upto)
        partial = self._merged(held.partial, final) if final else held.partial
        self._keep_merged(at, max(held.upto, upto), partial, still_open, hot, batch)
        return [(at, partial), *still_open] if hot and partial is not None else still_open

    def _colded(self, at: int, flat: Sequence[bytes], upto: int, batch: int | None) -> list[Bucketed]:
        final, still_open = _apart(self._read(zip(flat[::2], flat[1::2], strict=True)), upto)
        worth = len(final) >= _WORTH or len(still_open) >= _MANY
        if not worth or not self._wanted.in_one_row(at):
            return [*final, *still_open]
        partial = self._merged(None, final) if final else None
        self._keep_merged(at, upto, partial, still_open, bool(still_open), batch)
        return still_open if partial is None else [(at, partial), *still_open]

    def _keep_merged(
        self, at: int, upto: int, partial: Partial | None, still_open: Sequence[Bucketed], hot: bool,
        batch: int | None,
    ) -> None:  # fmt: skip
        latest = None
        if batch is not None and len(still_open) >= _MANY:
            latest = Latest(batch, self._merged(partial, still_open))
        self._keep(at, Closed(self._wanted.boundary, upto, partial, hot, latest))

    def _merged(self, partial: Partial | None, more: Sequence[Bucketed]) -> Partial:
        held = [] if partial is None else [partial]
        return self._wanted.view.merge_all([*held, *(one for _, one in more)])

    def _closed(self, container: int) -> Closed | None:
        """What is kept of a container, if it helps to answer this."""
        if not self._wanted.in_one_row(container):
            return None
        closed = self._kept.containers.get(self._wanted.place(container))
        if closed is None or closed.boundary != self._wanted.boundary:
            return None
        return closed if closed.upto + self._most_open > self._newest else None

    def _touched_containers(self, members: Sequence[Sequence[int]]) -> set[int]:
        return {
            at
            for segment, bits in zip(self._segments, members, strict=True)
            for (at, closed), bit in zip(self._warm.items(), bits, strict=True)
            if bit and segment >= closed.upto
        }

    def _newly(self, at: int, values: Sequence[bytes | None] | None) -> Iterator[tuple[int, int, Partial]]:
        pairs = zip(self._names(at), values, strict=True) if values is not None else ()
        return self._read((name, value) for name, value in pairs if value is not None)

    def _read(self, pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[int, int, Partial]]:
        """Segment, bucket and partial of every field that is asked for."""
        unpack, wanted = self._wanted.view.codec.unpack, self._wanted
        for name, value in pairs:
            segment, bucket = parse_field(name)
            if segment >= wanted.boundary and wanted.start <= bucket < wanted.end:
                self.fields += 1
                yield segment, bucket, unpack(unseal(value)[1])

    def _names(self, container: int) -> list[bytes]:
        """The fields that a container may have got since it was kept."""
        buckets = range(container, container + self._wanted.step, self._wanted.view.width)
        segments = range(self._warm[container].upto, self._newest + 1)
        return [field_name(segment, bucket) for segment in segments for bucket in buckets]

    def _name(self, container: int) -> str:
        wanted = self._wanted
        return self._layout.fields(self._generation.id, self.shard, wanted.view.name, container, wanted.key)

    @property
    def key(self) -> str:
        return self._wanted.key

    @property
    def _head(self) -> int:
        """How many characters of a hash's name its entry in a list of touched hashes leaves out."""
        return len(self._layout.shard(self._generation.id, self.shard)) + len(":f:")

    def _touched(self, segment: int) -> str:
        return self._layout.touched(self._generation.id, self.shard, segment)


def _apart(fields: Iterable[tuple[int, int, Partial]], upto: int) -> tuple[list[Bucketed], list[Bucketed]]:
    """Fields of segments that are final, and of those that are not."""
    final, still_open = list[Bucketed](), list[Bucketed]()
    for segment, bucket, partial in fields:
        (final if segment < upto else still_open).append((bucket, partial))
    return final, still_open
