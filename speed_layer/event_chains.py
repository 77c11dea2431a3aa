"""Chains of events and corrections: what this generation read is in Redis, what lies below in an index.

What Redis keeps may be written any number of times: a link says where its event lies, and of copies the first
stays; a correction that stands in a chain is not added again. A block holds the chains of `window`
neighbouring segments and is dropped whole, once all of them lie below the floor.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import lmdb
from redis import Redis

from core.chain_index import chains_in
from core.chains import NOTHING, Chain, Link, Named, chain_file
from core.layout import Layout, mark_shard
from speed_layer.faults import naming
from speed_layer.scripts import KEEP, Fence, run, unpacked

__all__ = ["EventChains", "History", "Kept"]

_CHUNK = 1000
_LINK, _NAMES = b"=", b">"
_OPEN: dict[Path, list[lmdb.Transaction]] = {}  # of one version; a worker is used for many tasks


@dataclass(frozen=True)
class History:
    """The chains of all that lies below a published boundary: where its `files` are."""

    folder: Path
    files: int

    def look(self, digests: Iterable[bytes]) -> dict[bytes, Chain]:
        """Those chains that are there."""
        return chains_in(self._transactions(), digests)

    def _transactions(self) -> list[lmdb.Transaction]:
        if self.folder not in _OPEN:
            _OPEN.clear()
            _OPEN[self.folder] = [_open(self.folder / chain_file(number)) for number in range(self.files)]
        return _OPEN[self.folder]


def _open(path: Path) -> lmdb.Transaction:
    environment = lmdb.open(
        str(path), subdir=False, readonly=True, lock=False, readahead=False, create=False, max_spare_txns=0
    )
    return environment.begin(buffers=True)


@dataclass
class Kept:
    """What a piece of a micro-batch adds: entries by the shard and the block that they go to."""

    shards: int
    window: int
    places: dict[tuple[int, int], list[bytes | int]] = field(default_factory=dict)

    def link(self, segment: int, link: Link) -> None:
        self._add(segment, link.digest, _LINK, link.pack())

    def named(self, segment: int, target: bytes, named: Named) -> None:
        self._add(segment, target, _NAMES, named.pack())

    def _add(self, segment: int, digest: bytes, kind: bytes, packed: bytes) -> None:
        where = mark_shard(digest, self.shards), segment // self.window
        items = self.places.setdefault(where, [])
        items += (digest + kind, packed)


@dataclass(frozen=True)
class EventChains:
    """The chains of one generation, as the micro-batch of `fence` adds to them.

    Blocks from that of segment `first` on are there; what lies before is in `history`, where there is one.
    """

    client: Redis
    layout: Layout
    generation: str
    fence: Fence
    shards: int
    window: int
    first: int
    history: History | None

    def keep(self, kept: Kept) -> None:
        """Raises `RedisAway`, `RedisFull`, `StateLost` or `Superseded`; it may be tried again."""
        calls = [
            self._call(shard, block, items[at : at + 2 * _CHUNK])
            for (shard, block), items in kept.places.items()
            for at in range(0, len(items), 2 * _CHUNK)
        ]
        with naming():
            run(self.client, KEEP, calls)

    def _call(self, shard: int, block: int, items: Sequence[bytes | int]) -> tuple[list[Any], list[Any]]:
        keys = [self.layout.stamp(self.generation, shard), self.layout.events(self.generation, shard, block)]
        return keys, [*self.fence.arguments, unpacked(items)]

    def look(self, digests: Iterable[bytes], last: int) -> dict[bytes, Chain]:
        """Chains as of now, of segments up to `last` and of the history; raises as `keep` does."""
        wanted = list(dict.fromkeys(digests))
        before = self.history.look(wanted) if self.history else {}
        recent = self._recent(wanted, last)
        return {digest: before.get(digest, NOTHING).joined(recent[digest]) for digest in wanted}

    def _recent(self, digests: Sequence[bytes], last: int) -> Mapping[bytes, Chain]:
        by_shard = dict[int, list[bytes]]()
        for digest in digests:
            by_shard.setdefault(mark_shard(digest, self.shards), []).append(digest)
        found = {digest: (list[Link](), list[Named]()) for digest in digests}
        blocks = range(self.first // self.window, last // self.window + 1)
        for shard, some in by_shard.items():
            for at in range(0, len(some), _CHUNK):
                self._read(shard, some[at : at + _CHUNK], blocks, found)
        return {digest: Chain.of(*both) for digest, both in found.items()}

    def _read(
        self,
        shard: int,
        digests: Sequence[bytes],
        blocks: range,
        found: Mapping[bytes, tuple[list[Link], list[Named]]],
    ) -> None:
        fields = [digest + kind for digest in digests for kind in (_LINK, _NAMES)]
        pipe = self.client.pipeline(transaction=False)
        for block in blocks:
            pipe.hmget(self.layout.events(self.generation, shard, block), cast(list[str], fields))
        with naming():
            answers = pipe.execute()
        for answer in answers:
            for place, digest in enumerate(digests):
                link, named = answer[2 * place : 2 * place + 2]
                if link is not None:
                    found[digest][0].append(Link.unpack(digest, link))
                if named is not None:
                    found[digest][1].extend(Named.unpack_all(named))
