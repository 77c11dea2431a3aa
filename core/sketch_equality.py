"""Whether two sketches may be of the same values, however these were split, and in whatever order they came.

HLL is held to the register. KLL and frequent items depend on the order: they are held to what they know
exactly, and to their bounds.
"""

from collections.abc import Sequence
from struct import iter_unpack
from typing import Any

from datasketches import frequent_items_error_type, frequent_strings_sketch, kll_doubles_sketch

__all__ = ["same_counts", "same_ranks", "same_registers"]

_TOLERANCE = 3  # rank errors between two KLL sketches of the same values: beyond it is not chance
_SET, _HLL = 1, 2  # how a serialised HLL_8 sketch holds its items, if not as a list
Held = frozenset[int] | bytes


def same_registers(left: bytes, right: bytes, lg_k: int) -> bool:
    """Of two compact HLL_8 sketches: the same coupons where both hold few items, else the same registers."""
    one, other = _held(left), _held(right)
    if type(one) is type(other):
        return one == other
    return _registers(one, lg_k) == _registers(other, lg_k)


def _held(compact: bytes) -> Held:
    """The coupons of a sketch of few items, else its registers."""
    kind = compact[7] & 3
    if kind == _HLL:
        return compact[40:]
    coupons = compact[12:] if kind == _SET else compact[8:]
    return frozenset(number for (number,) in iter_unpack("<I", coupons))


def _registers(held: Held, lg_k: int) -> bytes:
    if isinstance(held, bytes):
        return held
    registers = bytearray(1 << lg_k)
    for coupon in held:
        slot = coupon & ((1 << lg_k) - 1)
        registers[slot] = max(registers[slot], coupon >> 26)
    return bytes(registers)


def same_ranks(left: kll_doubles_sketch, right: kll_doubles_sketch, ranks: Sequence[float]) -> bool:
    """The same count, least and greatest value; and the same values, or where one is an estimate, ranks."""
    if _ends(left) != _ends(right):
        return False
    if left.is_estimation_mode() or right.is_estimation_mode():
        error = _TOLERANCE * max(sketch.normalized_rank_error(False) for sketch in (left, right))
        return all(_near(left, right, rank, error) for rank in ranks)
    return sorted(left) == sorted(right)


def _ends(sketch: kll_doubles_sketch) -> tuple[Any, ...]:
    return (0,) if sketch.is_empty() else (sketch.n, sketch.get_min_value(), sketch.get_max_value())


def _near(left: kll_doubles_sketch, right: kll_doubles_sketch, rank: float, error: float) -> bool:
    """Whether the value that has a rank in one sketch has about the same in the other."""
    value = left.get_quantile(rank, True)
    low, high = right.get_rank(value, False), right.get_rank(value, True)
    return bool(low <= rank + error and high >= rank - error)


def same_counts(left: frequent_strings_sketch, right: frequent_strings_sketch, capacity: int) -> bool:
    """The same total, and for every item that one of them kept bounds that overlap.

    A sketch whose purge left no item is stored as an empty one, by either engine, and forgets its total: it
    then misses more than `capacity`, and its upper bounds say nothing.
    """
    less, more = sorted((left, right), key=lambda sketch: int(sketch.total_weight))
    missing = more.total_weight - less.total_weight
    if 0 < missing <= capacity:
        return False
    return all(
        less.get_lower_bound(item) <= more.get_upper_bound(item)
        and (missing or more.get_lower_bound(item) <= less.get_upper_bound(item))
        for item in _kept(left) | _kept(right)
    )


def _kept(sketch: frequent_strings_sketch) -> set[str]:
    rows = sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
    return {row[0] for row in rows}
