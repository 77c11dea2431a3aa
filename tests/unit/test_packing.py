"""Packing: partials come back from bytes as they went in."""

import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.measures import Slot
from core.packing import Codec, family, scale

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "text": st.text(max_size=20),
    "blob": st.binary(max_size=20),
    "decimal(38,0)": st.integers(-(10**38) + 1, 10**38 - 1),
    "decimal(38,4)": st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}e-4")),
}


@st.composite
def partials(draw: st.DrawFn) -> tuple[Codec, tuple[Any, ...]]:
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=12))
    slots = tuple(Slot(str(place), kind) for place, kind in enumerate(kinds))
    return Codec(slots), tuple(draw(st.none() | VALUES[kind]) for kind in kinds)


@settings(max_examples=300, deadline=None)
@given(partials(), st.binary(max_size=5))
def test_a_partial_survives_packing_wherever_it_lies(given_: Any, before: bytes) -> None:
    codec, partial = given_
    packed = codec.pack(partial)
    assert codec.unpack(packed) == partial
    assert codec.unpack(memoryview(before + packed + b"rest"), len(before)) == partial
    assert len(packed) >= codec.fixed_bytes


def test_null_differs_from_zero_and_from_the_empty_text() -> None:
    codec = Codec((Slot("a", "long"), Slot("b", "text"), Slot("c", "blob"), Slot("d", "decimal(38,2)")))
    zero = (0, "", b"", Decimal("0.00"))
    assert codec.unpack(codec.pack((None,) * 4)) == (None,) * 4
    assert codec.unpack(codec.pack(zero)) == zero


def test_a_decimal_of_spark_without_a_fraction_comes_back_as_an_integer() -> None:
    codec = Codec((Slot("", "decimal(38,0)"),))
    assert codec.unpack(codec.pack((Decimal(7),))) == (7,)


def test_a_partial_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Codec((Slot("", "long"),)).pack((1, 2))


def test_bytes_are_little_endian_after_a_bitmap_of_nulls() -> None:
    codec = Codec((Slot("", "long"), Slot("t", "text"), Slot("n", "long")))
    assert codec.pack((1, "é", None)).hex() == "04" + "0100000000000000" + "02000000" + "00" * 8 + "c3a9"


def test_a_codec_can_be_pickled() -> None:
    codec = Codec((Slot("", "long"), Slot("", "blob")))
    assert pickle.loads(pickle.dumps(codec)) == codec


def test_kinds_have_a_family_and_a_scale() -> None:
    assert (family("decimal(38,4)"), scale("decimal(38,4)"), scale("long")) == ("decimal", 4, 0)
