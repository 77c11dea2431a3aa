"""The keys of a view in which pairs since the boundary join persons: each whole person once.

A person is listed where the key of its least id lies in the order of the index, whether or not a version
holds that very key. So keys that lie elsewhere may belong into a page's window: in the block of keys with
the same parts before the person. Of a block within the window every key was read anyway. Of the one or two
that the window cuts, the keys of those joined persons are looked up whose place may be in it. Of one person
the keys of all parts are read, each as far as the window goes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.identity import person_part
from core.keys import INDEX_PREFIX, index_text
from core.views import CompiledView
from serving_layer.index_keys import BEHIND
from serving_layer.persons import Now, Whole, names_person
from serving_layer.ports import Index, Listed

__all__ = ["PersonKeys"]

_CHUNK = 1_000


@dataclass(frozen=True)
class PersonKeys:
    """The keys whose text starts with `prefix`; a person in it may be called by any id."""

    index: Index
    now: Now
    view: CompiledView
    prefix: str = ""

    def first(self, after: bytes | None, most: int) -> list[Listed]:
        """The first of whole persons behind a place. Raises `IndexBroken`."""
        if names_person(self.view, self.prefix):
            return self._of_person(after, most)
        if person_part(self.view) is None or not self.now.wholes:
            return self.index.keys(self.view, self.prefix, after, most)
        found: dict[bytes, str | None] = {}
        while len(found) < most:
            held = self.index.keys(self.view, self.prefix, after, most + 1)
            end = held[-1][0] if len(held) > most else None
            found |= self._places([*held, *self._cut_off(after, end, most)], after, end)
            if end is None:
                break
            after = end
        return sorted(found.items(), key=lambda each: each[0])[:most]

    def _of_person(self, after: bytes | None, most: int) -> list[Listed]:
        least = self.now.root(self.view, self.prefix)
        parts = self.now.published_keys(self.view, self.prefix)
        held = [listed for part in parts for listed in self._of(part, least, after, most)]
        return sorted(self._places(held, after, None).items(), key=lambda each: each[0])[:most]

    def _places(
        self, held: Iterable[Listed], after: bytes | None, end: bytes | None
    ) -> dict[bytes, str | None]:
        """Where the persons of some keys are listed, behind `after` and up to `end`."""
        wholes = (
            (place, None) if key is None else _listed(self.now.root(self.view, key)) for place, key in held
        )
        return {
            place: key
            for place, key in wholes
            if (after is None or place > after) and (end is None or place <= end)
        }

    def _cut_off(self, after: bytes | None, end: bytes | None, most: int) -> Iterator[Listed]:
        """Keys outside of the window whose persons may be listed in it."""
        for block in sorted({self._block(place) for place in (after, end) if place is not None}):
            head = block.decode(errors="ignore")
            if len(block) == INDEX_PREFIX:
                # the index orders such keys by digests: only all of them tell whose person lies where
                yield from self._all(max(head, self.prefix, key=len))
                continue
            for whole in _within(self.now.wholes, block, after, end):
                for part in whole.others:
                    yield from self._of(head + part, head + whole.least, after, most)

    def _of(self, member: str, least: str, after: bytes | None, most: int) -> Iterable[Listed]:
        """The keys of one published person, as many as a window can have of them under the least id."""
        called, raw = least.encode(), member.encode()
        start = raw + after[len(called) :] if after is not None and after.startswith(called) else None
        if start is not None and after is not None and max(len(start), len(after)) > INDEX_PREFIX:
            return self._all(member)
        found = self.index.keys(self.view, member, start, most)
        longest = max((len(place) for place, _ in found), default=0) + max(0, len(called) - len(raw))
        # longer keys need not be in the same order under another id
        return found if len(found) < most or longest <= INDEX_PREFIX else self._all(member)

    def _all(self, prefix: str) -> Iterator[Listed]:
        after = None
        while some := self.index.keys(self.view, prefix, after, _CHUNK):
            yield from some
            after = some[-1][0]

    def _block(self, place: bytes) -> bytes:
        """What all keys of a block begin with: the parts before the person, cut where the index cuts keys."""
        at, cut = 0, place[:INDEX_PREFIX]
        for _ in range(person_part(self.view) or 0):
            length, colon, _ = cut[at:].partition(b":")
            if length.startswith(b"-"):
                at += 1
            elif colon and length.isdigit():
                at += len(length) + 1 + int(length)
            else:
                return cut
        return cut[:at]


def _listed(key: str) -> Listed:
    return index_text(key), key


def _within(wholes: list[Whole], block: bytes, after: bytes | None, end: bytes | None) -> list[Whole]:
    """Those whose keys in a block may lie behind `after` and up to `end`."""

    def begin(whole: Whole) -> bytes:
        return (block + whole.least.encode())[:INDEX_PREFIX]

    first = 0 if after is None else bisect_left(wholes, after, key=lambda whole: begin(whole) + BEHIND)
    last = len(wholes) if end is None else bisect_right(wholes, end, key=begin)
    return wholes[first:last]
