"""Visits in plain Python: a user's events sorted by time, and a new list wherever the gap is too long."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]
Placed = tuple[int, int, Event]  # partition, offset, event


def first_copies(placed: Iterable[Placed]) -> list[Placed]:
    """Each event id once; given in the order in which copies count."""
    seen: dict[str, Placed] = {}
    for one in placed:
        seen.setdefault(one[2]["event_id"], one)
    return list(seen.values())


def visits_of(placed: Iterable[Placed], gap: int) -> list[list[Placed]]:
    """All visits of all users, each a list of events; `event_time` and `gap` are in one unit."""
    users: dict[Any, list[Placed]] = {}
    for one in placed:
        if one[2]["user"] is not None:
            users.setdefault(one[2]["user"], []).append(one)
    found: list[list[Placed]] = []
    for events in users.values():
        events.sort(key=lambda one: (one[2]["event_time"], one[0], one[1]))
        for place, one in enumerate(events):
            if place == 0 or one[2]["event_time"] - events[place - 1][2]["event_time"] > gap:
                found.append([])
            found[-1].append(one)
    return found


def told(placed: Sequence[Placed], gap: int, second: int = 1) -> dict[str, tuple[str, int, Event]]:
    """Event id -> role, step in seconds, the visit's first event; `second` is a second in that unit."""
    found = {}
    for visit in visits_of(placed, gap):
        for place, (_, _, event) in enumerate(visit):
            before = visit[max(0, place - 1)][2]["event_time"]
            role = ("start", "second", "later")[min(place, 2)]
            step = event["event_time"] // second - before // second
            found[event["event_id"]] = (role, step, visit[0][2])
    return found
