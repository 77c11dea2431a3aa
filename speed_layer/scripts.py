"""Scripts that run inside Redis. They compare ids and positions and store bytes; Python merges.

A script that writes a shard first requires the shard's stamp to hold the writer's token, and the preceding
micro-batch, or the same one where it is replayed: a job that another one followed, and state that was lost or
rewound, are refused. What a generation keeps outside its shards requires the token that stands beside it.
All keys of a script share a hash tag. Lists come as one MessagePack argument, which is the fastest way in.

A Redis that is full refuses a script's first write if that could grow it; after a deletion it takes all.
Scripts that replace a small value therefore delete it first: a full Redis must not stop what makes room.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import NoScriptError, RedisError

__all__ = [
    "ADVANCE", "DROP", "FLOOR", "INTEND", "KEEP", "LEAD", "MARK", "NAME", "PUT", "RELEASE", "RENEW",
    "REPLACE", "STAMP", "USE", "Fence", "run", "unpacked",
]  # fmt: skip


@dataclass(frozen=True)
class Fence:
    """What a shard's stamp must hold: the token of the writer, and micro-batch `batch` or the one before."""

    batch: int
    token: str

    @property
    def arguments(self) -> list[Any]:
        return [self.batch - 1, self.batch, self.token]


# KEYS 1: stamp. ARGV 1 to 3: the preceding micro-batch and this one, as decimal text; the writer's token
_FENCE = """
local stamp = redis.call('HMGET', KEYS[1], 'batch', 'token')
if stamp[2] and stamp[2] ~= ARGV[3] then
  return redis.error_reply('FENCED ' .. KEYS[1] .. ' is written by another job')
end
if not stamp[2] or (stamp[1] ~= ARGV[1] and stamp[1] ~= ARGV[2]) then
  return redis.error_reply('STATELOST ' .. KEYS[1] .. ' holds ' .. tostring(stamp[1]) .. ', not ' .. ARGV[1])
end
"""

# KEYS 1: what holds the writer's token. ARGV 1: the token
_WRITER = """
local writer = redis.call('GET', KEYS[1])
if not writer then return redis.error_reply('STATELOST ' .. KEYS[1] .. ' is gone') end
if writer ~= ARGV[1] then return redis.error_reply('FENCED ' .. KEYS[1] .. ' names another job') end
"""

# Ids are 8 bytes, little endian. They are compared in two halves, for a Lua number holds 53 bits only.
_OLDER = """
local own_low, own_high = struct.unpack('<I4I4', ARGV[4])
local function older(value)
  local low, high = struct.unpack('<I4I4', value)
  return high < own_high or (high == own_high and low < own_low)
end
"""

# KEYS: stamp, touched, field hashes. ARGV: 4 id, 5 length of the names' head, 6 [hash, field, value, ...]
# Stores what is absent; answers [place, value, ...] for what an older micro-batch wrote. Touched comes first:
# a script that fails keeps what it wrote, and a field that is in no list would never be dropped.
PUT = (
    _FENCE
    + _OLDER
    + """
local names, head = {}, tonumber(ARGV[5]) + 1
for i = 3, #KEYS do names[#names + 1] = string.sub(KEYS[i], head) end
redis.call('SADD', KEYS[2], unpack(names))
local rows, found = cmsgpack.unpack(ARGV[6]), {}
for i = 1, #rows, 3 do
  local key, field = KEYS[rows[i] + 3], rows[i + 1]
  if redis.call('HSETNX', key, field, rows[i + 2]) == 0 then
    local value = redis.call('HGET', key, field)
    if older(value) then
      found[#found + 1] = (i - 1) / 3
      found[#found + 1] = value
    end
  end
end
return found
"""
)

# As PUT, for values merged with what PUT answered; stores those whose field an older micro-batch wrote.
REPLACE = (
    _FENCE
    + _OLDER
    + """
local rows = cmsgpack.unpack(ARGV[5])
for i = 1, #rows, 3 do
  local key, field = KEYS[rows[i] + 2], rows[i + 1]
  local value = redis.call('HGET', key, field)
  if not value then return redis.error_reply('STATELOST ' .. key .. ' vanished') end
  if older(value) then redis.call('HSET', key, field, rows[i + 2]) end
end
return 0
"""
)

# KEYS: stamp, this block of marks, the preceding one. ARGV: 4 [digest, position, ...]
# Answers the places of the events that are copies of one at another position.
MARK = (
    _FENCE
    + """
local rows, found = cmsgpack.unpack(ARGV[4]), {}
local before = redis.call('EXISTS', KEYS[3]) == 1
for i = 1, #rows, 2 do
  local digest, own = rows[i], rows[i + 1]
  local held = before and redis.call('HGET', KEYS[3], digest)
  if not held and redis.call('HSETNX', KEYS[2], digest, own) == 0 then
    held = redis.call('HGET', KEYS[2], digest)
  end
  if held and held ~= own then found[#found + 1] = (i - 1) / 2 end
end
return found
"""
)

# KEYS: stamp, a block of events. ARGV: 4 [field, value, ...]
# A field that ends with "=" is stored if it is absent; to any other one an entry of 24 bytes is added, once.
KEEP = (
    _FENCE
    + """
local rows = cmsgpack.unpack(ARGV[4])
for i = 1, #rows, 2 do
  local field, value = rows[i], rows[i + 1]
  if string.sub(field, -1) == '=' then
    redis.call('HSETNX', KEYS[2], field, value)
  else
    local held = redis.call('HGET', KEYS[2], field) or ''
    local there = false
    for at = 1, #held, 24 do there = there or string.sub(held, at, at + 23) == value end
    if not there then redis.call('HSET', KEYS[2], field, held .. value) end
  end
end
return 0
"""
)

# KEYS: touched, field hashes. ARGV: 1 floor, 2 length of the names' common head
# Deletes the fields of segments below the floor, and only then the hashes' names from the list.
DROP = """
local floor, head, names = tonumber(ARGV[1]), tonumber(ARGV[2]) + 1, {}
for i = 2, #KEYS do
  names[#names + 1] = string.sub(KEYS[i], head)
  for _, field in ipairs(redis.call('HKEYS', KEYS[i])) do
    if tonumber(string.match(field, '^%d+')) < floor then redis.call('HDEL', KEYS[i], field) end
  end
end
redis.call('SREM', KEYS[1], unpack(names))
return 0
"""

# KEYS: stamp
STAMP = _FENCE + "redis.call('HSET', KEYS[1], 'batch', ARGV[2]) return 0"

# KEYS: stamp. ARGV: 1 token, 2 floor
FLOOR = """
local token = redis.call('HGET', KEYS[1], 'token')
if not token then return redis.error_reply('STATELOST ' .. KEYS[1] .. ' is gone') end
if token ~= ARGV[1] then return redis.error_reply('FENCED ' .. KEYS[1] .. ' is written by another job') end
redis.call('HDEL', KEYS[1], 'floor')
redis.call('HSET', KEYS[1], 'floor', ARGV[2])
return 0
"""

# KEYS: writer, intent. ARGV: 2 intent. A full Redis refuses it, before anything else is written
INTEND = _WRITER + "redis.call('SET', KEYS[2], ARGV[2]) return 0"

# KEYS: writer, progress. ARGV: 2 progress
ADVANCE = _WRITER + "redis.call('DEL', KEYS[2]) redis.call('SET', KEYS[2], ARGV[2]) return 0"

# KEYS: writer, lease. ARGV: 2 lease, 3 milliseconds
RENEW = _WRITER + "redis.call('DEL', KEYS[2]) redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) return 0"

# KEYS: writer, lease
RELEASE = _WRITER + "redis.call('DEL', KEYS[2]) return 0"

# KEYS: writer, containers of a view. ARGV: 2 [segment, container, ...], both as text
NAME = (
    _WRITER
    + """
local rows = cmsgpack.unpack(ARGV[2])
redis.call('ZADD', KEYS[2], 'GT', unpack(rows))
return 0
"""
)

# KEYS: writing, current. ARGV: 1 generation
USE = _WRITER + "redis.call('DEL', KEYS[2]) redis.call('SET', KEYS[2], ARGV[1]) return 0"

# KEYS: writing, following, rebuild, current. ARGV: 1 the generation that led, 2 the one that leads from now
# on, 3 whether readers move to it as well. May run twice.
LEAD = """
local writing = redis.call('GET', KEYS[1])
if not writing then return redis.error_reply('STATELOST ' .. KEYS[1] .. ' is gone') end
if writing ~= ARGV[1] and writing ~= ARGV[2] then
  return redis.error_reply('FENCED ' .. KEYS[1] .. ' is ' .. writing .. ', not ' .. ARGV[1])
end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[3] == '1' then
  redis.call('DEL', KEYS[3])
  redis.call('SET', KEYS[4], ARGV[2])
end
return 0
"""


def run(
    client: Redis, script: str, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]], at_once: int = 8
) -> list[Any]:
    """The answers of one script for many (keys, arguments), several in one round trip."""
    answers: list[Any] = []
    for at in range(0, len(calls), at_once):
        answers += _some(client, script, calls[at : at + at_once])
    return answers


def _some(client: Redis, script: str, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]]) -> list[Any]:
    registered = client.register_script(script)
    try:
        return _pipelined(client.pipeline(transaction=False), registered.sha, calls)
    except NoScriptError:  # Redis is new, or was started again; scripts may run twice
        client.script_load(script)
        return _pipelined(client.pipeline(transaction=False), registered.sha, calls)


def _pipelined(pipe: Pipeline, sha: str, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]]) -> list[Any]:
    for keys, arguments in calls:
        pipe.evalsha(sha, len(keys), *keys, *arguments)
    answers: list[Any] = pipe.execute(raise_on_error=False)  # its own error would quote every argument
    for answer in answers:
        if isinstance(answer, RedisError):
            raise answer
    return answers


_TEXT, _INT, _LIST = struct.Struct(">BI"), struct.Struct(">BI"), struct.Struct(">BI")


def unpacked(items: Iterable[bytes | int]) -> bytes:
    """The argument that `cmsgpack.unpack` turns into a flat list of byte strings and small whole numbers."""
    parts, count = [b""], 0
    for item in items:
        count += 1
        parts.append(_INT.pack(0xCE, item) if isinstance(item, int) else _TEXT.pack(0xDB, len(item)) + item)
    parts[0] = _LIST.pack(0xDD, count)
    return b"".join(parts)
