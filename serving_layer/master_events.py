"""Events of the master dataset that a question is about, and which copies of them count.

Of the copies of an event the first one counts, in the order of segment, partition and offset, whatever view,
key or time the others have: a copy is looked for among all valid records before the position.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.application import BoundSource
from core.cuts import Cut, Offsets, segment_of
from core.identity import PERSON, identity_of
from core.keys import parse_key
from core.per_event import PerEvent
from core.resolutions import Alone, Resolution
from serving_layer.master_log import Stand
from serving_layer.master_rows import Ids, MasterRows, Place, Row, Wanted
from serving_layer.moments import EARLIEST, LATEST
from serving_layer.problems import Problem

__all__ = ["Limits", "MasterEvents", "Search"]


@dataclass(frozen=True)
class Limits:
    """How many records a question may decode, and how many it may look through for them and their copies."""

    records: int
    copies: int


@dataclass(frozen=True)
class Search:
    """Which events are looked for: keys that `accepts` takes, event time in [start, end) seconds, positions
    in [since, until). `keys` are all that `accepts` takes, if these are known, with the persons of then.
    """

    accepts: Callable[[str], bool]
    start: int
    end: int
    since: Offsets
    until: Offsets
    keys: Collection[str] = ()
    persons: Resolution = field(default_factory=Alone)

    def takes(self, of: PerEvent, values: Mapping[str, Any]) -> bool:
        """Whether a view counts an event of these values, if at all, where it is looked for."""
        return self.start <= of.bucket(values) < self.end and self.accepts(of.key_text(values))


class MasterEvents:
    """Reads the events of one source. Blocks."""

    def __init__(self, bound: BoundSource, limits: Limits) -> None:
        self._bound, self.limits = bound, limits
        self._rows = MasterRows(bound.contract)

    def find(self, stand: Stand, of: PerEvent, search: Search) -> list[Row]:
        """Valid records; which of them count is not asked yet. Raises `Problem` if there is too much to read.

        The view's condition is not asked.
        """
        wanted = Wanted(search.start, search.end, self._plain(of, search))
        return [row for row in self._read(stand, search, wanted) if self._fits(of, search, row)]

    def valid(self, stand: Stand, since: Offsets, until: Offsets) -> list[Row]:
        """All valid records of these positions, copies too. Raises `Problem` as `find`."""
        search = Search(lambda _: True, EARLIEST, LATEST, since, until)
        return [row for row in self._read(stand, search, Wanted(EARLIEST, LATEST, {})) if row.reason is None]

    def having(self, stand: Stand, until: Offsets, column: str, values: Collection[Any]) -> list[Row]:
        """All valid records below a position with one of these values in a column. Raises as `find`."""
        search, wanted = Search(lambda _: True, EARLIEST, LATEST, {}, until), set(values)
        rows = self._read(stand, search, Wanted(EARLIEST, LATEST, {column: wanted}))
        return [row for row in rows if row.reason is None and row.values[column] in wanted]

    def refused(self, stand: Stand, search: Search) -> list[Row]:
        """Records that the contract refuses, whatever they are about. Raises `Problem` as `find`."""
        wanted = Wanted(0, 0, {}, refused=True)
        return [row for row in self._read(stand, search, wanted) if row.reason is not None]

    def first(
        self, stand: Stand, ids: Collection[str], until: Offsets, cuts: Sequence[Cut]
    ) -> dict[str, Place]:
        """The copy that counts, of each of these event ids. Raises `Problem` if there is too much to read."""
        spend = _budget(self.limits.copies, "looks through the ids of", "LAMBDA_AS_OF_COPIES")
        found, wanted, order = dict[str, Place](), Ids(ids), _order(cuts)
        for file in stand.within({}, until) if ids else ():
            for event_id, place in self._rows.copies(file, until, wanted, spend):
                other = found.get(event_id, place)
                found[event_id] = place if place == other else min(place, other, key=order)
        return found

    def ids_at(self, stand: Stand, places: Collection[Place]) -> dict[Place, str]:
        """The event ids of valid records. Raises `Problem` if there is too much to read."""
        spend = _budget(self.limits.copies, "looks through", "LAMBDA_AS_OF_COPIES")
        found = dict[Place, str]()
        for file in stand.files if places else ():
            offsets = [o for p, o in places if p == file.partition and file.first <= o < file.end]
            for row in self._rows.at(file, offsets, spend) if offsets else ():
                found[row.place] = self.event_id(row)
        return found

    def event_id(self, row: Row) -> str:
        return str(row.values[self._bound.contract.event_id])

    def _read(self, stand: Stand, search: Search, wanted: Wanted) -> Iterator[Row]:
        look = _budget(self.limits.copies, "looks through", "LAMBDA_AS_OF_COPIES")
        read = _budget(self.limits.records, "reads", "LAMBDA_AS_OF_RECORDS")
        for file in stand.within(search.since, search.until):
            for row in self._rows.read(file, search.since, search.until, wanted, look):
                read(1)
                yield row

    def _fits(self, of: PerEvent, search: Search, row: Row) -> bool:
        if row.reason is not None:
            return False
        return search.takes(of, row.values)

    def _plain(self, of: PerEvent, search: Search) -> dict[str, set[Any]]:
        """Columns that are parts of the key, or tell them, with all their values."""
        definition, types = self._bound.definitions[of.view.name].key, self._bound.contract.types
        texts = definition.values() if isinstance(definition, Mapping) else definition
        identity, found = identity_of(self._bound.declarations), dict[str, set[Any]]()
        for text, parts in zip(texts, zip(*map(parse_key, search.keys), strict=True), strict=False):
            if text in types:
                found[text] = {_value(part, types[text]) for part in parts}
            elif text == PERSON and identity is not None and identity.id in types:
                found.setdefault(identity.id, _ids(parts, search.persons))
        return found


def _ids(persons: Iterable[str | None], resolution: Resolution) -> set[Any]:
    """All ids of some persons; NULL is nobody's."""
    return {id_ for one in persons for id_ in ([None] if one is None else resolution.ids(one))}


def _order(cuts: Sequence[Cut]) -> Callable[[Place], tuple[int, Place]]:
    return lambda place: (segment_of(place[0], place[1], cuts), place)


def _value(part: str | None, kind: str) -> Any:
    if part is None:
        return None
    return int(part) if kind == "long" else part == "true" if kind == "boolean" else part


def _budget(most: int, does: str, setting: str) -> Callable[[int], None]:
    spent = 0

    def spend(rows: int) -> None:
        nonlocal spent
        spent += rows
        if spent > most:
            raise Problem.of_field(
                "too-many-records", "from", None, f"at most {most} records ({setting})",
                f"the question {does} more than {most} records of the master dataset: ask about a shorter "
                f"range, or a position nearer to a retained version, or raise {setting}",
            )  # fmt: skip

    return spend
