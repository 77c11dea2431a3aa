"""Slots of many partials as columns of bytes, and many partials packed at once as `Codec.pack` packs one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.measures import Slot
from core.packing import Codec

__all__ = ["Column", "blobs", "decimals", "doubles", "longs", "pack", "values"]

_Bytes = npt.NDArray[np.uint8]
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """One slot of every row: entries of fixed width (rows x bytes), which are null, and what follows."""

    entries: _Bytes
    nulls: _Flags | None = None
    tails: list[bytes] | None = None


def longs(numbers: npt.NDArray[np.int64], nulls: _Flags | None = None) -> Column:
    return Column(_raw(numbers.astype("<i8")), _any(nulls))


def doubles(numbers: npt.NDArray[np.float64], nulls: _Flags | None = None) -> Column:
    return Column(_raw(numbers.astype("<f8")), _any(nulls))


def decimals(numbers: npt.NDArray[np.int64]) -> Column:
    """Unscaled integers of 64 bits as the 16 bytes of a decimal."""
    wide = np.stack([numbers, numbers >> 63], axis=1)
    return Column(_raw(wide.astype("<i8")))


def blobs(found: list[bytes]) -> Column:
    lengths = np.fromiter(map(len, found), np.int64, len(found))
    return Column(_raw(lengths.astype("<u4")), None, found)


def values(slot: Slot, found: Sequence[Any]) -> Column:
    """Any values of a slot, one by one; the slow way that fits all."""
    codec = Codec((slot,))
    head, end = codec.bitmap_bytes, codec.fixed_bytes
    packed = [codec.pack((value,)) for value in found]
    entries = np.frombuffer(b"".join(p[head:end] for p in packed), np.uint8).reshape(len(found), end - head)
    nulls = np.fromiter((value is None for value in found), np.bool_, len(found))
    return Column(entries, _any(nulls), [p[end:] for p in packed])


def pack(columns: Sequence[Column]) -> list[bytes]:
    """The packed partial of each row."""
    rows = len(columns[0].entries)
    bitmap = np.zeros((rows, -(-len(columns) // 8)), np.uint8)
    for place, column in enumerate(columns):
        if column.nulls is not None:
            bitmap[:, place // 8] |= column.nulls.astype(np.uint8) << (place % 8)
    fixed = np.concatenate([bitmap, *(column.entries for column in columns)], axis=1)
    width, raw = fixed.shape[1], fixed.tobytes()
    heads = [raw[at : at + width] for at in range(0, rows * width, width)]
    tails = [column.tails for column in columns if column.tails is not None]
    return [b"".join(parts) for parts in zip(heads, *tails, strict=True)] if tails else heads


def _raw(numbers: npt.NDArray[Any]) -> _Bytes:
    return np.ascontiguousarray(numbers).view(np.uint8).reshape(len(numbers), -1)


def _any(nulls: _Flags | None) -> _Flags | None:
    return nulls if nulls is not None and nulls.any() else None
