"""Ranking: the keys with the most of a measure, and how sure that is.

A score is what an answer shows of a measure, between its bounds; of an exact measure all three are one. A key
is certainly among the first n if no key that is left out can have more: its lower bound is at or above the
upper bound of each of those.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nlargest, nsmallest
from typing import Any, TypeVar

from core.measures import Measure
from core.sketches import Quantiles, Top, Uniques

__all__ = ["Ranked", "Score", "rank", "scorers"]

Key = TypeVar("Key")
Scorer = Callable[[Any], "Score | None"]


@dataclass(frozen=True)
class Score:
    """`value` lies between `lower` and `upper` with the confidence of its measure."""

    value: Any
    lower: Any
    upper: Any


@dataclass(frozen=True)
class Ranked:
    """`first` are places of the scores, best first. `bound`: no other goes beyond it."""

    first: list[int]
    certain: list[bool]
    bound: Any


def scorers(measure: Measure) -> Mapping[str, Scorer]:
    """By which figures of what a measure shows keys can be ranked; '' is the measure itself.

    A scorer gives None where there is no value. Empty for a measure that shows a list.
    """
    measure = measure.plain
    if isinstance(measure, Top):
        return {}
    if isinstance(measure, Uniques):
        return {"": lambda shown: Score(shown["estimate"], shown["lower"], shown["upper"])}
    if isinstance(measure, Quantiles):
        exact = {name: partial(_member, name) for name in ("count", "min", "max")}
        return exact | {str(rank): partial(_quantile, place) for place, rank in enumerate(measure.ranks)}
    return {"": _exact}


def _exact(shown: Any) -> Score | None:
    return None if shown is None else Score(shown, shown, shown)


def _member(name: str, shown: Mapping[str, Any]) -> Score | None:
    return _exact(shown[name])


def _quantile(place: int, shown: Mapping[str, Any]) -> Score | None:
    if not shown["quantiles"]:
        return None
    found = shown["quantiles"][place]
    return Score(found["value"], found["lower"], found["upper"])


def rank(scores: Sequence[Score], most: int, least_first: bool = False) -> Ranked:
    """The first `most` of the scores; equal ones in the order in which they are given."""
    best = nsmallest if least_first else nlargest
    first = best(most, range(len(scores)), key=lambda place: scores[place].value)
    chosen = set(first)
    others = [place for place in range(len(scores)) if place not in chosen]
    if not others:
        return Ranked(first, [True] * len(first), None)
    if least_first:
        bound = min(scores[place].lower for place in others)
        return Ranked(first, [scores[place].upper <= bound for place in first], bound)
    bound = max(scores[place].upper for place in others)
    return Ranked(first, [scores[place].lower >= bound for place in first], bound)
