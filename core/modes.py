"""How a version comes about: whole, from the version before it, or anew for a range of time.

A full recompute needs nothing but the master dataset. Every other mode takes rows over from a version that
is there already, and these functions say when that would not give what a full one gives.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.buckets import ceil, floor
from core.cuts import Cut, reaches
from core.errors import HandoffError, NotExact, Superseded
from core.instants import format_instant
from core.manifest import Manifest, Pointer
from core.semantics import Meaning

__all__ = [
    "Mode",
    "Span",
    "check_backfill",
    "check_not_superseded",
    "differences",
    "incremental_objection",
    "superseded_by",
    "whole_tiles",
]


_FORWARD = ("publish", "promote")  # pointer entries after which readers use what was made last


class Mode(StrEnum):
    """`full` reads every record; the others take over what they need not compute.

    `incremental`: only records since the last version. `backfill`: only a range of time, up to the same
    boundary. `promoted`: from a candidate, computed beside the version that readers used.
    """

    FULL = "full"
    INCREMENTAL = "incremental"
    BACKFILL = "backfill"
    PROMOTED = "promoted"


@dataclass(frozen=True)
class Span:
    """A range of event time in seconds since 1970, half open."""

    start: int
    end: int

    def __str__(self) -> str:
        first, last = (format_instant(seconds * 1_000_000) for seconds in (self.start, self.end))
        return f"{first} to {last}"


def whole_tiles(start: int, end: int, width: int) -> Span:
    """The least span of whole tiles of `width` seconds that covers [start, end). Raises HandoffError."""
    if start >= end:
        raise HandoffError(f"a backfill of {Span(start, end)} holds no time; give FROM before TO")
    return Span(floor(start, width), ceil(end, width))


def incremental_objection(
    base: Manifest | None, pointer: Pointer | None, meaning: Meaning, boundary: Cut, losses: Sequence[Any]
) -> str | None:
    """Why records since `base` alone would not give what a full recompute gives; None if they do."""
    if base is None or pointer is None:
        return "there is no version to add to"
    changed = differences(base, meaning)
    checks = {
        f"version {base.version} has another meaning: {', '.join(changed)}": not changed,
        f"readers were moved to version {base.version} by a {pointer.kind}": pointer.kind in _FORWARD,
        f"losses were accepted since version {base.version}": list(base.losses) == list(losses),
        f"version {base.version} reaches beyond cut {boundary.number}": reaches(
            boundary.offsets, base.offsets
        ),
    }
    return next((reason for reason, holds in checks.items() if not holds), None)


def check_backfill(
    base: Manifest | None, meaning: Meaning, views: Collection[str], vouch: str | None
) -> None:
    """Raise NotExact unless rows of `base` outside the range, and those of views not named, stay right.

    With an equal meaning they do. With another one only somebody who knows what changed can say so (`vouch`
    is the reason), and never for a view that is left out although its definition, or the contract of all,
    is another one.
    """
    if base is None:
        raise NotExact("a backfill", "there is no version yet", "publish one first")
    changed = differences(base, meaning)
    if not changed:
        return
    what = f"version {base.version} has another meaning: {', '.join(changed)}"
    if vouch is None:
        raise NotExact(
            "a backfill",
            what,
            'recompute all, build a candidate, or vouch with --only-in-range "WHY" that no number outside it '
            "changes",
        )
    left = _left_out(base, meaning, views)
    if left:
        raise NotExact(
            "a backfill", f"{what}, which changes {', '.join(left)} too", "name these views, or none"
        )


def _left_out(base: Manifest, meaning: Meaning, views: Collection[str]) -> list[str]:
    """Views whose rows would stay although they mean something else now."""
    before = _definitions(base)
    if set(before) != set(meaning.definitions):
        return sorted(set(before) ^ set(meaning.definitions))
    other = [
        name
        for name, definition in meaning.definitions.items()
        if base.contract != meaning.contract or before[name] != definition
    ]
    return sorted(set(other) - set(views))


def differences(base: Manifest, meaning: Meaning) -> list[str]:
    """What changed since `base`, by name; empty if the meaning is the same."""
    if base.semantics == meaning.semantics:
        return []
    before, now = _definitions(base), meaning.definitions
    found = ["the contract"] if base.contract != meaning.contract else []
    found += [f"view {name!r} is new" for name in sorted(set(now) - set(before))]
    found += [f"view {name!r} is gone" for name in sorted(set(before) - set(now))]
    found += [f"view {name!r}" for name in sorted(set(now) & set(before)) if before[name] != now[name]]
    return found or ["the dedupe window or the code"]


def _definitions(base: Manifest) -> Mapping[str, str]:
    return {name: entry.get("definition", "") for name, entry in base.views.items()}


def check_not_superseded(base: Manifest | None, semantics: str) -> None:
    """Raise Superseded for a process that still runs definitions over which others were promoted.

    It would recompute all and take readers back to what an operator has replaced.
    """
    if base and semantics in base.superseded:
        raise Superseded(base.version, semantics, base.semantics)


def superseded_by(base: Manifest, semantics: str) -> tuple[str, ...]:
    """What must not be published any more once `semantics` is promoted over `base`."""
    return tuple(sorted({*base.superseded, base.semantics} - {semantics}))
