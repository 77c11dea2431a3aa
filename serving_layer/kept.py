"""What was used last, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from core.measures import Partial

__all__ = ["Kept", "weight"]

_OVERHEAD = 400  # bytes of an entry beside its texts and sketches, roughly
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """A dict that forgets what was used longest ago; `size` says how many bytes a value takes."""

    def __init__(self, limit: int, size: Callable[[Value], int]) -> None:
        self._limit, self._size_of, self._size = limit, size, 0
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Key, value: Value) -> None:
        former = self._kept.pop(key, None)
        self._size += self._size_of(value) - (self._size_of(former) if former is not None else 0)
        self._kept[key] = value
        while self._size > self._limit:
            self._size -= self._size_of(self._kept.popitem(last=False)[1])

    def clear(self) -> None:
        self._kept.clear()
        self._size = 0


def weight(partial: Partial | None) -> int:
    """Bytes that keeping a partial takes, roughly."""
    return _OVERHEAD + sum(len(slot) for slot in partial or () if isinstance(slot, bytes | str))
