"""Corrections by loops over what was sent: which events count, and at which later one another stops."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sent:
    """A record of one partition; its place in the list is its offset."""

    id: str
    target: str | None = None
    retracts: bool = False
    valid: bool = True
    value: int = 0


def firsts(log: Sequence[Sent]) -> list[int]:
    """The offsets of valid records that are no copy of a valid one before them."""
    return [
        at
        for at, sent in enumerate(log)
        if sent.valid and not any(other.valid and other.id == sent.id for other in log[:at])
    ]


def stopped_by(log: Sequence[Sent], at: int) -> int | None:
    """The first record behind that at `at` which names it, or what it had named."""
    names = {log[at].id, log[at].target} - {None}
    return next((later for later in firsts(log) if later > at and log[later].target in names), None)


def counting(log: Sequence[Sent]) -> list[int]:
    """The offsets of the records that count once all of the log is known."""
    return [at for at in firsts(log) if not retracts(log[at]) and stopped_by(log, at) is None]


def retracts(sent: Sent) -> bool:
    return sent.retracts and sent.target is not None


def unmatched(log: Sequence[Sent]) -> list[int]:
    """Corrections before which nothing has the id that they name, and nothing else names it."""
    known = firsts(log)
    return [
        at
        for at in known
        if log[at].target is not None
        and not any(log[at].target in (log[other].id, log[other].target) for other in known if other < at)
    ]
