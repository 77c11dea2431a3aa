"""Exact sums of many groups at once in 128 bits, which numpy has not: as limbs of 32 bits, carried once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.packing import scale

__all__ = ["total"]

_Longs = npt.NDArray[np.int64]
_LIMB = 0xFFFFFFFF


def total(inputs: pa.Array, starts: _Longs, kind: str) -> pa.Array:
    """The sum of each group of neighbouring rows as decimal(38,s); 0 without values.

    `inputs` are longs or decimal(38,s). Exact below 2**31 rows a group.
    """
    sums = [np.add.reduceat(limb, starts) for limb in _limbs(inputs)]
    return pa.Array.from_buffers(
        pa.decimal128(38, scale(kind)), len(starts), [None, pa.py_buffer(_carried(sums).tobytes())]
    )


def _limbs(inputs: pa.Array) -> Sequence[_Longs]:
    """Of each value 32 bits at a time, the lowest first; the last one has the sign."""
    if pa.types.is_int64(inputs.type):
        numbers = pc.fill_null(inputs, 0).to_numpy(zero_copy_only=False)
        return [numbers & _LIMB, numbers >> 32]
    raw = np.frombuffer(inputs.buffers()[1], "<i8")[inputs.offset * 2 : (inputs.offset + len(inputs)) * 2]
    words = raw.reshape(-1, 2).copy()
    if inputs.null_count:
        words[inputs.is_null().to_numpy(zero_copy_only=False)] = 0
    low, high = words[:, 0], words[:, 1]
    return [low & _LIMB, (low >> 32) & _LIMB, high & _LIMB, high >> 32]


def _carried(sums: Sequence[_Longs]) -> npt.NDArray[np.int64]:
    """Sums of limbs as two words of 64 bits each, little endian."""
    limbs, carry = list[_Longs](), np.zeros(len(sums[0]), np.int64)
    for place in range(4):
        limb = carry + sums[place] if place < len(sums) else carry
        limbs.append(limb & _LIMB)
        carry = limb >> 32
    return np.stack([limbs[0] | limbs[1] << 32, limbs[2] | limbs[3] << 32], axis=1)
