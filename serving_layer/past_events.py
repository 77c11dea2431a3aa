"""Events of the master dataset as steps derive them, and what a step may ask beside them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from core.application import BoundSource
from core.contracts import Contract
from core.cuts import Cut, Offsets, segment_of
from core.resolutions import Resolution
from serving_layer.master_events import MasterEvents
from serving_layer.master_log import Stand
from serving_layer.master_rows import Place, Row
from serving_layer.ports import Index, Snapshot

__all__ = ["Before", "PastEvent", "Records", "Told", "read_records", "records_of"]

# a column, values of it -> events
Older = Callable[[str, Collection[Any]], Sequence["PastEvent"] | None]


@dataclass(frozen=True)
class PastEvent:
    """A valid record that is no copy: its segment, and its values by column, with those that were derived.

    `sign` is 1; 0 for a correction that only takes back; -1 for what is taken back of what a version counts.
    `by` is the correction at which the event stopped counting.
    """

    place: Place
    segment: int
    values: Mapping[str, Any]
    sign: int = 1
    by: Place | None = None

    @property
    def counts(self) -> bool:
        return self.sign > 0 and self.by is None


@dataclass(frozen=True)
class Records:
    """Valid records: `events`, each id once, and all other `copies` with the place of the one that counts."""

    events: Sequence[PastEvent]
    copies: Sequence[tuple[Row, Place]]


def read_records(
    master: MasterEvents, stand: Stand, since: Offsets, until: Offsets, cuts: Sequence[Cut]
) -> Records:
    """All valid records of these positions. Blocks. Raises `Problem` if there is too much to read."""
    return records_of(master.valid(stand, since, until), master, stand, until, cuts)


def records_of(
    rows: Sequence[Row], master: MasterEvents, stand: Stand, until: Offsets, cuts: Sequence[Cut]
) -> Records:
    """Valid records below a position. Blocks. Raises `Problem` if there is too much to look through."""
    first = master.first(stand, {master.event_id(row) for row in rows}, until, cuts)
    places = [(row, first[master.event_id(row)]) for row in rows]
    events = [
        PastEvent(place, segment_of(*place, cuts=cuts), row.values)
        for row, place in places
        if row.place == place
    ]
    return Records(events, [(row, place) for row, place in places if row.place != place])


@dataclass
class Told:
    """What steps say beside the events: how many came before their user's last one in the version."""

    out_of_order: int = 0


@dataclass(frozen=True)
class Before:
    """What a step may ask: what lies before `since` counts as the version that ends there counts it.

    `index` is that version's, None where the events begin with the log. `used` are the columns of the
    contract that a version keeps of each event, `columns` all that there are, with their types. `older` reads
    the events before that have one of some values in a column; None where they cannot be read.
    """

    contract: Contract
    used: Mapping[str, str]
    columns: Mapping[str, str]
    since: Offsets
    index: Index | None
    persons: Resolution
    older: Older = lambda _, __: None
    told: Told = field(default_factory=Told)

    @classmethod
    def of(
        cls, bound: BoundSource, base: Snapshot, index: Index | None, older: Older = lambda _, __: None
    ) -> Self:
        """Before the events that lie behind a version."""
        since = base.manifest.offsets if base.manifest else {}
        return cls(bound.contract, bound.used, bound.columns, since, index, base.persons, older)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why what was derived may not be what batch makes of it; empty if it is."""
        if not self.told.out_of_order:
            return ()
        return (
            f"{self.told.out_of_order} events came before the last one of their user in the version that was "
            "read, and there is too much to read of these users: visits hold them as they came, and as a "
            "publish at this position would not",
        )
