"""Keys: one text for a view's key, the shard it falls in, and where it lies in the index.

A key's text is a netstring for each part, `-` for NULL: injective whatever the parts contain, and the text
of the first parts is a prefix of the whole. The same text is made in SQL and in Python.
"""

import hashlib
import re
import struct
from collections.abc import Sequence
from typing import Any
from zlib import crc32

KEY_TYPES = ("string", "long", "boolean")
INDEX_TEXT_LIMIT = 400  # LMDB takes keys of 511 bytes at most; tile and bucket follow the text
INDEX_PREFIX = INDEX_TEXT_LIMIT - 16  # bytes of a long key that are in order in the index; a digest follows
_BUCKET_SHIFT = 1 << 62  # makes buckets before 1970 sort first as unsigned bytes
_COLUMN = re.compile(r"`([^`]+)`")
_TAIL = struct.Struct(">IQ")


def key_text(parts: Sequence[str | None]) -> str:
    """The text of a key.

    >>> key_text(["#en", None, "a:b"])
    '3:#en-3:a:b'
    """
    return "".join("-" if part is None else f"{len(part.encode())}:{part}" for part in parts)


def part_text(value: Any) -> str | None:
    """A part of a key as text, as SQL casts it; None is NULL."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def columns_in(sql: str) -> list[str]:
    """The columns that a compiled expression reads, as often as it does."""
    return _COLUMN.findall(sql)


def key_text_sql(parts: Sequence[str]) -> str:
    """`key_text` as Spark SQL over expressions that are cast to string."""
    texts = [f"cast({part} as string)" for part in parts]
    pieces = [f"coalesce(concat(cast(octet_length({t}) as string), ':', {t}), '-')" for t in texts]
    return f"concat({', '.join(pieces)})" if pieces else "''"


def parse_key(text: str) -> list[str | None]:
    """The parts of a key's text.

    >>> parse_key("3:#en-3:a:b")
    ['#en', None, 'a:b']
    """
    raw, at, parts = text.encode(), 0, list[str | None]()
    while at < len(raw):
        if raw[at : at + 1] == b"-":
            parts.append(None)
            at += 1
            continue
        colon = raw.index(b":", at)
        end = colon + 1 + int(raw[at:colon])
        parts.append(raw[colon + 1 : end].decode())
        at = end
    return parts


def shard_of(view: str, key: str, shards: int) -> int:
    """A stable hash of view and key, modulo `shards`."""
    return crc32(f"{view}\n{key}".encode()) % shards


def shard_sql(view: str, key: str, shards: int) -> str:
    """`shard_of` as Spark SQL; `view` and `key` are SQL."""
    return f"cast(crc32(encode(concat({view}, '\\n', {key}), 'utf-8')) % {shards} as int)"


def index_text(key: str) -> bytes:
    """The key as the index holds it: whole, or for long ones a prefix and a 128-bit digest."""
    raw = key.encode()
    if len(raw) <= INDEX_TEXT_LIMIT:
        return raw
    return raw[:INDEX_PREFIX] + hashlib.md5(raw, usedforsecurity=False).digest()


def index_text_sql(key: str) -> str:
    """`index_text` as Spark SQL, of type binary."""
    raw = f"encode({key}, 'utf-8')"
    short = f"concat(substring({raw}, 1, {INDEX_PREFIX}), unhex(md5({raw})))"
    return f"if(octet_length({key}) <= {INDEX_TEXT_LIMIT}, {raw}, {short})"


def index_key(key: str, width: int, bucket: int) -> bytes:
    """Where a tile's partials lie in a view's index: key, then width, then bucket, so a range is one walk."""
    return index_text(key) + _TAIL.pack(width, bucket + _BUCKET_SHIFT)


def index_key_sql(key: str, width: str, bucket: str) -> str:
    """`index_key` as Spark SQL, of type binary; `width` and `bucket` are SQL in seconds."""
    tail = f"concat(lpad(hex({width}), 8, '0'), lpad(hex({bucket} + {_BUCKET_SHIFT}L), 16, '0'))"
    return f"concat({index_text_sql(key)}, unhex({tail}))"


def index_bucket(key: bytes) -> int:
    """The bucket an index key ends with."""
    bucket: int = _TAIL.unpack_from(key, len(key) - _TAIL.size)[1]
    return bucket - _BUCKET_SHIFT


def index_name(key: bytes) -> bytes:
    """What an index key begins with: the `index_text` of its key."""
    return key[: -_TAIL.size]


def index_partition(key: str, partitions: int) -> int:
    """The index file that holds a key."""
    return crc32(key.encode()) % partitions


def index_partition_sql(key: str, partitions: int) -> str:
    return f"cast(crc32(encode({key}, 'utf-8')) % {partitions} as int)"
