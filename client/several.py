"""Answers about several keys: those that were named, a page of a prefix, a ranking."""

from dataclasses import dataclass, field
from datetime import datetime

from client.models import Key, Manifest, Row
from client.values import Value

__all__ = [
    "Others",
    "Paged",
    "Queried",
    "RankedRow",
    "Ranking",
    "ReadKeys",
    "ReadPrefix",
    "Result",
    "Standing",
]


@dataclass(frozen=True, slots=True)
class Standing:
    """What was asked, what was read, and what is vouched for: as in `Answer`."""

    view: str
    start: datetime | None = field(metadata={"wire": "from"})
    end: datetime | None = field(metadata={"wire": "to"})
    every: str | None
    zone: str
    manifest: Manifest | None
    generation: str | None
    as_of: datetime | None
    complete: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """One key with its rows."""

    key: Key
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ReadKeys:
    """What it cost to answer about several keys."""

    keys: int
    tiles: int
    fields: int


@dataclass(frozen=True, slots=True)
class ReadPrefix(ReadKeys):
    """As `ReadKeys`; `unnamed` keys are too long to be listed."""

    unnamed: int


@dataclass(frozen=True, slots=True)
class Queried(Standing):
    """One question asked of several keys: `results` follow the order in which these were named."""

    results: tuple[Result, ...]
    read: ReadKeys
    raw: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Paged(Standing):
    """A page of the keys that begin with `prefix`. `cursor` is the next page's, None on the last one.

    With `version_changed`, numbers are of another publish than those of the first page.
    """

    prefix: Key
    results: tuple[Result, ...]
    cursor: str | None
    version_changed: bool
    read: ReadPrefix
    raw: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RankedRow(Row):
    """A key by its rank; `certain` if it belongs among the first whatever the true values are."""

    rank: int
    key: Key
    certain: bool


@dataclass(frozen=True, slots=True)
class Others:
    """The keys beyond a ranking: how many, and what none of them goes beyond, as far as bounds hold."""

    keys: int
    bound: Value


@dataclass(frozen=True, slots=True)
class Ranking(Standing):
    """The keys with the most of the measure `by`, or with the least."""

    prefix: Key
    by: str
    order: str
    rows: tuple[RankedRow, ...]
    exact: bool
    others: Others
    read: ReadPrefix
    raw: str = field(default="", repr=False, compare=False)
