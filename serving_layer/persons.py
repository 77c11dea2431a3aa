"""Who is one person now: what a version says of ids, and the pairs that the speed state holds since.

`published` is the resolution of the version that is read, `counted` the one by which the speed state counts;
None where its file is gone. Pairs since the boundary join published persons. One that was undone since parts
nobody before the next publish: batch views hold these persons as one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from core.groups import Groups, Pair, stands
from core.identity import person_part
from core.keys import key_text, parse_key
from core.resolutions import Alone, Changes, Resolution
from core.views import CompiledView
from serving_layer.ports import PersonNote, SpeedSilent

__all__ = ["Now", "Whole", "names_person"]

MOST_IDS = 10_000  # of a person, while the speed state counts by another resolution than the version
_GONE = "the resolution of ids by which the speed layer counts is gone; it is being rebuilt"
_PARTED = "the speed layer counts ids as one person that the batch view has apart; it is being rebuilt"


@dataclass(frozen=True)
class Whole:
    """A person of several published ones: key parts of the least id, and of the other published persons."""

    least: str
    others: Sequence[str]


@dataclass(frozen=True)
class Now:
    """`words` are the newest ones on pairs since the boundary, `changes` from `counted` to `published`."""

    version: int = 0
    published: Resolution = field(default_factory=Alone)
    counted: Resolution | None = None
    words: Mapping[Pair, str] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    @property
    def same(self) -> bool:
        """Whether the speed state counts by the persons of the version."""
        return self.counted is self.published

    @cached_property
    def _groups(self) -> Groups:
        """Published persons, joined by the pairs that stand since."""
        return Groups(self._joining)

    @cached_property
    def _joining(self) -> list[Pair]:
        person = self.published.person
        pairs = [(person(one), person(other)) for (one, other), said in self.words.items() if stands(said)]
        return [pair for pair in pairs if pair[0] != pair[1]]

    @cached_property
    def _members(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for person in sorted(self._groups):
            found.setdefault(self._groups.person(person), []).append(person)
        return found

    @cached_property
    def wholes(self) -> list[Whole]:
        """The persons that pairs since join, in the order of their key parts."""
        found = [
            Whole(key_text([least]), [key_text([one]) for one in members if one != least])
            for least, members in self._members.items()
        ]
        return sorted(found, key=lambda whole: whole.least)

    @cached_property
    def note(self) -> PersonNote:
        """What an answer has to say, whoever it is about."""
        joins = sum(len(members) - 1 for members in self._members.values())
        person = self.published.person
        undone = sum(1 for (a, b), said in self.words.items() if not stands(said) and person(a) == person(b))
        parted = self.changes.changed if self.changes.parted else 0
        return PersonNote(
            self.version, len(self._joining), undone, joins + self.changes.changed, undone + parted,
            doubt=_GONE if self.counted is None else None,
        )  # fmt: skip

    def root(self, view: CompiledView, key: str) -> str:
        """The key of the whole person, which has the least id, of a key or of the first parts of one."""
        return _with(view, key, lambda id_: [self._groups.person(self.published.person(id_))])[0]

    def published_keys(self, view: CompiledView, key: str) -> list[str]:
        """The keys of a version that hold parts of the person."""
        return _with(view, key, self._persons)

    def counted_keys(self, view: CompiledView, key: str) -> tuple[list[str], PersonNote]:
        """The keys of the speed state that hold parts of the person, and whether they hold no other's.

        Raises `SpeedSilent` for a person of too many ids to look at, while there is a rebuild to wait for.
        """
        id_ = _id_of(view, key)
        if self.same or id_ is None:
            return self.published_keys(view, key), self.note
        ids = [id_ for person in self._persons(id_) for id_ in self.published.ids(person)]
        if len(ids) > MOST_IDS:
            raise SpeedSilent(f"the person has {len(ids)} ids, which the speed layer counts anew: ask again")
        if self.counted is None:
            return _with(view, key, lambda _: ids), self.note
        counted = self.counted
        persons = sorted({counted.person(id_) for id_ in ids})
        strange = any(not set(ids).issuperset(counted.ids(person)) for person in persons)
        note = replace(self.note, doubt=_PARTED) if strange else self.note
        return _with(view, key, lambda _: persons), note

    @property
    def listed(self) -> PersonNote:
        """What a list has to say, for which nobody looks up whose parts are in which person."""
        return replace(self.note, doubt=self.note.doubt or (_PARTED if self.changes.parted else None))

    def _persons(self, id_: str) -> Sequence[str]:
        person = self.published.person(id_)
        return self._members.get(self._groups.person(person), [person])


def names_person(view: CompiledView, prefix: str) -> bool:
    """Whether the first parts of a key go as far as the person."""
    place = person_part(view)
    return place is not None and len(parse_key(prefix)) > place


def _id_of(view: CompiledView, key: str) -> str | None:
    place = person_part(view)
    return None if place is None else parse_key(key)[place]


def _with(view: CompiledView, key: str, persons: Callable[[str], Iterable[str]]) -> list[str]:
    """The key, or its first parts, with the person replaced by each that is found for it."""
    place, parts = person_part(view), parse_key(key)
    id_ = parts[place] if place is not None and place < len(parts) else None
    if place is None or id_ is None:
        return [key]
    return [key_text([*parts[:place], person, *parts[place + 1 :]]) for person in persons(id_)]
