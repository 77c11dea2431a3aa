"""Visits between a version and a position: each user's go on from the newest one that the version has.

A user's events are taken by time, as batch takes them. Where one lies before the user's last in the version,
what the version counts of this user would have to change: then the user's are taken segment by segment, as
the speed layer takes them, and that is told.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from core.visits import Followed, Visit, Visits, follow
from serving_layer.master_rows import Place
from serving_layer.past_events import Before, PastEvent

__all__ = ["with_visits"]

Order = Callable[[PastEvent], Any]


def with_visits(events: Sequence[PastEvent], visits: Visits, before: Before) -> list[PastEvent]:
    """The events with the columns of `visits`, NULL where there is no user; raises `IndexBroken`."""
    users = dict[str, list[PastEvent]]()
    for event in events:
        if (user := event.values[visits.user]) is not None:
            users.setdefault(str(user), []).append(event)
    newest = before.index.visits(visits, users) if before.index else {}
    told = dict[Place, Followed]()
    for user, some in users.items():
        told.update(_of_user(newest.get(user), some, visits, before))
    return [replace(event, values=_with(event, visits, told.get(event.place))) for event in events]


def _of_user(
    visit: Visit | None, events: Sequence[PastEvent], visits: Visits, before: Before
) -> Iterator[tuple[Place, Followed]]:
    def walk(some: Sequence[PastEvent], order: Order) -> Iterator[tuple[Place, Followed]]:
        nonlocal visit
        for event in sorted(some, key=order):
            carried = tuple(event.values[name] for name in visits.carry)
            found, visit = follow(visit, at(event), carried, visits.gap_micros)
            yield event.place, found

    def at(event: PastEvent) -> int:
        moment: int = event.values[before.contract.event_time]
        return moment

    def by_time(event: PastEvent) -> tuple[int, Place]:
        return at(event), event.place

    def by_segment(event: PastEvent) -> tuple[int, int, Place]:
        return event.segment, *by_time(event)

    yield from walk([event for event in events if before.has(event)], by_time)
    since, last = [event for event in events if not before.has(event)], visit.last if visit else None
    late = 0 if last is None else sum(at(event) < last for event in since)
    before.told.out_of_order += late
    yield from walk(since, by_segment if late else by_time)


def _with(event: PastEvent, visits: Visits, found: Followed | None) -> dict[str, Any]:
    columns = (None,) * len(visits.columns) if found is None else (found.role, found.step, *found.carried)
    return {**event.values, **dict(zip(visits.columns, columns, strict=True))}
