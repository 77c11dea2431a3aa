"""Versions: the real moves of readers, over tables that live in memory."""

from contextlib import AbstractContextManager, nullcontext

from core.versions import Versions
from tests.model.world import World

KEPT = 2


class ModelVersions(Versions):
    def __init__(self, world: World) -> None:
        self.world, self._publications = world, world.publications

    def retained(self) -> list[int]:
        return [version for version, _ in self._find(sorted(self.world.tables))]

    def lease(self) -> AbstractContextManager[None]:
        """Moves are one step here."""
        return nullcontext()

    def clean(self) -> None:
        """Remove what was published and is needed no more; what a run is about to publish stays."""
        for version in set(self.retained()) - self.needed(KEPT):
            del self.world.tables[version]
