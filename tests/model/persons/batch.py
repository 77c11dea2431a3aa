"""The batch job where events say which ids are one person: it resolves all pairs below a boundary."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.cuts import Cut
from core.errors import EntryTaken
from core.groups import Pair, resolution, standing
from core.handoff import Generation
from core.manifest import Manifest, Pointer
from core.resolutions import Alone, Resolution, Resolved, changes
from core.standing import Standing
from tests.model.batch import Batch, Rows
from tests.model.counting import Added
from tests.model.equality import Check
from tests.model.persons.people import Visit, lifted, people_of, visit_of
from tests.model.world import Made, Record

Placed = tuple[int, Visit]


@dataclass(frozen=True)
class Resolving(Made):
    """A version with its persons; the content hash of nobody is empty."""

    persons: Resolved = field(default_factory=lambda: Resolved({}))

    @property
    def content(self) -> str:
        return ",".join(f"{id_}={person}" for id_, person in sorted(self.persons))


def made_of(made: Made) -> Resolving:
    assert isinstance(made, Resolving)
    return made


class PersonCheck(Check):
    def objection(
        self, standing: Standing | None, manifest: Manifest, start: int, boundary: Cut
    ) -> str | None:
        told = super().objection(standing, manifest, start, boundary)
        if told is None and standing and self.counted_by(standing.generation) is None:
            return "the resolution by which the generation counts is gone"
        return told

    def counted_by(self, generation: Generation) -> Resolution | None:
        content = generation.resolution
        return people_of(self.world).kept.get(content) if content else Alone()

    def added(self, generation: Generation, start: int, records: list[Record]) -> Iterator[Added]:
        persons = self.counted_by(generation)
        assert persons is not None
        for segment, record, _ in self.counted(generation, records, self.world.cuts.all()):
            for added in lifted(record, segment, persons, int(generation.semantics)):
                yield segment, *added


class PersonBatch(Batch):
    check: type[Check] = PersonCheck

    def recompute(self, pinned: Rows, boundary: Cut, semantics: int, aliases: Mapping[str, str]) -> Made:
        visits = [(segment, visit_of(one)) for segment, one in self.firsts(pinned, boundary, semantics)]
        persons = Resolved(self.persons(self.standing(visits)))
        added = [one for segment, visit in visits for one in lifted(visit, segment, persons, semantics)]
        return Resolving(self.world.fold(added), persons)

    def standing(self, visits: Sequence[Placed]) -> list[Pair]:
        return standing((*visit.pair, visit.word(segment)) for segment, visit in visits if visit.pair)

    def persons(self, pairs: Sequence[Pair]) -> Mapping[str, str]:
        return resolution(pairs)

    def described(self, manifest: Manifest, made: Made, parent: Pointer | None) -> Manifest:
        now, before = made_of(made), self.before(parent)
        found = changes(before.persons, now.persons)
        entry = {
            "hash": now.content,
            "from": before.content,
            "changed": found.changed,
            "parted": found.parted,
        }
        return replace(manifest, identity=entry)

    def before(self, parent: Pointer | None) -> Resolving:
        if parent is None:
            return Resolving({})
        if parent.version not in self.world.tables:
            raise EntryTaken("the version that readers used is gone: another run was faster")
        return made_of(self.world.tables[parent.version])
