"""A question answered: one publish for the whole request, and a speed state that holds what it needs."""

from dataclasses import dataclass

from core.application import BoundSource
from core.buckets import Run
from serving_layer.answers import Evidence, runs_of
from serving_layer.ports import Bucketed, Snapshot, SpeedReading, SpeedSilent, SpeedStore, Versions
from serving_layer.questions import Question

__all__ = ["Desk"]

_TRIES = 3


@dataclass(frozen=True)
class Desk:
    """Answers questions about the views of one source."""

    bound: BoundSource
    semantics: str
    versions: Versions
    speed: SpeedStore

    async def ask(self, question: Question) -> Evidence:
        """What both layers say. Raises `IndexBroken` where the batch part cannot be read."""
        runs, snapshot = runs_of(question), self.versions.current()
        for _ in range(_TRIES):
            evidence = await self._gather(question, runs, snapshot)
            if evidence.speed is None or evidence.speed.floor <= snapshot.boundary:
                return evidence
            # the speed layer dropped what a newer publish covers: that publish is what we must read
            newer = await self.versions.renew()
            if newer.boundary <= snapshot.boundary:
                return evidence
            snapshot = newer
        return evidence

    async def _gather(self, question: Question, runs: list[Run], snapshot: Snapshot) -> Evidence:
        reading, silence = await self._speed(question, snapshot.boundary)
        return Evidence(snapshot, self.semantics, _batch(question, runs, snapshot), reading, silence)

    async def _speed(self, question: Question, boundary: int) -> tuple[SpeedReading | None, str | None]:
        span = (question.first, question.last)
        try:
            return await self.speed.read(
                question.view, question.key_text, span, boundary, question.every
            ), None
        except SpeedSilent as error:
            return None, str(error)


def _batch(question: Question, runs: list[Run], snapshot: Snapshot) -> list[Bucketed] | None:
    return snapshot.index.read(question.view, question.key_text, runs) if snapshot.index else None
