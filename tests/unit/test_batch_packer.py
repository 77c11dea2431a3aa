"""Columns packed at once are, byte for byte, what the codec makes of each row."""

from decimal import Decimal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_layer.packer import pack_columns
from core.measures import Partial, Slot
from core.packing import Codec

KINDS = {
    "long": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "double": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "decimal(38,0)": (pa.decimal128(38, 0), st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal)),
    "decimal(38,4)": (
        pa.decimal128(38, 4),
        st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}E-4")),
    ),
    "text": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    "blob": (pa.binary(), st.binary(max_size=40)),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[Slot, ...], list[Partial]]:
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=11))
    values = [st.none() | KINDS[kind][1] for kind in kinds]
    rows = draw(st.lists(st.tuples(*values), min_size=1, max_size=6))
    return tuple(Slot(str(place), kind) for place, kind in enumerate(kinds)), rows


@given(tables(), st.sampled_from([b"", b"\0\0", b"head"]), st.integers(0, 2))
def test_columns_pack_to_the_bytes_of_the_codec(
    table: tuple[tuple[Slot, ...], list[Partial]], head: bytes, skipped: int
) -> None:
    slots, rows = table
    columns = [
        pa.array(values, KINDS[slot.kind][0])
        for slot, values in zip(slots, zip(*rows, strict=True), strict=True)
    ]
    kept = rows[min(skipped, len(rows) - 1) :]
    sliced = [column.slice(len(rows) - len(kept)) for column in columns]
    assert pack_columns(slots, sliced, head) == [head + Codec(slots).pack(row) for row in kept]
