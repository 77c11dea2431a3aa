"""Packing: partials as bytes, the same for the index and for Redis.

    null bitmap | fixed width part, one entry a slot | the texts and blobs, in order of their slots

A long or double takes 8 bytes, a decimal 16 (its unscaled integer), a text or blob 4 (its length). All little
endian, so that a batch of Arrow columns can be packed without a loop over rows.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import partial
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
        kinds = [slot.kind for slot in self.slots]
        layout = "".join(_FIXED[family(kind)] for kind in kinds)
        object.__setattr__(self, "_fixed", struct.Struct(f"<{self.bitmap_bytes}s{layout}"))
        object.__setattr__(self, "_numbers", _readers(kinds, _number))
        object.__setattr__(self, "_tails", _readers(kinds, _tail))

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
        bitmap, *values = self._struct.unpack_from(data, offset)
        numbers: _Readers = self._numbers  # type: ignore[attr-defined]
        for place, read in numbers:
            values[place] = read(values[place])
        tails: _Readers = self._tails  # type: ignore[attr-defined]
        at = offset + self._struct.size
        for place, read in tails:
            end = at + values[place]
            values[place], at = read(data[at:end]), end
        if any(bitmap):
            nulls = int.from_bytes(bitmap, "little")
            values = [None if nulls >> place & 1 else value for place, value in enumerate(values)]
        return tuple(values)


_Reader = Callable[[Any], Any]
_Readers = tuple[tuple[int, _Reader], ...]


def _readers(kinds: Sequence[str], reader: Callable[[str], _Reader | None]) -> _Readers:
    """The places of the slots that need one, each with its reader."""
    found = enumerate(map(reader, kinds))
    return tuple((place, read) for place, read in found if read is not None)


def _number(kind: str) -> _Reader | None:
    """How 16 bytes become a decimal, an integer where it has no fraction; None for other kinds."""
    if family(kind) != "decimal":
        return None
    whole, digits = partial(int.from_bytes, byteorder="little", signed=True), scale(kind)
    return (lambda raw: Decimal(whole(raw)).scaleb(-digits, _EXACT)) if digits else whole


def _tail(kind: str) -> _Reader | None:
    """How the bytes of a text or a blob become its value; None for other kinds."""
    tails: dict[str, _Reader] = {"text": _text, "blob": bytes}
    return tails.get(family(kind))


def _text(raw: bytes | memoryview) -> str:
    return bytes(raw).decode()


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
