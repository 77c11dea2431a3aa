"""Why a number is what it is: the definition, what each layer read and added, and the records behind it.

An explanation is an answer from which nothing was merged away: rows and parts are read at one moment.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.application import BoundSource
from core.buckets import Run, split
from core.cuts import Offsets
from core.manifest import Manifest
from core.measures import Partial
from core.semantics import SEMANTIC_VERSION
from serving_layer.answers import Evidence, compose, runs_of, runs_within
from serving_layer.asking import Desk
from serving_layer.events_behind import EventsBehind, Listing, positions
from serving_layer.moments import text_of
from serving_layer.past_desks import Moment, PastDesks
from serving_layer.person_fields import fields_of
from serving_layer.person_stores import keys_read
from serving_layer.ports import Index, Snapshot, SpeedReading, SpeedSilent, SpeedStore
from serving_layer.problems import Problem
from serving_layer.questions import Question
from serving_layer.rendering import iso
from serving_layer.speed_fields import Asked, Field, SpeedFields

__all__ = ["Explainer"]

_SHOWN = 1_000  # tiles and fields; a number that is made of more says how many there are
Tile = tuple[int, int, Partial]  # width, bucket, what it holds


@dataclass(frozen=True)
class _Seen(Evidence):
    """What both layers said, tile by tile and field by field, of `keys` of the version."""

    parts: Sequence[Tile] | None = None
    fields: Sequence[Field] | None = None
    keys: Sequence[str] = ()


@dataclass(frozen=True)
class Explainer:
    """Explains answers about the views of one source."""

    desk: Desk
    past: PastDesks
    fields: SpeedFields
    dedupe_window: int

    async def explain(self, question: Question, page: Listing) -> dict[str, Any]:
        """The answer as of now, and what it is made of. Raises `Problem` and `IndexBroken`."""
        seen = await self.desk.settled(question.view, partial(self._gather, question))
        manifest, speed = seen.snapshot.manifest, seen.speed or SpeedReading()
        until = _farther(manifest.offsets if manifest else {}, speed.progress.end if speed.progress else {})
        layers = {"batch": _batch(question, manifest, seen.parts), "speed": _speed(question, seen)}
        listed = await self._listed(question, seen, until, "speed", page)
        return {
            **compose(question, seen),
            "definition": self._definition(question),
            "layers": layers,
            **listed,
        }

    async def explain_past(self, moment: Moment, question: Question, page: Listing) -> dict[str, Any]:
        """The answer as of a moment of the past; `question` is about a view made by `repeatable`."""
        desk = self.past.desk(moment)
        seen = await desk.settled(question.view, partial(_gather_past, desk, question))
        added = seen.speed.buckets if seen.speed else None
        archive = {
            "positions": positions(moment.between.since, moment.between.until),
            **_shown("buckets", [_bucket(question, at, held) for at, held in added or ()]),
        }
        batch = _batch(question, moment.base.manifest, seen.parts)
        layers = {"batch": batch, "speed": None, "archive": archive}
        told = moment.tell(compose(question, seen))
        listed = await self._listed(question, seen, moment.between.until, "archive", page)
        return {**told, "definition": self._definition(question), "layers": layers, **listed}

    async def _gather(self, question: Question, snapshot: Snapshot, speed: SpeedStore) -> _Seen:
        asked = Asked(question.view, question.key_text, question.first, question.last, snapshot.boundary)
        silence, reading, fields = None, None, None
        try:
            reading, fields = await fields_of(self.fields, speed).read(asked)
        except SpeedSilent as error:
            silence = str(error)
        parts = _tiles(question, snapshot.index) if snapshot.index else None
        batch = None if parts is None else [(bucket, held) for _, bucket, held in parts]
        return _Seen(
            snapshot, self.desk.semantics, batch, reading, silence, len(parts or ()), parts, fields,
            keys_read(question.view, question.key_text, snapshot, speed),
        )  # fmt: skip

    def _definition(self, question: Question) -> dict[str, Any]:
        """The words and the code that the number follows."""
        bound: BoundSource = self.desk.bound
        meaning, contract = bound.meaning(self.dedupe_window), bound.contract
        return {
            "view": bound.definitions[question.view.name].meaning,
            "source": bound.source.name,
            "hash": meaning.definitions[question.view.name],
            "semantics": meaning.semantics,
            "contract": {"name": contract.name, "version": contract.version, "fingerprint": meaning.contract},
            "dedupe_window": self.dedupe_window,
            "code": SEMANTIC_VERSION,
        }

    async def _listed(
        self, question: Question, seen: _Seen, until: Offsets, newer: str, page: Listing
    ) -> dict[str, Any]:
        """The events behind the number, as far as they are archived; why not, where they cannot be listed."""
        stand = await asyncio.to_thread(self.past.master.look)
        below = {p: min(end, stand.end.get(p, 0)) for p, end in until.items()}
        base = seen.snapshot
        behind = EventsBehind(
            self.desk.bound, self.past.events, stand, self.past.cuts.all(), base, below, newer
        )
        span = (question.first, question.last)
        missing: dict[str, Any] = {"not_archived": positions(below, until), "archived_from": None}
        if missing["not_archived"]:
            missing["archived_from"] = iso(self.past.due(stand))
        try:
            async with self.past.turn:
                found = await asyncio.to_thread(behind.list, question.view, seen.keys, span, page)
        except Problem as problem:
            if problem.kind not in ("too-many-records", "not-evaluable"):
                raise
            return {"events": None, "cursor": None, "found": None, "unlisted": problem.detail, **missing}
        return {**found, "unlisted": None, **missing}


async def _gather_past(desk: Desk, question: Question, snapshot: Snapshot, speed: SpeedStore) -> _Seen:
    found = await desk.gather(question, runs_of(question), snapshot, speed)
    parts = _tiles(question, snapshot.index) if snapshot.index else None
    keys = keys_read(question.view, question.key_text, snapshot, speed)
    return _Seen(
        snapshot, found.semantics, found.batch, found.speed, found.silence, found.tiles, parts, keys=keys
    )


def _farther(left: Offsets, right: Offsets) -> dict[int, int]:
    return {p: max(left.get(p, 0), right.get(p, 0)) for p in {*left, *right}}


def _tiles(question: Question, index: Index) -> list[Tile]:
    view, key, runs = question.view, question.key_text, runs_of(question)
    if question.open_in_zone:
        seen = index.read(view, key, split(question.first, question.last, view.tiles))
        runs = runs_within(question, seen)
    return [tile for run in runs for tile in _run(question, index, key, run)]


def _run(question: Question, index: Index, key: str, run: Run) -> list[Tile]:
    return [(run.width, bucket, held) for bucket, held in index.read(question.view, key, [run])]


def _batch(
    question: Question, manifest: Manifest | None, tiles: Sequence[Tile] | None
) -> dict[str, Any] | None:
    if manifest is None:
        return None
    shown = [{"width": width, **_bucket(question, at, held)} for width, at, held in tiles or ()]
    return {
        "version": manifest.version,
        "boundary": manifest.boundary,
        "mode": manifest.mode,
        "semantics": manifest.semantics,
        "archive_version": manifest.archive_version,
        "created_at": manifest.created_at,
        "positions": positions({}, manifest.offsets),
        **_shown("tiles", shown),
    }


def _speed(question: Question, seen: _Seen) -> dict[str, Any] | None:
    reading, boundary = seen.speed, seen.snapshot.manifest.offsets if seen.snapshot.manifest else {}
    if reading is None or reading.generation is None:
        return None
    fields = [
        {"segment": field.segment, **_bucket(question, field.bucket, field.partial)}
        for field in seen.fields or ()
    ]
    return {
        "generation": reading.generation.id,
        "start_cut": reading.generation.start_cut,
        "semantics": reading.generation.semantics,
        "from_segment": seen.snapshot.boundary,
        "batch": reading.progress.batch if reading.progress else None,
        "positions": positions(boundary, reading.progress.end if reading.progress else {}),
        **_shown("fields", fields),
    }


def _bucket(question: Question, bucket: int, held: Partial) -> dict[str, Any]:
    return {"bucket": text_of(bucket), "measures": question.view.present(held)}


def _shown(name: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: list(parts[:_SHOWN]), "count": len(parts)}
