"""What may be right of persons in an answer, by loops over all that was sent.

An answer has all that was sent before its `as_of`, all below its boundary, and perhaps more. So there is a
least and a most of it: of what counts, and of which ids are one person.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from core.cuts import Cut, Offsets, segment_of
from core.groups import Pair
from tests.model.persons.people import USERS, Visit, visit_of
from tests.model.world import Record

Groups = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Heard:
    """A visit that counts once, its segment, and whether an answer has it: below its boundary, or at all."""

    visit: Visit
    segment: int
    published: bool
    sure: bool

    @property
    def place(self) -> tuple[int, int, int]:
        return self.segment, *self.visit.position


def heard(
    sent: Iterable[Record], semantics: int, cuts: Sequence[Cut], boundary: Offsets, as_of: float
) -> list[Heard]:
    """The first valid copy of each event, in the order they were sent."""
    found, seen = list[Heard](), set[str]()
    for visit in map(visit_of, sent):
        if visit.counts(semantics) and visit.event_id not in seen:
            seen.add(visit.event_id)
            published = visit.offset < boundary.get(visit.partition, 0)
            segment = segment_of(*visit.position, cuts)
            found.append(Heard(visit, segment, published, published or visit.at < as_of))
    return found


@dataclass(frozen=True)
class Truth:
    all: Sequence[Heard]

    @cached_property
    def sure(self) -> list[Heard]:
        return [one for one in self.all if one.sure]

    def joined(self, most: bool) -> Groups:
        """The ids of each person in an answer: what was published, joined by what stands since."""
        published = [one for one in self.all if one.published]
        since = [one for one in self.all if not one.published]
        return grouped([*standing(published, most), *standing(since, most)])

    def true(self, most: bool) -> Groups:
        """With what was undone since."""
        return grouped(standing(self.all, most))

    def people(self, page: str) -> tuple[int, int]:
        """The least and the most persons who may have visited a page."""
        least, most = self.true(True), self.true(False)
        return (
            len({least[one.visit.user] for one in self.sure if one.visit.key == page}),
            len({most[one.visit.user] for one in self.all if one.visit.key == page}),
        )

    def visits(self, key: str, by_person: bool, most: bool) -> Counter[str]:
        """How often each visit may be in an answer, by its event id."""
        some, users = self.all if most else self.sure, self.joined(most)[key] if by_person else USERS
        return Counter(
            one.visit.event_id
            for one in some
            if (one.visit.user in users if by_person else one.visit.key == key)
        )


def standing(said: Sequence[Heard], most: bool) -> list[Pair]:
    """The pairs that stand for sure, or may: each by its newest word, or by any that may be read as that."""
    words: dict[Pair, list[Heard]] = {}
    for one in said:
        if one.visit.pair is not None:
            words.setdefault(one.visit.pair, []).append(one)
    return [pair for pair, some in words.items() if stands(some, most)]


def stands(words: Sequence[Heard], most: bool) -> bool:
    sure = sorted((one for one in words if one.sure), key=lambda one: one.place)
    perhaps = [not one.visit.undone for one in words if not one.sure]
    now = bool(sure) and not sure[-1].visit.undone
    return now or any(perhaps) if most else now and all(perhaps)


def grouped(pairs: Iterable[Pair]) -> Groups:
    """By joining sets until nothing changes."""
    found = {user: frozenset({user}) for user in USERS}
    for one, other in pairs:
        both = found[one] | found[other]
        found |= dict.fromkeys(both, both)
    return found
