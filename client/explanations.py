"""Why a number is what it is: what each layer read, and the events behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from client.models import Key, Manifest, Row

__all__ = ["EventPlace", "Explanation", "FoundEvent", "Layers"]


@dataclass(frozen=True, slots=True)
class EventPlace:
    """An event by its position in the log."""

    partition: int
    offset: int
    event_id: str


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event that a number may hold: whether it counted (`outcome`), and `why` if it did not.

    `corrected_by` took it back, or its place, and `took_back` are the events that it took back itself.
    """

    partition: int
    offset: int
    segment: int
    event_id: str | None
    event_time: datetime | None
    layer: str
    why: str | None
    values: Mapping[str, Any]
    outcome: str
    corrected_by: EventPlace | None
    took_back: tuple[EventPlace, ...]


@dataclass(frozen=True, slots=True)
class Layers:
    """What each layer read and added; None for one that had no part in it."""

    batch: Mapping[str, Any] | None
    speed: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer, what it is made of, and a page of the events behind it; `cursor` is the next page's.

    `events` is None where they cannot be listed, and `unlisted` says why.
    """

    view: str
    key: Key
    start: datetime | None = field(metadata={"wire": "from"})
    end: datetime | None = field(metadata={"wire": "to"})
    rows: tuple[Row, ...]
    manifest: Manifest | None
    complete: bool
    reasons: tuple[str, ...]
    definition: Mapping[str, Any]
    layers: Layers
    events: tuple[FoundEvent, ...] | None
    cursor: str | None
    found: Mapping[str, Any] | None
    unlisted: str | None
    not_archived: tuple[Mapping[str, Any], ...]
    archived_from: str | None
    raw: str = field(default="", repr=False, compare=False)
