"""Values of the index: a packed partial, behind the whole key's text where the index key is shortened."""

import struct

from core.keys import INDEX_TEXT_LIMIT

__all__ = ["FRAME_BYTES", "UNFRAMED", "frame", "key_frame", "unframe"]

_LENGTH = struct.Struct("<H")
FRAME_BYTES = _LENGTH.size
UNFRAMED = _LENGTH.pack(0)


def key_frame(key: str) -> bytes:
    """What stands before the packed partials of a key: the length and the text of a long key, else length 0.

    Raises ValueError for a key beyond 65,535 bytes.
    """
    raw = key.encode()
    if len(raw) <= INDEX_TEXT_LIMIT:
        return UNFRAMED
    if len(raw) > 0xFFFF:
        raise ValueError(f"a key of {len(raw)} bytes; a view's key takes at most 65535")
    return _LENGTH.pack(len(raw)) + raw


def frame(key: str, packed: bytes) -> bytes:
    """The index's value for a key and a packed partial."""
    return key_frame(key) + packed


def unframe(value: bytes | memoryview, key: str) -> int | None:
    """Where the packed partial starts in `value`, or None if the value belongs to another long key."""
    (length,) = _LENGTH.unpack_from(value)
    if length and bytes(value[FRAME_BYTES : FRAME_BYTES + length]) != key.encode():
        return None
    return FRAME_BYTES + int(length)
