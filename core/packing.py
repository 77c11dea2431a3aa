"""Packing: partials as bytes, the same for the index and for Redis.

    null bitmap | fixed width part, one entry a slot | the texts and blobs, in order of their slots

A long or double takes 8 bytes, a decimal 16 (its unscaled integer), a text or blob 4 (its length). All little
endian, so that a batch of Arrow columns can be packed without a loop over rows.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from core.measures import Partial, Slot

FORMAT = 1
_FIXED = {"long": "q", "double": "d", "decimal": "16s", "text": "I", "blob": "I"}
_EXACT = Context(prec=60)


def family(kind: str) -> str:
    return kind.partition("(")[0]


def scale(kind: str) -> int:
    """Digits behind the point of a `decimal(p,s)` kind."""
    return int(kind.strip(")").partition(",")[2] or 0)


@dataclass(frozen=True)
class Codec:
    """Packs and unpacks partials of one view, whose slots are in the order of its measures."""

    slots: tuple[Slot, ...]

    def __post_init__(self) -> None:
        layout = "".join(_FIXED[family(slot.kind)] for slot in self.slots)
        object.__setattr__(self, "_fixed", struct.Struct(f"<{self.bitmap_bytes}s{layout}"))
        object.__setattr__(self, "_readers", tuple(_reader(slot.kind) for slot in self.slots))

    def __reduce__(self) -> tuple[type["Codec"], tuple[tuple[Slot, ...]]]:
        # a Struct cannot be pickled, and views travel to Spark's workers
        return Codec, (self.slots,)

    @property
    def bitmap_bytes(self) -> int:
        return -(-len(self.slots) // 8)

    @property
    def fixed_bytes(self) -> int:
        return self._struct.size

    @property
    def _struct(self) -> struct.Struct:
        fixed: struct.Struct = self._fixed  # type: ignore[attr-defined]
        return fixed

    def pack(self, partial: Partial) -> bytes:
        nulls, fixed, tail = 0, [], []
        for place, (slot, value) in enumerate(zip(self.slots, partial, strict=True)):
            nulls |= (value is None) << place
            entry, extra = _pack_slot(slot.kind, value)
            fixed.append(entry)
            tail.append(extra)
        return self._struct.pack(nulls.to_bytes(self.bitmap_bytes, "little"), *fixed) + b"".join(tail)

    def unpack(self, data: bytes | memoryview, offset: int = 0) -> Partial:
        bitmap, *fixed = self._struct.unpack_from(data, offset)
        nulls, at, values = int.from_bytes(bitmap, "little"), offset + self._struct.size, []
        readers: tuple[_Reader | None, ...] = self._readers  # type: ignore[attr-defined]
        for place, (read, entry) in enumerate(zip(readers, fixed, strict=True)):
            value = entry
            if read is not None:
                value, at = read(data, at, entry)
            values.append(None if nulls >> place & 1 else value)
        return tuple(values)


_Reader = Callable[[Any, int, Any], tuple[Any, int]]


def _reader(kind: str) -> _Reader | None:
    """How a slot's entry becomes its value, and where the next tail begins; None where it is the value."""
    digits = scale(kind)
    return {
        "text": lambda data, at, size: (bytes(data[at : at + size]).decode(), at + size),
        "blob": lambda data, at, size: (bytes(data[at : at + size]), at + size),
        "decimal": lambda data, at, raw: (_unpack_decimal(raw, digits), at),
    }.get(family(kind))


def _pack_slot(kind: str, value: Any) -> tuple[Any, bytes]:
    name = family(kind)
    if name in ("text", "blob"):
        raw = b"" if value is None else value.encode() if name == "text" else bytes(value)
        return len(raw), raw
    if name == "decimal":
        return _unscaled(value or 0, scale(kind)).to_bytes(16, "little", signed=True), b""
    return 0 if value is None else value, b""


def _unscaled(value: int | Decimal, digits: int) -> int:
    return int(Decimal(value).scaleb(digits, _EXACT)) if digits else int(value)


def _unpack_decimal(raw: bytes, digits: int) -> int | Decimal:
    number = int.from_bytes(raw, "little", signed=True)
    return Decimal(number).scaleb(-digits, _EXACT) if digits else number


def fold(measures: Sequence[Any], partials: Sequence[Partial]) -> Partial:
    """Partials of a view merged, measure by measure."""
    merged, at = list[Any](), 0
    for measure in measures:
        end = at + len(measure.slots)
        merged.extend(measure.merge_all([partial[at:end] for partial in partials]))
        at = end
    return tuple(merged)


def retracted(measures: Sequence[Any], partial: Partial, events: int) -> Partial:
    """What merged in takes back the `events` that a view's partial is of, measure by measure."""
    taken, at = list[Any](), 0
    for measure in measures:
        end = at + len(measure.slots)
        taken.extend(measure.retracted(partial[at:end], events))
        at = end
    return tuple(taken)
