"""The speed job where events say which ids are one person: a generation counts by one resolution."""

from collections.abc import Iterator

from core.errors import StateLost
from core.handoff import Generation, Progress
from core.measures import Partial
from core.rebuilds import RebuildRequest
from core.resolutions import Alone, Resolution
from tests.model.persons.batch import made_of
from tests.model.persons.people import lifted, people_of
from tests.model.speed import Speed
from tests.model.world import Field, Record


class PersonSpeed(Speed):
    def generation(self, name: str | None) -> Generation:
        found = super().generation(name)
        self.counted_by(found)
        return found

    def counted_by(self, generation: Generation) -> Resolution:
        content, kept = generation.resolution, people_of(self.world).kept
        if content and content not in kept:
            raise StateLost("the resolution of ids by which it counts is gone")
        return kept[content] if content else Alone()

    def lifted(self, generation: Generation, segment: int, record: Record) -> Iterator[tuple[Field, Partial]]:
        return lifted(record, segment, self.counted_by(generation), self.world.semantics)

    def beginning(self, name: str) -> tuple[Generation, Progress]:
        generation, progress = super().beginning(name)
        self.keep(generation.resolution)
        return generation, progress

    def keep(self, content: str) -> None:
        """A copy of the resolution of readers' version; those that no generation counts by are removed."""
        manifest, kept = self.world.publications.resolve(), people_of(self.world).kept
        used = [
            self.redis.generation(name)
            for name in (self.redis.current, self.redis.writing, self.redis.following)
        ]
        needed = {content, *(generation.resolution for generation in used if generation)}
        for old in kept.keys() - needed:
            del kept[old]
        if content and manifest:
            kept.setdefault(content, made_of(self.world.tables[manifest.version]).persons)

    def requested(self) -> RebuildRequest | None:
        return super().requested() or self.own_request()

    def own_request(self) -> RebuildRequest | None:
        """Where a publish says that other ids are one person than those by which the leader counts."""
        manifest, leader = self.world.publications.resolve(), self.redis.generation(self.redis.writing)
        wanted = manifest.resolution if manifest else ""
        if leader is None or leader.resolution == wanted or leader.id != self.redis.current:
            return None
        self.redis.rebuild = RebuildRequest(leader.id, "a publish says that other ids are one person")
        return self.redis.rebuild
