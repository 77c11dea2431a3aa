"""A resolution: which ids are one person at a cut. Kept as one LMDB file that all three layers read.

Ids that are alone are not in it. A file has for each other id its person, and for each person the ids of the
group in order, at most `FRAME_IDS` in one value, behind the person. Keys are `i` and the id, or `g`, the
person and the number of the value; long texts are shortened in keys as the index does it.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

import lmdb
import pyarrow as pa

from core.errors import FormatRefused
from core.groups import joined
from core.index_values import frame, unframe
from core.keys import index_text, key_text, parse_key

__all__ = [
    "FILE", "FRAME_IDS", "Alone", "Changes", "LmdbResolution", "Resolution", "Resolved", "changes",
    "group_entry", "id_entry", "open_resolution", "persons_of",
]  # fmt: skip

FILE = "_identity/0.mdb"  # below a version's index folder; no view has such a name
FRAME_IDS = 500
_GROUP = b"g"
_NUMBER = struct.Struct(">I")


class Resolution(ABC):
    """Which ids are one person."""

    @abstractmethod
    def person(self, id_: str) -> str:
        """The least id of the group of an id; itself if it is alone."""

    @abstractmethod
    def ids(self, person: str) -> Sequence[str]:
        """The ids of a person in order; of an id that is nobody's person, itself."""

    @abstractmethod
    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Every id that is not alone, and its person."""

    def group(self, id_: str) -> Sequence[str]:
        """All ids that are one person with an id."""
        return self.ids(self.person(id_))


class Alone(Resolution):
    """Every id is a person, as before the first publish."""

    def person(self, id_: str) -> str:
        return id_

    def ids(self, person: str) -> Sequence[str]:
        return (person,)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())


class Resolved(Resolution):
    """A resolution in memory: ids of groups of two or more, and their persons."""

    def __init__(self, persons: Mapping[str, str]) -> None:
        self._persons, self._ids = dict(persons), joined(persons)

    def person(self, id_: str) -> str:
        return self._persons.get(id_, id_)

    def ids(self, person: str) -> Sequence[str]:
        return self._ids.get(person, (person,))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._persons.items())


class LmdbResolution(Resolution):
    """A resolution's file, mapped read-only. Raises `FormatRefused` for what is none."""

    def __init__(self, path: Path) -> None:
        try:
            environment = lmdb.open(
                str(path), subdir=False, readonly=True, lock=False, readahead=False, create=False,
                max_spare_txns=0,
            )  # fmt: skip
        except lmdb.Error as error:
            raise FormatRefused(f"{path} is no resolution of ids: {error}; publish again") from error
        self._file = environment.begin(buffers=True)

    def person(self, id_: str) -> str:
        value = self._file.get(_id_key(id_))
        at = None if value is None else unframe(value, id_)
        return id_ if value is None or at is None else bytes(value[at:]).decode()

    def ids(self, person: str) -> Sequence[str]:
        found, number = list[str](), 0
        while (value := self._file.get(_group_key(person, number))) is not None:
            of, *ids = _texts(value)
            if of != person:
                break
            found += ids
            number += 1
        return found or [person]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        with self._file.cursor() as cursor:
            if not cursor.set_range(_GROUP):
                return
            for key, value in cursor.iternext():
                if bytes(key[:1]) != _GROUP:
                    return
                person, *ids = _texts(value)
                yield from ((id_, person) for id_ in ids)


def open_resolution(path: Path) -> LmdbResolution:
    """The resolution of a file, one in a process as long as somebody holds it: LMDB opens no file twice."""
    with _TURN:
        found = _OPEN.get(path)
        if found is None:
            found = _OPEN[path] = LmdbResolution(path)
        return found


_TURN = Lock()
_OPEN: WeakValueDictionary[Path, LmdbResolution] = WeakValueDictionary()


def persons_of(path: Path) -> Callable[[pa.Array], pa.Array]:
    """For columns of ids: the persons of a file's resolution, NULL of NULL."""

    def persons(ids: pa.Array) -> pa.Array:
        resolution, coded = open_resolution(path), ids.dictionary_encode()
        found = [resolution.person(id_) for id_ in coded.dictionary.to_pylist()]
        return pa.array(found, pa.string()).take(coded.indices)

    return persons


def id_entry(id_: str, person: str) -> tuple[bytes, bytes]:
    """What a file holds of an id."""
    return _id_key(id_), frame(id_, person.encode())


def group_entry(person: str, number: int, ids: Sequence[str]) -> tuple[bytes, bytes]:
    """What a file holds of a person: `ids` number `number` times `FRAME_IDS` and following."""
    return _group_key(person, number), key_text([person, *ids]).encode()


@dataclass(frozen=True)
class Changes:
    """What became of a resolution: ids that are another person than before, and those of them that were
    `parted` from the id by which they were called. Without any, each former group is within one of now."""

    changed: int = 0
    parted: int = 0


def changes(before: Resolution, after: Resolution) -> Changes:
    changed = parted = 0
    known = {id_: (before.person(id_), person) for id_, person in after}
    known |= {id_: (person, after.person(id_)) for id_, person in before}
    for was, person in known.values():
        changed += was != person
        parted += after.person(was) != person
    return Changes(changed, parted)


def _texts(value: bytes | memoryview) -> list[str]:
    return [text for text in parse_key(bytes(value).decode()) if text is not None]


def _id_key(id_: str) -> bytes:
    return b"i" + index_text(id_)


def _group_key(person: str, number: int) -> bytes:
    return _GROUP + index_text(person) + _NUMBER.pack(number)
