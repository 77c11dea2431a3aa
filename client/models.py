"""What the API answers, as values. A test holds each model against the API's OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from client.values import Value

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = [
    "Answer", "Catalogue", "Key", "KeyPart", "Manifest", "Measure", "Measures", "Position", "Positions",
    "Progress", "Read", "Row", "Source", "View", "wire_name",
]  # fmt: skip

Key = Mapping[str, str | int | bool | None]
Measures = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Row:
    """Measures over [start, end), None where the range is open: merged, and what each layer contributed.

    `batch` and `speed` are None where that layer has nothing that could be read. `uncorrected` names the
    measures that still hold what events were before they were corrected, and how many events; all others are
    right.
    """

    start: datetime | None = field(metadata={"wire": "from"})
    end: datetime | None = field(metadata={"wire": "to"})
    measures: Measures
    batch: Measures | None
    speed: Measures | None
    uncorrected: Mapping[str, int] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The publish that an answer was read from: its batch part counts records before `offsets`."""

    version: int
    boundary: int
    offsets: Mapping[str, int]
    created_at: str
    mode: str


@dataclass(frozen=True, slots=True)
class Read:
    """What an answer cost: index tiles and Redis fields."""

    tiles: int
    fields: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question. `rows` has one row, or one for each step of a series.

    Nothing acknowledged before `as_of` is missing; None where nobody vouches for such a time. Where it is not
    `complete`, `reasons` say why. `raw` is the JSON it was made of.
    """

    view: str
    key: Key
    start: datetime | None = field(metadata={"wire": "from"})
    end: datetime | None = field(metadata={"wire": "to"})
    every: str | None
    zone: str
    rows: tuple[Row, ...]
    manifest: Manifest | None
    generation: str | None
    as_of: datetime | None
    complete: bool
    reasons: tuple[str, ...]
    read: Read
    raw: str = field(default="", repr=False, compare=False)

    @property
    def measures(self) -> Measures:
        """The merged measures of an answer that is one row. Raises ValueError for a series."""
        if len(self.rows) != 1:
            raise ValueError(f"the answer is a series of {len(self.rows)} rows: look at its rows")
        return self.rows[0].measures

    def to_arrow(self) -> "pyarrow.Table":
        """A row for each row; needs pyarrow. Bounds are columns of their own (see `client.frames`)."""
        from client.frames import to_arrow

        return to_arrow(self)

    def to_pandas(self) -> "pandas.DataFrame":
        """As `to_arrow`; needs pandas. Exact decimals stay Decimal."""
        from client.frames import to_pandas

        return to_pandas(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """The answer that was told last still holds at `as_of`."""

    as_of: datetime


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One part of a view's key: a parameter of its name."""

    name: str
    type: str
    expression: str
    meaning: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measure:
    """What a view counts, and in which form it answers."""

    name: str
    measure: str
    approximate: bool
    meaning: str
    columns: Mapping[str, str]
    answer: str


@dataclass(frozen=True, slots=True)
class View:
    """What can be asked of one view."""

    name: str
    source: str
    description: str
    url: str
    where: str | None
    bucket: str
    tiles: tuple[str, ...]
    every: tuple[str, ...]
    key: tuple[KeyPart, ...]
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A log of events."""

    name: str
    topic: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every view and source. `raw` is the JSON it was made of."""

    views: tuple[View, ...]
    sources: tuple[Source, ...]
    raw: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Position:
    """Where an event lies in the log."""

    event_id: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Positions:
    """Events that are in the log, on all replicas in sync."""

    accepted: int
    topic: str
    positions: tuple[Position, ...]


def wire_name(one: Any) -> str:
    """What a field is called in JSON."""
    return str(one.metadata.get("wire", one.name))
