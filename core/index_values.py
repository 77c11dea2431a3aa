"""Values of the index: a packed partial, behind what tells long keys apart whose index keys are shortened."""

import hashlib
import struct

from core.keys import INDEX_TEXT_LIMIT

__all__ = [
    "FRAME_BYTES", "LONGEST_FRAME", "UNFRAMED", "frame", "framed_key", "is_framed", "key_frame", "unframe",
]  # fmt: skip

_LENGTH = struct.Struct("<H")
FRAME_BYTES = _LENGTH.size
UNFRAMED = _LENGTH.pack(0)
_WHOLE = 4096  # bytes of a key that is kept whole, with every tile
_DIGESTED = _LENGTH.pack(0xFFFF)
LONGEST_FRAME = FRAME_BYTES + _WHOLE


def key_frame(key: str) -> bytes:
    """What stands before the packed partials of a key.

    Length 0; of a key that the index shortens, its length and text; of one beyond 4,096 bytes, length 65535
    and its SHA-256.
    """
    raw = key.encode()
    if len(raw) <= INDEX_TEXT_LIMIT:
        return UNFRAMED
    if len(raw) > _WHOLE:
        return _DIGESTED + hashlib.sha256(raw).digest()
    return _LENGTH.pack(len(raw)) + raw


def frame(key: str, packed: bytes) -> bytes:
    """The index's value for a key and a packed partial."""
    return key_frame(key) + packed


def unframe(value: bytes | memoryview, key: str) -> int | None:
    """Where the packed partial starts in `value`, or None if the value belongs to another long key."""
    if bytes(value[:FRAME_BYTES]) == UNFRAMED:
        return FRAME_BYTES
    expected = key_frame(key)
    return len(expected) if bytes(value[: len(expected)]) == expected else None


def is_framed(value: bytes | memoryview) -> bool:
    """Whether the value is of a key that the index shortens."""
    return bytes(value[:FRAME_BYTES]) != UNFRAMED


def framed_key(value: bytes | memoryview) -> bytes | None:
    """The text of the shortened key that a value belongs to; None if only a digest of it is kept."""
    raw = bytes(value[:FRAME_BYTES])
    if raw == _DIGESTED:
        return None
    return bytes(value[FRAME_BYTES : FRAME_BYTES + _LENGTH.unpack(raw)[0]])
