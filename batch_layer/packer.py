"""Partials of many rows packed at once: the layout of core.packing over Arrow's buffers."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.measures import Slot
from core.packing import family

__all__ = ["pack_columns"]

_WIDTHS = {"long": 8, "double": 8, "decimal": 16, "text": 4, "blob": 4}


def pack_columns(slots: Sequence[Slot], columns: Sequence[pa.Array], head: bytes = b"") -> list[bytes]:
    """For each row `head` and the packed partial, byte for byte what `Codec.pack` makes of the row."""
    rows = len(columns[0])
    fixed = _fixed(slots, columns, head)
    width, raw = fixed.shape[1], fixed.tobytes()
    packed = [raw[at : at + width] for at in range(0, rows * width, width)]
    tails = [
        pc.fill_null(column.cast(pa.binary()), b"").to_pylist()
        for slot, column in zip(slots, columns, strict=True)
        if family(slot.kind) in ("text", "blob")
    ]
    return [b"".join(parts) for parts in zip(packed, *tails, strict=True)] if tails else packed


def _fixed(slots: Sequence[Slot], columns: Sequence[pa.Array], head: bytes) -> np.ndarray:
    """One row of bytes for each row: head, null bitmap and the entries of fixed width."""
    rows, bitmap = len(columns[0]), -(-len(slots) // 8)
    widths = [_WIDTHS[family(slot.kind)] for slot in slots]
    fixed = np.zeros((rows, len(head) + bitmap + sum(widths)), np.uint8)
    fixed[:, : len(head)] = np.frombuffer(head, np.uint8)
    at = len(head) + bitmap
    for place, (slot, column, width) in enumerate(zip(slots, columns, widths, strict=True)):
        if column.null_count:
            nulls = column.is_null().to_numpy(zero_copy_only=False)
            fixed[:, len(head) + place // 8] |= (nulls << (place % 8)).astype(np.uint8)
        fixed[:, at : at + width] = _entries(family(slot.kind), column)
        at += width
    return fixed


def _entries(kind: str, column: pa.Array) -> np.ndarray:
    """The bytes of fixed width for one slot; zeros for null."""
    if kind == "decimal":
        return _decimals(column)
    if kind in ("text", "blob"):
        return _numbers(pc.binary_length(column), "<u4")
    return _numbers(column, "<i8" if kind == "long" else "<f8")


def _numbers(column: pa.Array, form: str) -> np.ndarray:
    values = np.ascontiguousarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), form)
    return values.view(np.uint8).reshape(-1, values.itemsize)


def _decimals(column: pa.Array) -> np.ndarray:
    """Arrow's decimal128 is the unscaled integer in 16 bytes, little endian: the layout itself."""
    data = np.frombuffer(column.buffers()[1], np.uint8)
    entries = data[column.offset * 16 : (column.offset + len(column)) * 16].reshape(-1, 16)
    if not column.null_count:
        return entries
    entries = entries.copy()
    entries[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return entries
