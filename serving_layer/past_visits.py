"""Visits between a version and a position: each user's go on from the newest one that the version has.

A user's events are taken by time, as batch takes them. Where one lies before the user's last in the version,
it changes what the version counts of this user: then all events of the user are read, and those that are
something else now are taken back and counted anew. Where they cannot be read, the user's are taken segment by
segment, as the speed layer takes them, and that is told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.visits import Followed, Visit, Visits, follow
from serving_layer.master_rows import Place
from serving_layer.past_events import Before, PastEvent

__all__ = ["with_visits"]

Order = Callable[[PastEvent], Any]
Users = Mapping[str, Sequence[PastEvent]]
Roles = dict[Place, Followed]


def with_visits(events: Sequence[PastEvent], visits: Visits, before: Before) -> list[PastEvent]:
    """The events with the columns of `visits`, NULL where there is no user, and behind them those of the
    version that are something else now. Raises `IndexBroken`."""
    rules, users = _Rules(visits, before), _by_user(events, visits)
    newest = before.index.visits(visits, users) if before.index else {}
    late = {user: n for user, some in users.items() if (n := rules.late(newest.get(user), some))}
    older = before.older(visits.user, {users[user][0].values[visits.user] for user in late}) if late else []
    told, restated, known = Roles(), list[PastEvent](), _by_user(older or (), visits)
    for user, some in users.items():
        if user not in late:
            told |= rules.roles(newest.get(user), some, rules.by_time)
        elif older is None:
            before.told.out_of_order += late[user]
            told |= rules.roles(newest.get(user), some, rules.by_segment)
        else:
            now = rules.roles(None, [*known[user], *some], rules.by_time)
            told |= now
            restated += rules.restated(known[user], now)
    return [*(rules.with_role(event, told.get(event.place)) for event in events), *restated]


def _by_user(events: Iterable[PastEvent], visits: Visits) -> Users:
    users = dict[str, list[PastEvent]]()
    for event in events:
        if (user := event.values[visits.user]) is not None:
            users.setdefault(str(user), []).append(event)
    return users


class _Rules:
    """What events of one user are to their visits."""

    def __init__(self, visits: Visits, before: Before) -> None:
        self._visits, self._event_time = visits, before.contract.event_time

    def at(self, event: PastEvent) -> int:
        moment: int = event.values[self._event_time]
        return moment

    def by_time(self, event: PastEvent) -> tuple[int, Place]:
        return self.at(event), event.place

    def by_segment(self, event: PastEvent) -> tuple[int, int, Place]:
        return event.segment, *self.by_time(event)

    def late(self, newest: Visit | None, events: Iterable[PastEvent]) -> int:
        """How many events lie before the last one of the version, or at its time on what may be another
        partition."""
        return 0 if newest is None else sum(self.at(event) <= newest.last for event in events)

    def roles(self, visit: Visit | None, events: Iterable[PastEvent], order: Order) -> Roles:
        """What each event is, from the user's visit before all of them."""
        found = Roles()
        for event in sorted(events, key=order):
            carried = tuple(event.values[name] for name in self._visits.carry)
            found[event.place], visit = follow(visit, self.at(event), carried, self._visits.gap_micros)
        return found

    def restated(self, older: Sequence[PastEvent], now: Roles) -> list[PastEvent]:
        """What the version counts and should not, and what it should count in its place."""
        was = self.roles(None, older, self.by_time)
        changed = [event for event in older if was[event.place] != now[event.place]]
        return [
            self.with_role(replace(event, sign=sign), roles[event.place])
            for sign, roles in ((-1, was), (1, now))
            for event in changed
        ]

    def with_role(self, event: PastEvent, found: Followed | None) -> PastEvent:
        nothing = (None,) * len(self._visits.columns)
        columns = nothing if found is None else (found.role, found.step, *found.carried)
        derived = dict(zip(self._visits.columns, columns, strict=True))
        return replace(event, values={**event.values, **derived})
