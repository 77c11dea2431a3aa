"""Answers: the batch part, of segments before the boundary, and the speed part, of the others, merged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.buckets import Run, ceil, floor, split, steps
from core.cuts import offsets_to
from core.handoff import doubts
from core.manifest import Manifest
from core.measures import Partial
from serving_layer.moments import text_of
from serving_layer.ports import Bucketed, Snapshot, SpeedReading
from serving_layer.presenting import Presenter, Shown
from serving_layer.questions import Question, check_rows
from serving_layer.rendering import iso

__all__ = ["Evidence", "compose", "rows_of", "runs_of", "standing"]

Grouped = dict[int | None, list[Partial]]


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
        progress = speed.progress and replace(speed.progress, floor=max(speed.floor, speed.progress.floor))
        return doubts(
            self.snapshot.manifest, self.semantics, speed.generation, progress, speed.lease, speed.stamps,
            condemned=speed.condemned,
        )  # fmt: skip

    @property
    def as_of(self) -> float | None:
        """The time up to which nothing acknowledged is missing; None where nobody vouches for one."""
        return self.speed.lease.as_of if self.speed and self.speed.lease and not self.reasons else None


def runs_of(question: Question) -> list[Run]:
    """The fewest tiles that make up the question's range, none of them across two rows."""
    widths = [width for width in question.view.tiles if not question.every or width <= question.every]
    return split(question.first, question.last, tuple(widths))


def compose(question: Question, evidence: Evidence, shown: Shown | None = None) -> dict[str, Any]:
    """The answer as it is rendered; `shown` spares work.

    Raises `Problem` if an open range turns out to have too many rows.
    """
    speed = evidence.speed
    return {
        "view": question.view.name,
        "key": dict(question.key),
        "from": _text(question.start),
        "to": _text(question.end),
        "every": question.every_name,
        "rows": rows_of(question, evidence.batch, speed.buckets if speed else None, shown),
        **standing(evidence),
        "read": {"tiles": evidence.tiles, "fields": speed.fields if speed else 0},
    }


def standing(evidence: Evidence) -> dict[str, Any]:
    """What an answer was read from, and what it vouches for."""
    speed, manifest, reasons = evidence.speed, evidence.snapshot.manifest, evidence.reasons
    return {
        "manifest": manifest and _manifest(manifest),
        "generation": speed.generation.id if speed and speed.generation else None,
        "as_of": iso(evidence.as_of),
        "complete": not reasons,
        "reasons": reasons,
    }


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
    presenter = Presenter(question.view, shown if every is None else None)
    left, right = _grouped(batch, every), _grouped(speed, every)
    if every is None:
        return [presenter.row((question.start, question.end), _of(left, None), _of(right, None))]
    rows = []
    for start, end in _steps(question, every, [*(left or ()), *(right or ())]):
        step = floor(start, every)
        rows.append(presenter.row((start, end), _of(left, step), _of(right, step)))
    return rows


def _grouped(found: Sequence[Bucketed] | None, every: int | None) -> Grouped | None:
    """Partials by the row they belong to; None for a layer that has nothing to say."""
    if found is None:
        return None
    groups: Grouped = {}
    for bucket, partial in found:
        groups.setdefault(floor(bucket, every) if every else None, []).append(partial)
    return groups


def _of(groups: Grouped | None, step: int | None) -> list[Partial] | None:
    return None if groups is None else groups.get(step, [])


def _steps(question: Question, every: int, seen: Sequence[int | None]) -> list[tuple[int, int]]:
    """The rows' ranges: every step; where the range is open, from the first or to the last one seen."""
    known = [step for step in seen if step is not None]
    if not known and (question.start is None or question.end is None):
        return []
    start = min(known) if question.start is None else question.start
    end = max(known) + every if question.end is None else question.end
    check_rows(floor(start, every), ceil(end, every), every)
    return list(steps(start, end, every))


def _text(moment: int | None) -> str | None:
    return None if moment is None else text_of(moment)
