"""What the answer to a question depends on in the speed state: keys of a view, and a range of event time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from core.identity import uses_persons
from core.keys import shard_of
from core.layout import container_width
from serving_layer.live_pairs import LivePairs
from serving_layer.questions import Question

__all__ = ["Interest", "interest_of"]


@dataclass(frozen=True)
class Interest:
    """The keys `keys` of a view in [start, end), in seconds since 1970; every key where they are None.

    What any key of the view `also` gets may change the answer as well.
    """

    view: str
    width: int
    keys: tuple[str, ...] | None
    start: int
    end: int
    also: str | None = None

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # each look at what changed asks for it several times, for each question
        return hash((self.view, self.keys, self.start, self.end))

    def shards(self, count: int) -> frozenset[int]:
        """The shards, of `count`, that answers are read from."""
        if count not in self._shards:
            keys = None if self.also else self.keys
            whole = range(count) if keys is None else (shard_of(self.view, key, count) for key in keys)
            self._shards[count] = frozenset(whole)
        return self._shards[count]

    @cached_property
    def _shards(self) -> dict[int, frozenset[int]]:
        return {}

    def within(self, containers: Iterable[int]) -> list[int]:
        """Those containers that hold a part of the range."""
        step = container_width(self.width)
        return [at for at in containers if self.start < at + step and at < self.end]

    def members(self, containers: Iterable[int]) -> Iterator[tuple[str, str]]:
        """Each key with what lists of touched hashes call it, for each of the containers."""
        for at in self.within(containers):
            yield from ((key, f"{self.view}:{at}:{key}") for key in self.keys or ())


def interest_of(question: Question, pairs: LivePairs | None = None) -> Interest:
    """What has to be touched for the answer to change; of a person as `pairs` last told who that is."""
    view = question.view
    if pairs is None or not uses_persons(view):
        return Interest(view.name, view.width, (question.key_text,), question.first, question.last)
    keys = pairs.keys_of(view, question.key_text)
    return Interest(view.name, view.width, keys, question.first, question.last, also=pairs.name)
