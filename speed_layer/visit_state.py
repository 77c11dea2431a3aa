"""Users' newest visits in Redis, by shard of the user: before and after the newest micro-batch that saw one.

A replay of that micro-batch begins from what was before, so it decides what it decided. What a value holds:
micro-batch, first and last segment of the user's events in it (8 bytes each), how long `before` is (4 bytes),
the visit before (none for a new user), the visit after.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from core.errors import StateLost
from core.layout import Layout
from core.visits import Visit, Visits
from speed_layer.faults import naming
from speed_layer.scripts import _FENCE, Fence, run, unpacked

__all__ = ["Held", "VisitState", "forget"]

_HEAD = struct.Struct("<qqqI")
_ID = struct.Struct("<q")
_CHUNK = 1_000

# KEYS: stamp, visits. ARGV: 4 id, 5 [user, value, ...]. A value of a newer micro-batch stays: a task that was
# given up may still run.
_STORE = (
    _FENCE
    + """
local own_low, own_high = struct.unpack('<I4I4', ARGV[4])
local rows = cmsgpack.unpack(ARGV[5])
for i = 1, #rows, 2 do
  local held = redis.call('HGET', KEYS[2], rows[i])
  local low, high = 0, 0
  if held then low, high = struct.unpack('<I4I4', held) end
  if not held or high < own_high or (high == own_high and low <= own_low) then
    redis.call('HSET', KEYS[2], rows[i], rows[i + 1])
  end
end
return 0
"""
)

# KEYS: visits. ARGV: 1 floor, 2 [user, ...]. Deletes those whose last segment, bytes 17 to 24, lies below it
_FORGET = """
local floor, users, gone = tonumber(ARGV[1]), cmsgpack.unpack(ARGV[2]), 0
for i = 1, #users do
  local held = redis.call('HGET', KEYS[1], users[i])
  if held then
    local low, high = struct.unpack('<I4I4', held, 17)
    if high * 4294967296 + low < floor then
      redis.call('HDEL', KEYS[1], users[i])
      gone = gone + 1
    end
  end
end
return gone
"""


@dataclass(frozen=True)
class Held:
    """A user's visit before and after micro-batch `batch`, and the segments of the user's events in it."""

    batch: int
    first: int
    last: int
    before: Visit | None
    after: Visit


@dataclass(frozen=True)
class VisitState:
    """The visits of one generation, as the micro-batch of `fence` reads and writes them."""

    client: Redis
    layout: Layout
    generation: str
    fence: Fence
    visits: Visits
    count_from: int

    def before(self, shard: int, users: Sequence[str]) -> dict[str, Visit | None]:
        """What users' visits were before this micro-batch; a user who is not in it is to be looked up.

        What lies below `count_from` counts as forgotten, whether it was deleted already or not.
        """
        found: dict[str, Visit | None] = {}
        for user, held in self._held(shard, users):
            if held.batch > self.fence.batch:
                raise StateLost(
                    f"user of shard {shard} is at micro-batch {held.batch}, not {self.fence.batch}"
                )
            if held.batch == self.fence.batch and held.first >= self.count_from:
                found[user] = held.before
            elif held.batch < self.fence.batch and held.last >= self.count_from:
                found[user] = held.after
        return found

    def _held(self, shard: int, users: Sequence[str]) -> Iterator[tuple[str, Held]]:
        key, chunks = self.layout.visits(self.generation, shard), _chunks(users)
        pipe = self.client.pipeline(transaction=False)
        for some in chunks:
            pipe.hmget(key, list(some))
        with naming():
            answers = pipe.execute()
        for some, values in zip(chunks, answers, strict=True):
            known = ((user, value) for user, value in zip(some, values, strict=True) if value is not None)
            yield from ((user, self._unpack(value)) for user, value in known)

    def store(self, shard: int, found: Mapping[str, Held]) -> None:
        """Raises `RedisAway`, `RedisFull`, `StateLost` or `Superseded`; it may be done again."""
        keys = [self.layout.stamp(self.generation, shard), self.layout.visits(self.generation, shard)]
        own = [*self.fence.arguments, _ID.pack(self.fence.batch)]
        calls = [
            (
                keys,
                [*own, unpacked(item for user in some for item in (user.encode(), self._pack(found[user])))],
            )
            for some in _chunks(list(found))
        ]
        with naming():
            run(self.client, _STORE, calls)

    def _pack(self, held: Held) -> bytes:
        before = b"" if held.before is None else self.visits.pack(held.before)
        head = _HEAD.pack(held.batch, held.first, held.last, len(before))
        return head + before + self.visits.pack(held.after)

    def _unpack(self, value: bytes) -> Held:
        batch, first, last, size = _HEAD.unpack_from(value)
        before = self.visits.unpack(value, _HEAD.size) if size else None
        return Held(batch, first, last, before, self.visits.unpack(value, _HEAD.size + size))


def forget(client: Redis, key: str, floor: int) -> int:
    """Deletes the users of one shard of whom nothing is held from segment `floor` on; how many they were."""
    gone, cursor = 0, 0
    while True:
        with naming():
            cursor, some = cast(tuple[int, dict[bytes, bytes]], client.hscan(key, cursor, count=_CHUNK))
            # of a small hash Redis gives all at once
            old = [user for user, value in some.items() if _HEAD.unpack_from(value)[2] < floor]
            calls: list[tuple[Sequence[Any], Sequence[Any]]] = [
                ([key], [floor, unpacked(users)]) for users in _chunks(old)
            ]
            gone += sum(map(int, run(client, _FORGET, calls)))
        if not cursor:
            return gone


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK)]
