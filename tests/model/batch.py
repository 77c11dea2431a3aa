"""The batch job: archive the log, recompute below a boundary, publish."""

from collections.abc import Iterator, Sequence

from core.cuts import Cut, Offsets, reaches, segment_of
from core.errors import BoundaryError, EntryTaken, PositionError
from core.handoff import check_abutting, choose_boundary
from core.manifest import Manifest, Pointer
from core.measures import Partial
from tests.model.world import SOURCE, Field, Range, Record, World, fold

Rows = Sequence[tuple[Range, list[Record]]]


class Batch:
    def __init__(self, world: World) -> None:
        self.world = world

    def archive(self, archiver: str, appetite: int) -> None:
        """One commit of the archive, whole or absent, from where the master dataset itself says it ends."""
        start = self.archives_from(archiver)
        end = self.world.after(start, appetite)
        if end != start:
            self.world.archive.append(((start, end), list(self.world.read(start, end))))

    def archives_from(self, archiver: str) -> dict[int, int]:
        return self.world.archived()

    def run(self, appetite: int) -> Iterator[None]:
        """One run. A run that finds itself overtaken gives up; whoever overtook it has published."""
        semantics = self.world.semantics
        parent = self.world.publications.current()
        self.archive("drain", appetite)
        yield
        self.cut_without_a_leader()
        yield
        pinned, cuts = list(self.world.archive), self.world.cuts.all()
        self.check(pinned)
        boundary = self.boundary(cuts, self.world.archived(), parent.boundary if parent else 0)
        table = self.recompute(pinned, boundary, semantics)
        yield
        version = self.world.publications.next_version()
        manifest = self.manifest(version, boundary, pinned, semantics)
        try:
            self.world.publications.manifests.append(version, manifest.entry())
            self.world.tables[version] = table
            yield
            self.point(manifest, parent, "publish")
        except (EntryTaken, BoundaryError):
            return

    def cut_without_a_leader(self) -> None:
        """At or beyond all that the last leader intended, so that what it wrote keeps its segment."""
        redis, archived = self.world.redis, self.world.archived()
        intents = [redis.intent(name) for name in redis.intents]
        if not redis.leases and all(reaches(archived, intent.end) for intent in intents if intent):
            try:
                self.world.cuts.make(archived, "batch")
            except (EntryTaken, PositionError):
                return

    def check(self, pinned: Rows) -> None:
        check_abutting([chunk for chunk, _ in pinned])

    def boundary(self, cuts: Sequence[Cut], archived: Offsets, at_least: int) -> Cut:
        return choose_boundary(cuts, archived, at_least)

    def recompute(self, pinned: Rows, boundary: Cut, semantics: int) -> dict[Field, Partial]:
        """Every view from all records below the boundary: the first valid copy by segment and position."""
        cuts = self.world.cuts.all()
        first: dict[str, Record] = {}
        rows = [(segment_of(*row.position, cuts), row.position, row) for row in below(pinned, boundary)]
        for _, _, record in sorted(rows, key=lambda row: row[:2]):
            if record.valid:
                first.setdefault(record.event_id, record)
        return fold((record.field, record.partial(semantics)) for record in first.values())

    def manifest(self, version: int, boundary: Cut, pinned: Rows, semantics: int) -> Manifest:
        read = sum(1 for _ in below(pinned, boundary))
        return Manifest(
            version,
            SOURCE.name,
            boundary.number,
            boundary.offsets,
            "cluster",
            "topic",
            len(pinned),
            str(semantics),
            str(self.world.now),
            counts={"read": read},
        )

    def point(self, manifest: Manifest, parent: Pointer | None, kind: str) -> None:
        self.world.publications.publish(manifest, parent, kind, str(self.world.now))

    def roll_back(self, version: int) -> None:
        """An operator points readers at an older version."""
        manifest = self.world.publications.manifest(version)
        self.point(manifest, self.world.publications.current(), "rollback")


def below(pinned: Rows, boundary: Cut) -> Iterator[Record]:
    for _, rows in pinned:
        yield from (record for record in rows if record.offset < boundary.offset(record.partition))
