"""Generations of speed state: how one begins, and how far each has come."""

from collections.abc import Iterator

from core.cuts import Cut
from core.errors import StateLost
from core.handoff import Generation, Progress, check_same_log
from speed_layer.generations import Wanted, beginning
from tests.model.counting import Counting
from tests.model.redis import Shard
from tests.model.world import SHARDS, SOURCE, Checkpoint


class Generations(Counting):
    """Of both kinds: the one that leads, and the one that is rebuilt beside it."""

    shard = Shard

    def generation(self, name: str | None) -> Generation:
        self.check_log()
        found = self.redis.generation(name)
        if found is None or found.semantics != str(self.world.semantics):
            raise StateLost("no generation of these definitions")
        return found

    def check_log(self) -> None:
        manifest, found = self.world.publications.resolve(), self.world.identity
        if manifest:
            archived = (manifest.cluster_id, manifest.topic_id)
            check_same_log(archived, (found.cluster, found.topic_id), found.topic)

    def begin(self, beside: bool = False) -> Iterator[None]:
        """Start a generation at the boundary; the old one goes on answering until this one has caught up."""
        generation, progress = self.beginning(f"g{len(self.world.checkpoints)}")
        name = generation.id
        self.world.checkpoints[name] = Checkpoint(dict(progress.end))
        self.redis.meta[name] = generation.to_json()
        self.redis.shards[name] = [self.shard(stamp=-1, floor=generation.start_cut) for _ in range(SHARDS)]
        yield
        self.redis.progresses[name] = progress.to_json()
        yield
        if beside:
            self.redis.following = name
        else:
            self.redis.writing, self.redis.following = name, None

    def ends_of(self, cut: Cut) -> dict[int, int]:
        return {partition: cut.offset(partition) for partition in self.world.ends()}

    def beginning(self, name: str) -> tuple[Generation, Progress]:
        manifest, identity = self.world.publications.resolve(), self.world.identity
        begins = {partition: self.world.begin(partition) for partition in self.world.ends()}
        wanted = Wanted(
            SOURCE.name, str(self.world.semantics), SHARDS, self.world.window, identity,
            manifest.boundary if manifest else 0, self.world.losses.origin(identity, begins),
            manifest.resolution if manifest else "", manifest.version if manifest else 0,
        )  # fmt: skip
        return beginning(wanted, name, self.world.cuts.all(), begins)

    def progress(self, generation: Generation) -> Progress:
        found = self.redis.progress(generation.id)
        if found is None:
            raise StateLost("no progress")
        return found

    def store(self, generation: Generation, progress: Progress) -> None:
        self.redis.progresses[generation.id] = progress.to_json()
