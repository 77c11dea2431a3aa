"""The batch job: archive the log, recompute below a boundary, check the speed state, publish."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from core.cuts import Cut, Offsets, reaches, segment_of
from core.errors import BoundaryError, EntryTaken, ForeignLog, PositionError
from core.handoff import check_abutting, check_same_log, choose_boundary
from core.losses import Gap, gaps, require_accepted, unaccepted
from core.manifest import Manifest, Pointer
from tests.model.equality import Check
from tests.model.versions import ModelVersions
from tests.model.world import SOURCE, Made, Range, Record, World, resolved

Rows = Sequence[tuple[Range, list[Record]]]


class Batch:
    check = Check

    def __init__(self, world: World) -> None:
        self.world = world
        self.versions = ModelVersions(world)

    def archive(self, archiver: str, appetite: int) -> None:
        """One commit of the archive, whole or absent, from where the master dataset itself says it ends.

        Raises `PositionError` if the log dropped records before, and `ForeignLog` for another log.
        """
        self.check_log()
        start = self.archives_from(archiver)
        self.check_kept(start)
        end = self.world.after(start, appetite)
        if end != start:
            self.world.archive.append(((start, end), list(self.world.read(start, end))))

    def archives_from(self, archiver: str) -> dict[int, int]:
        return self.world.archived()

    def check_log(self) -> None:
        known, found = self.world.losses.known(), self.world.identity
        if known:
            check_same_log(known, (found.cluster, found.topic_id), found.topic)

    def check_kept(self, start: Offsets) -> None:
        require_accepted(self.gaps(start), self.world.losses.accepted())

    def gaps(self, archived: Offsets) -> list[Gap]:
        begin = {partition: self.world.begin(partition) for partition in self.world.ends()}
        return gaps(self.world.losses.origin(self.world.identity, begin) | dict(archived), begin)

    def accept_losses(self) -> None:
        """An operator gives up what the log dropped: the archive goes on behind it, and manifests say so."""
        lost = unaccepted(self.gaps(self.world.archived()), self.world.losses.accepted())
        self.world.losses.accept(lost, str(self.world.now), "by the test")

    def run(self, appetite: int, force: bool = False) -> Iterator[None]:
        """One run. A run that finds itself overtaken gives up; whoever overtook it has published.

        While an operator holds readers back, only a forced run publishes.
        """
        try:
            if force or not self.versions.held():
                yield from self.publish(appetite)
        except (EntryTaken, BoundaryError, PositionError, ForeignLog):
            return

    def publish(self, appetite: int) -> Iterator[None]:
        semantics, aliases = self.world.semantics, dict(self.world.aliases)
        parent = self.world.publications.current()
        self.archive("drain", appetite)
        yield
        self.cut_without_a_leader()
        yield
        pinned, cuts = list(self.world.archive), self.world.cuts.all()
        self.check_chunks(pinned)
        boundary = self.boundary(cuts, self.world.archived(), parent.boundary if parent else 0)
        made = self.recompute(pinned, boundary, semantics, aliases)
        yield
        version = self.world.publications.next_version()
        manifest = self.manifest(version, boundary, pinned, semantics, aliases)
        manifest = self.described(manifest, made, parent)
        self.world.publications.manifests.append(version, manifest.entry())
        self.world.tables[version] = made
        yield
        yield from self.check(self.world).before(manifest, parent, list(below(pinned, boundary)))
        self.point(manifest, parent)
        self.versions.clean()

    def cut_without_a_leader(self) -> None:
        """At or beyond all that the last leader intended, so that what it wrote keeps its segment."""
        redis, archived = self.world.redis, self.world.archived()
        intent = redis.intent(redis.writing)
        if redis.writing not in redis.leases and (intent is None or reaches(archived, intent.end)):
            try:
                self.world.cuts.make(archived, "batch")
            except (EntryTaken, PositionError):
                return

    def check_chunks(self, pinned: Rows) -> None:
        check_abutting([chunk for chunk, _ in pinned])

    def boundary(self, cuts: Sequence[Cut], archived: Offsets, at_least: int) -> Cut:
        return choose_boundary(cuts, archived, at_least)

    def recompute(self, pinned: Rows, boundary: Cut, semantics: int, aliases: Mapping[str, str]) -> Made:
        """Every view from all records below the boundary."""
        found = [
            (resolved(place, aliases), partial)
            for _, record in self.firsts(pinned, boundary, semantics)
            for place, partial in self.world.lifted(record, semantics)
        ]
        return Made(self.world.fold(found))

    def firsts(self, pinned: Rows, boundary: Cut, semantics: int) -> list[tuple[int, Record]]:
        valid = [record for record in below(pinned, boundary) if self.counts(record, semantics)]
        return firsts(valid, self.world.cuts.all())

    def counts(self, record: Record, semantics: int) -> bool:
        """By the contract of today, whatever was found when it was archived."""
        return record.counts(semantics)

    def manifest(
        self, version: int, boundary: Cut, pinned: Rows, semantics: int, aliases: Mapping[str, str]
    ) -> Manifest:
        cluster, topic = self.world.losses.known() or ("", "")
        return Manifest(
            version,
            SOURCE.name,
            boundary.number,
            boundary.offsets,
            cluster,
            topic,
            len(pinned),
            str(semantics),
            str(self.world.now),
            counts={"read": sum(1 for _ in below(pinned, boundary))},
            losses=self.world.losses.below(boundary.offsets),
            origin={"aliases": dict(aliases)},
        )

    def described(self, manifest: Manifest, made: Made, parent: Pointer | None) -> Manifest:
        """With what there is to say of the rows."""
        return manifest

    def point(self, manifest: Manifest, parent: Pointer | None) -> None:
        self.world.publications.publish(manifest, parent, "publish", str(self.world.now))


def below(pinned: Rows, boundary: Cut) -> Iterator[Record]:
    for _, rows in pinned:
        yield from (record for record in rows if record.offset < boundary.offset(record.partition))


def firsts(valid: Iterable[Record], cuts: Sequence[Cut]) -> list[tuple[int, Record]]:
    """The first copy of each event by segment and position, with its segment, in that order."""
    first: dict[str, tuple[int, Record]] = {}
    rows = [(segment_of(*record.position, cuts), record.position, record) for record in valid]
    for segment, _, record in sorted(rows, key=lambda row: row[:2]):
        first.setdefault(record.event_id, (segment, record))
    return list(first.values())
