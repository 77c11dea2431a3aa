"""Answers about several keys: what was gathered, as it is rendered."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from core.identity import person_counts
from core.measures import Partial
from core.narrowing import narrowed
from core.ranking import Score, rank
from core.views import CompiledView
from serving_layer.answers import rows_of, standing, uncorrected_in
from serving_layer.cursors import Cursor
from serving_layer.gathering import Gathered
from serving_layer.listings import Page, Prefix, Ranking, key_of_text
from serving_layer.moments import text_of
from serving_layer.ports import Bucketed
from serving_layer.presenting import Presenter
from serving_layer.queries import Query
from serving_layer.questions import Question
from serving_layer.widening import outdated, widened, widened_measures

__all__ = ["compose_page", "compose_query", "compose_ranking"]

_AT_ONCE = 50  # keys shown or scored before other requests have their turn


async def compose_query(query: Query, gathered: Gathered) -> dict[str, Any]:
    """A result for each key, in the order in which they were asked for."""
    rows = _Rows(query.question, gathered, query.measures)
    made = dict[str, list[dict[str, Any]]]()
    for place, key in enumerate(gathered.keys):
        made[key] = rows.of(key)
        await _turn(place)
    results = [
        {"key": key, "rows": made[gathered.wholes.get(text, text)]}
        for key, text in zip(query.keys, query.texts, strict=True)
    ]
    return {
        "view": query.question.view.name,
        **_range(query.question),
        "results": results,
        **standing(gathered, rows.view, rows.uncorrected),
        "read": _read(gathered),
    }


async def compose_page(page: Page, gathered: Gathered) -> dict[str, Any]:
    """A result for each key of the page, and the cursor of the next one; None on the last."""
    view, results = page.prefix.question.view, []
    rows = _Rows(page.prefix.question, gathered, list(view.measures))
    for place, key in enumerate(gathered.keys):
        results.append({"key": key_of_text(view, key), "rows": rows.of(key)})
        await _turn(place)
    version = gathered.snapshot.manifest.version if gathered.snapshot.manifest else 0
    first = page.cursor.version if page.cursor else version
    return {
        **_listed(page.prefix),
        "results": results,
        "cursor": gathered.more and Cursor(page.digest, first, gathered.more).text,
        "version_changed": version != first,
        **standing(gathered, rows.view, rows.uncorrected),
        "read": {**_read(gathered), "unnamed": gathered.unnamed},
    }


async def compose_ranking(ranking: Ranking, gathered: Gathered) -> dict[str, Any]:
    """The first keys, whether each is certain to be among them, and what no other key goes beyond."""
    keys, scores = await _scores(ranking, gathered)
    found = rank(scores, ranking.most, ranking.least_first)
    view = ranking.prefix.question.view
    rows = _Rows(ranking.prefix.question, gathered, [ranking.measure])
    note = gathered.speed.persons if gathered.speed else None
    stale = bool(rows.uncorrected or outdated(rows.view, note))
    # of two persons that still count as one, neither is certain
    whole = not stale and not (note and note.undone)
    first = [
        {
            "rank": number,
            "key": key_of_text(view, keys[place]),
            "certain": certain and whole,
            **rows.of(keys[place])[0],
        }
        for number, (place, certain) in enumerate(zip(found.first, found.certain, strict=True), 1)
    ]
    exact = whole and not gathered.unnamed and all(score.lower == score.upper for score in scores)
    return {
        **_listed(ranking.prefix),
        "by": ranking.by,
        "order": "least" if ranking.least_first else "most",
        "rows": first,
        "exact": exact,
        "others": {"keys": len(scores) - len(first), "bound": None if stale else found.bound},
        **standing(gathered, rows.view, rows.uncorrected),
        "read": {**_read(gathered), "unnamed": gathered.unnamed},
    }


class _Rows:
    """The rows of each key."""

    def __init__(self, question: Question, gathered: Gathered, measures: Sequence[str]) -> None:
        self._question = replace(question, view=narrowed(question.view, measures))
        self._gathered = gathered
        self._presenter = Presenter(self._question.view, None, question.zone)

    @property
    def view(self) -> CompiledView:
        return self._question.view

    @property
    def uncorrected(self) -> dict[str, int]:
        """The measures that hold events which were corrected, of any key, and how many."""
        speed = (one for some in (self._gathered.speed_of or {}).values() for _, one in some)
        return uncorrected_in(self._question.view, speed)

    def of(self, key: str) -> list[dict[str, Any]]:
        note = self._gathered.speed.persons if self._gathered.speed else None
        return widened(self._question.view, self._found(key), note)

    def _found(self, key: str) -> list[dict[str, Any]]:
        gathered = self._gathered
        batch, speed = (
            None if parts is None else parts.get(key, ()) for parts in (gathered.batch_of, gathered.speed_of)
        )
        return self._made(batch, speed) if batch or speed else self._nothing

    @cached_property
    def _nothing(self) -> list[dict[str, Any]]:
        """What all keys have in common of which neither layer holds anything."""
        silent = [
            None if parts is None else () for parts in (self._gathered.batch_of, self._gathered.speed_of)
        ]
        return self._made(*silent)

    def _made(
        self, batch: Sequence[Bucketed] | None, speed: Sequence[Bucketed] | None
    ) -> list[dict[str, Any]]:
        question = self._question
        if question.every is not None:
            return rows_of(question, batch, speed, None)
        return [self._presenter.row((question.start, question.end), _partials(batch), _partials(speed))]


def _partials(found: Sequence[Bucketed] | None) -> list[Partial] | None:
    return None if found is None else [one for _, one in found]


async def _scores(ranking: Ranking, gathered: Gathered) -> tuple[list[str], list[Score]]:
    """Of every key that has a value in the range."""
    measure = ranking.prefix.question.view.measures[ranking.measure]
    keys, scores = list[str](), list[Score]()
    for place, key in enumerate(gathered.keys):
        found = [
            one for parts in (gathered.batch_of, gathered.speed_of) if parts for _, one in parts.get(key, ())
        ]
        score = (
            ranking.score(_wide(ranking, gathered, measure.present(measure.merge_all(found))))
            if found
            else None
        )
        if score is not None:
            keys.append(key)
            scores.append(score)
        await _turn(place)
    return keys, scores


def _wide(ranking: Ranking, gathered: Gathered, shown: Any) -> Any:
    """What a measure shows, with the bounds that hold for persons."""
    view, note = ranking.prefix.question.view, gathered.speed.persons if gathered.speed else None
    names = [name for name in person_counts(view) if name == ranking.measure]
    return widened_measures({ranking.measure: shown}, names, note)[ranking.measure] if note else shown


async def _turn(place: int) -> None:
    if place % _AT_ONCE == 0:
        await asyncio.sleep(0)


def _listed(prefix: Prefix) -> dict[str, Any]:
    return {"view": prefix.question.view.name, "prefix": dict(prefix.parts), **_range(prefix.question)}


def _range(question: Question) -> dict[str, Any]:
    zone = question.zone
    return {
        "from": None if question.start is None else text_of(question.start, zone),
        "to": None if question.end is None else text_of(question.end, zone),
        "every": question.every_name,
        "zone": zone,
    }


def _read(gathered: Gathered) -> dict[str, int]:
    fields = gathered.speed.fields if gathered.speed else 0
    return {"keys": len(gathered.keys), "tiles": gathered.tiles, "fields": fields}
