"""What a platform is made of."""

from dataclasses import dataclass

from core.manifest import Publications
from tests.model.batch import Batch
from tests.model.reader import Reader
from tests.model.speed import Speed
from tests.model.world import World


@dataclass(frozen=True)
class Parts:
    """A planted variant replaces some of it, and another kind of event all that it touches."""

    speed: type[Speed] = Speed
    batch: type[Batch] = Batch
    reader: type[Reader] = Reader
    publications: type[Publications] = Publications
    world: type[World] = World
