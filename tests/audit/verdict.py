"""Whether an answer can be true: each measure between the least and the most that the log may hold."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tests.audit.facts import Facts

__all__ = ["JUDGED", "objections"]

Bounds = tuple[Any, Any]
_Rule = Callable[[Any, Facts, Facts], str | None]


def objections(told: Mapping[str, Any], must: Facts, may: Facts) -> list[str]:
    """What is wrong with the measures of an answer, given what must be in it and what may be."""
    judged = ((name, JUDGED[name](value, must, may)) for name, value in told.items() if name in JUDGED)
    return [f"{name}: {reason}" for name, reason in judged if reason]


def _between(value: Any, least: Any, most: Any) -> str | None:
    return None if least <= value <= most else f"{value} is not in [{least}, {most}]"


def _sum(name: str) -> _Rule:
    return lambda told, must, may: _between(told or 0, getattr(must, name), getattr(may, name))


def _delta(told: Any, must: Facts, may: Facts) -> str | None:
    """Whichever of the events that may be there are there."""
    return _between(told or 0, must.gained + may.lost, may.gained + must.lost)


def _distinct(name: str) -> _Rule:
    """An estimate is right if its own bounds meet what is possible."""

    def rule(told: Any, must: Facts, may: Facts) -> str | None:
        least, most = getattr(must, name), getattr(may, name)
        meets = told["lower"] <= most and told["upper"] >= least
        return None if meets else f"{told} does not meet [{least}, {most}]"

    return rule


def _first(told: str | None, must: Facts, may: Facts) -> str | None:
    """The more events, the earlier the first of them."""
    return _time(told, may.first, must.first, must)


def _last(told: str | None, must: Facts, may: Facts) -> str | None:
    return _time(told, must.last, may.last, must)


def _time(told: str | None, least: datetime | None, most: datetime | None, must: Facts) -> str | None:
    if told is None:
        return "missing" if must.edits else None
    moment = datetime.fromisoformat(told)
    if (least is None or moment >= least) and (most is None or moment <= most):
        return None
    return f"{told} is not in [{least}, {most}]"


def _count(told: Any, must: Facts, may: Facts) -> str | None:
    return _between(told["count"], must.edits, may.edits)


JUDGED: Mapping[str, _Rule] = {
    "edits": _sum("edits"),
    "added": _sum("added"),
    "deleted": _sum("deleted"),
    "delta": _delta,
    "editors": _distinct("users"),
    "robots": _distinct("users"),
    "pages": _distinct("pages"),
    "first_edit": _first,
    "last_edit": _last,
    "size": _count,
}
