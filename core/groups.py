"""Which ids are one person: groups of ids joined by pairs, each called by its least id.

A pair is two ids in order. Of all that events say about a pair the newest by log order decides, whether it
stands or is undone; the ids that standing pairs connect, however far, are a group.
"""

from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Groups", "Pair", "joined", "pair_of", "resolution", "standing", "stands", "word"]

Pair = tuple[str, str]
_UNDONE, _STANDS = "-", "+"
_WORD = "{:010d}.{:06d}.{:019d}{}"


def pair_of(one: str, other: str) -> Pair | None:
    """Both in order; None for an id and itself, of which nothing can be said."""
    if one == other:
        return None
    return (one, other) if one < other else (other, one)


def word(segment: int, partition: int, offset: int, undone: bool) -> str:
    """What one event says, as a text: of two texts the greater one is the newer by log order.

    >>> word(3, 0, 17, False)
    '0000000003.000000.0000000000000000017+'
    """
    return _WORD.format(segment, partition, offset, _UNDONE if undone else _STANDS)


def stands(newest: str) -> bool:
    """Whether a pair stands of which this is the newest word."""
    return newest.endswith(_STANDS)


def standing(words: Iterable[tuple[str, str, str]]) -> list[Pair]:
    """The pairs that stand, in order, of rows of one id, another one, and a word on the two."""
    newest: dict[Pair, str] = {}
    for one, other, said in words:
        pair = pair_of(one, other)
        if pair is not None:
            newest[pair] = max(newest.get(pair, ""), said)
    return sorted(pair for pair, said in newest.items() if stands(said))


class Groups:
    """Groups of ids, joined pair by pair. The least id of a group is its root (union-find)."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._parent: dict[str, str] = {}
        for one, other in pairs:
            self.join(one, other)

    def join(self, one: str, other: str) -> None:
        left, right = sorted((self.person(one), self.person(other)))
        self._parent[right] = left
        self._parent[left] = left

    def person(self, id_: str) -> str:
        """The least id of the group that an id is in; itself if it was never joined."""
        parent = self._parent
        above = parent.get(id_, id_)
        while above != id_:
            # halves the path on the way, which keeps all of them short
            parent[id_] = parent[above]
            id_, above = parent[id_], parent[parent[id_]]
        return id_

    def __iter__(self) -> Iterator[str]:
        """Every id of a group of two or more."""
        return iter(list(self._parent))


def resolution(pairs: Iterable[Pair]) -> dict[str, str]:
    """Each id of a group of two or more, and its person."""
    groups = Groups(pairs)
    return {id_: groups.person(id_) for id_ in groups}


def joined(persons: Mapping[str, str]) -> dict[str, list[str]]:
    """Each person of a resolution, and the ids of the group in order."""
    found: dict[str, list[str]] = {}
    for id_ in sorted(persons):
        found.setdefault(persons[id_], []).append(id_)
    return found
