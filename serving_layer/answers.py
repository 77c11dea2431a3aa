"""Answers: the batch part, of segments before the boundary, and the speed part, of the others, merged."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from core.buckets import Run, split
from core.cuts import offsets_to
from core.handoff import doubts
from core.manifest import Manifest
from core.measures import Partial
from core.periods import UNITS, Periods
from core.views import CompiledView
from serving_layer.moments import EARLIEST, LATEST, text_of
from serving_layer.ports import Bucketed, Snapshot, SpeedReading
from serving_layer.presenting import Presenter, Shown
from serving_layer.problems import Problem
from serving_layer.questions import Question
from serving_layer.rendering import iso
from serving_layer.spans import MAX_ROWS, edges_within
from serving_layer.widening import outdated, widened

__all__ = [
    "Evidence", "compose", "document", "grouped", "rows_of", "runs_of", "runs_within", "standing",
    "uncorrected_in",
]  # fmt: skip

_MOST_TILES = 100_000  # of a series in a zone: while they are read, no other request is


@dataclass(frozen=True)
class Evidence:
    """What the two layers said: `batch` is None without a batch view, `speed` without a speed state."""

    snapshot: Snapshot
    semantics: str
    batch: Sequence[Bucketed] | None
    speed: SpeedReading | None
    silence: str | None = None
    tiles: int = 0

    @property
    def reasons(self) -> list[str]:
        """Why the answer is not complete; empty if it is."""
        told = [self.silence] if self.silence else self._doubts()
        return [*self.snapshot.notes, *told] if told else []

    def _doubts(self) -> list[str]:
        speed = self.speed or SpeedReading()
        if speed.archive is not None:
            return list(speed.archive)
        progress = speed.progress and replace(speed.progress, floor=max(speed.floor, speed.progress.floor))
        persons = [speed.persons.doubt] if speed.persons and speed.persons.doubt else []
        return persons + doubts(
            self.snapshot.manifest, self.semantics, speed.generation, progress, speed.lease, speed.stamps,
            condemned=speed.condemned,
        )  # fmt: skip

    @property
    def as_of(self) -> float | None:
        """The time up to which nothing acknowledged is missing; None where nobody vouches for one."""
        return self.speed.lease.as_of if self.speed and self.speed.lease and not self.reasons else None


def runs_of(question: Question) -> list[Run]:
    """The fewest tiles that make up the question's range, none of them across two rows.

    Where a series in a zone other than UTC is open, nobody knows its rows yet, and these are finest buckets:
    see `runs_within`.
    """
    every, tiles = question.every, question.view.tiles
    if every is None or every.zone == "UTC":
        widths = tuple(width for width in tiles if every is None or width <= UNITS[every.unit])
        return split(question.first, question.last, widths)
    if question.edges is None:
        return split(question.first, question.last, tiles[:1])
    return _affordable(every.runs(question.edges, tiles), every)


def runs_within(question: Question, found: Sequence[Bucketed]) -> list[Run]:
    """`runs_of` an open series of which `found`, of any width, is all there is."""
    if question.every is None or not found:
        return []
    coarsest, buckets = question.view.tiles[-1], [bucket for bucket, _ in found]
    first, last = max(question.first, min(buckets)), min(question.last, max(buckets) + coarsest)
    edges = _edges(question, question.every, (first, last - 1), MAX_ROWS + coarsest // question.view.width)
    return _affordable(question.every.runs(edges, question.view.tiles), question.every)


def _affordable(runs: list[Run], every: Periods) -> list[Run]:
    tiles = sum(run.count for run in runs)
    if tiles > _MOST_TILES:
        detail = f"the series is made of {tiles} tiles: shorten the range, take wider steps or leave zone out"
        raise Problem.of_field("too-many-rows", "every", every.unit, f"at most {_MOST_TILES} tiles", detail)
    return runs


def compose(question: Question, evidence: Evidence, shown: Shown | None = None) -> dict[str, Any]:
    """The answer as it is rendered; `shown` spares work.

    Raises `Problem` if an open range turns out to have too many rows.
    """
    speed = evidence.speed
    rows = rows_of(question, evidence.batch, speed.buckets if speed else None, shown)
    return document(question, evidence, widened(question.view, rows, speed.persons if speed else None))


def document(question: Question, evidence: Evidence, rows: Any) -> dict[str, Any]:
    """An answer around its rows."""
    buckets = evidence.speed.buckets if evidence.speed else None
    return {
        "view": question.view.name,
        "key": dict(question.key),
        "from": _text(question.start, question.zone),
        "to": _text(question.end, question.zone),
        "every": question.every_name,
        "zone": question.zone,
        "rows": rows,
        **standing(evidence, question.view, uncorrected_in(question.view, _partials(buckets) or ())),
        "read": {"tiles": evidence.tiles, "fields": evidence.speed.fields if evidence.speed else 0},
    }


def uncorrected_in(view: CompiledView, speed: Iterable[Partial]) -> dict[str, int]:
    """The measures of an answer that hold events which were corrected, and how many, by its speed part."""
    found: dict[str, int] = {}
    for partial in speed:
        for name, events in view.uncorrected(partial).items():
            found[name] = found.get(name, 0) + events
    return found


def standing(evidence: Evidence, view: CompiledView, uncorrected: Mapping[str, int]) -> dict[str, Any]:
    """What an answer was read from, and what it vouches for.

    Measures that are not corrected yet, or that count by former persons, make it incomplete and leave `as_of`
    as it is: no event is missing.
    """
    speed, manifest = evidence.speed, evidence.snapshot.manifest
    until = "" if speed and speed.archive is not None else ", until the next publish"
    former = outdated(view, speed.persons if speed else None)
    behind = [*map(_uncorrected, uncorrected.items()), *map(_outdated, former)]
    reasons = [*evidence.reasons, *(reason + until for reason in behind)]
    return {
        "manifest": manifest and _manifest(manifest),
        "generation": speed.generation.id if speed and speed.generation else None,
        "as_of": iso(evidence.as_of),
        "complete": not reasons,
        "reasons": reasons,
        **({"identity": speed.persons.report()} if speed and speed.persons else {}),
    }


def _uncorrected(found: tuple[str, int]) -> str:
    name, events = found
    return f"{name} still holds what {events} events were before they were corrected"


def _outdated(name: str) -> str:
    return f"{name} counts by persons as they were before newer pairs of ids came"


def _manifest(manifest: Manifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "boundary": manifest.boundary,
        "offsets": offsets_to(manifest.offsets),
        "created_at": manifest.created_at,
        "mode": manifest.mode,
        **({"vouched": manifest.vouched} if manifest.vouched else {}),
        **({"losses": manifest.losses} if manifest.losses else {}),
    }


def rows_of(
    question: Question,
    batch: Sequence[Bucketed] | None,
    speed: Sequence[Bucketed] | None,
    shown: Shown | None,
) -> list[dict[str, Any]]:
    """A row for each step of the question, or one; None is a layer that has nothing to say."""
    every = question.every
    # rows of a series are many and seldom asked for again as they were
    presenter = Presenter(question.view, shown if every is None else None, question.zone)
    if every is None:
        left, right = _partials(batch), _partials(speed)
        return [presenter.row((question.start, question.end), left, right)]
    edges = _edges(question, every, [bucket for found in (batch, speed) for bucket, _ in found or ()])
    groups = [None if found is None else grouped(found, edges) for found in (batch, speed)]
    return [
        presenter.row(span, *(None if group is None else group.get(row, []) for group in groups))
        for row, span in enumerate(pairwise(edges))
    ]


def _partials(found: Sequence[Bucketed] | None) -> list[Partial] | None:
    return None if found is None else [partial for _, partial in found]


def grouped(found: Sequence[Bucketed], edges: Sequence[int]) -> dict[int, list[Partial]]:
    """Partials by the number of the row they belong to."""
    groups: dict[int, list[Partial]] = {}
    for bucket, partial in found:
        groups.setdefault(bisect_right(edges, bucket) - 1, []).append(partial)
    return groups


def _edges(question: Question, every: Periods, seen: Sequence[int], most: int = MAX_ROWS) -> tuple[int, ...]:
    """Where rows begin and end; where the range is open, from the first or to the last period seen."""
    if question.edges is not None:
        return question.edges
    if not seen:
        return ()
    start = max(EARLIEST, every.start(min(seen))) if question.start is None else question.start
    end = min(LATEST, every.end(max(seen))) if question.end is None else question.end
    return edges_within(every, question.view, start, end, most)


def _text(moment: int | None, zone: str) -> str | None:
    return None if moment is None else text_of(moment, zone)
