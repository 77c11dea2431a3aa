"""Is the speed state what a fold of the same records gives? Rule 9 of the hand-off contract, pure functions.

A caller compares some places at a time and merges the tallies, so that nobody has to hold all of them.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.measures import Measure, Partial
from core.views import CompiledView

__all__ = [
    "KEYS", "UNREADABLE", "Cause", "Difference", "Finding", "Place", "Tally", "attributed", "compare",
    "findings", "identity_findings", "merged", "total",
]  # fmt: skip

Place = tuple[str, int, int]  # the key's text, segment, bucket
KEYS = 10
UNREADABLE = (struct.error, ValueError, IndexError, RuntimeError)  # what a damaged value makes of a reader


class Cause(StrEnum):
    """Why two sides differ, the gravest last: batch knows an earlier copy; other ids are one person for it;
    it leaves out what was corrected; the order in which events came to the speed layer; nobody knows."""

    DUPLICATE = "duplicate"
    IDENTITY = "identity"
    RESTATEMENT = "restatement"
    OUT_OF_ORDER = "out-of-order"
    UNKNOWN = "unknown"


@dataclass(frozen=True, order=True)
class Difference:
    """One place of a measure where two sides differ; a side that has nothing there, or nothing that can be
    read, is None."""

    key: str
    segment: int
    bucket: int
    expected: Any = field(compare=False)
    found: Any = field(compare=False)

    def __str__(self) -> str:
        return f"{self.key}, segment {self.segment}, bucket {self.bucket}: {self.expected}, not {self.found}"


@dataclass
class Tally:
    """What was compared of one view: places, totals of both sides, and by (measure, cause) what differs."""

    places: int
    expected: Partial
    found: Partial
    differing: dict[tuple[str, Cause], int] = field(default_factory=dict)
    keys: dict[tuple[str, Cause], list[Difference]] = field(default_factory=dict)

    def note(self, measure: str, cause: Cause, difference: Difference) -> None:
        which = measure, cause
        self.differing[which] = self.differing.get(which, 0) + 1
        self.keys[which] = sorted([*self.keys.get(which, ()), difference])[:KEYS]


@dataclass(frozen=True)
class Finding:
    """A line of the record: a measure's totals, and how many places differ; `keys` are the first of them.

    Of an `attributed` one batch is `expected`, and `places` are the events that batch counts otherwise; with
    cause `identity` they are the ids that batch knows by another person.
    """

    view: str
    measure: str
    expected: Any
    found: Any
    difference: Any
    places: int
    differing: int
    cause: Cause | None = None
    keys: Sequence[Difference] = ()

    def entry(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    view: CompiledView,
    expected: Mapping[Place, Partial],
    found: Mapping[Place, Partial | None],
    contested: Mapping[Place, Cause] | None = None,
) -> Tally:
    """Both sides place by place; a `found` partial of None could not be read.

    A difference at a `contested` place has the cause that stands there; any other is unknown.
    """
    places, causes = {*expected, *found}, contested or {}
    tally = Tally(
        len(places), total(view, expected.values()), total(view, (p for p in found.values() if p is not None))
    )
    for place in places:
        cause = causes.get(place, Cause.UNKNOWN)
        left, right = _apart_if(view, expected.get(place)), _apart_if(view, found.get(place))
        for (name, measure), one, other in zip(view.measures.items(), left, right, strict=True):
            if _differ(measure, one, other):
                figures = _figure(measure, one), _figure(measure, other)
                tally.note(name, cause, Difference(*place, *figures))
    return tally


def total(view: CompiledView, partials: Iterable[Partial]) -> Partial:
    """All partials merged, without those that cannot be read."""
    held = list(partials)
    try:
        return view.merge_all(held)
    except UNREADABLE:
        return view.merge_all([partial for partial in held if _readable(view, partial)])


def _readable(view: CompiledView, partial: Partial) -> bool:
    try:
        view.merge_all([partial, partial])
    except UNREADABLE:
        return False
    return True


def _apart(view: CompiledView, partial: Partial) -> list[Partial]:
    """A view's partial measure by measure."""
    return [partial[at] for at in view.places.values()]


def _apart_if(view: CompiledView, partial: Partial | None) -> Sequence[Partial | None]:
    return [None] * len(view.measures) if partial is None else _apart(view, partial)


def _differ(measure: Measure, expected: Partial | None, found: Partial | None) -> bool:
    if expected is None or found is None:
        return True
    try:
        return not measure.same(expected, found)
    except UNREADABLE:
        return True


def _figure(measure: Measure, partial: Partial | None) -> Any:
    try:
        return None if partial is None else _plain(measure.figure(partial))
    except UNREADABLE:
        return None


def merged(view: CompiledView, tallies: Sequence[Tally]) -> Tally:
    """One tally of a view for several, whatever they are of."""
    whole = Tally(
        sum(tally.places for tally in tallies),
        total(view, [tally.expected for tally in tallies]),
        total(view, [tally.found for tally in tallies]),
    )
    for tally in tallies:
        for which, count in tally.differing.items():
            whole.differing[which] = whole.differing.get(which, 0) + count
            whole.keys[which] = sorted([*whole.keys.get(which, ()), *tally.keys[which]])[:KEYS]
    return whole


def findings(view: CompiledView, tally: Tally) -> list[Finding]:
    """A line for each measure; where two causes meet, the graver one is named, and its keys."""
    expected, found = _apart(view, tally.expected), _apart(view, tally.found)
    lines = []
    for (name, measure), one, other in zip(view.measures.items(), expected, found, strict=True):
        causes = [cause for cause in reversed(Cause) if (name, cause) in tally.differing]
        worst = causes[0] if causes else None
        lines.append(
            Finding(
                view.name, name, *_figures(measure, one, other), tally.places,
                sum(tally.differing[name, cause] for cause in causes), worst,
                tuple(tally.keys[name, worst]) if worst else (),
            )
        )  # fmt: skip
    return lines


def attributed(
    view: CompiledView, batch: Partial, speed: Partial, events: int, keys: Sequence[Place], cause: Cause
) -> list[Finding]:
    """What `events` that batch counts otherwise, for a cause that is known, make of a view's measures, where
    it shows."""
    first = [Difference(*place, None, None) for place in keys[:KEYS]]
    return [
        Finding(view.name, name, *_figures(measure, one, other), events, events, cause, tuple(first))
        for (name, measure), one, other in zip(
            view.measures.items(), _apart(view, batch), _apart(view, speed), strict=True
        )
        if _differ(measure, one, other)
    ]


def identity_findings(view: CompiledView, batch: Partial, speed: Partial, ids: int) -> list[Finding]:
    """What other persons of `ids` ids make of a view's measures over all keys, also where it is nothing."""
    return [
        Finding(view.name, name, *_figures(measure, one, other), ids, ids, Cause.IDENTITY)
        for (name, measure), one, other in zip(
            view.measures.items(), _apart(view, batch), _apart(view, speed), strict=True
        )
    ]


def _figures(measure: Measure, expected: Partial, found: Partial) -> tuple[Any, Any, Any]:
    """Expected, found, and how much more was found, where that is a number."""
    one, other = measure.figure(expected), measure.figure(found)
    numeric = all(isinstance(figure, int | float | Decimal) for figure in (one, other))
    return _plain(one), _plain(other), _plain(other - one) if numeric else None


def _plain(figure: Any) -> Any:
    """As JSON can hold it: decimals as text, which keeps every digit."""
    return str(figure) if isinstance(figure, Decimal) else figure
