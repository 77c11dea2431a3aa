"""The platform as a whole, what can happen to it, and what must hold whatever happens."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from core.manifest import Publications
from tests.model.batch import Batch
from tests.model.reader import Answer, Reader
from tests.model.speed import Speed
from tests.model.world import Counts, Record, World

ALL = 1000
DIGITS = 30


@dataclass(frozen=True)
class Parts:
    """What a platform is made of; a planted variant replaces some of it."""

    speed: type[Speed] = Speed
    batch: type[Batch] = Batch
    reader: type[Reader] = Reader
    publications: type[Publications] = Publications


class Platform:
    def __init__(self, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        self.world = World(self.parts.publications)
        self.speed, self.batch = self.parts.speed(self.world), self.parts.batch(self.world)
        self.readers = [self.parts.reader(self.world) for _ in range(2)]
        self.job: Iterator[None] | None = None
        self.runs: list[Iterator[None] | None] = [None, None]
        self.queries: list[Iterator[None] | None] = [None, None]
        self.sent = 0

    # --- events -------------------------------------------------------------------------------------------

    def send(self, partition: int = 0, key: str = "a", bucket: int = 0, valid: bool = True) -> Record:
        """Each amount is a digit of its own, so that a sum tells which events it holds, and how often."""
        self.sent += 1
        name, place = f"e{self.sent}", partition % len(self.world.log)
        return self.world.send(place, name, key, bucket, 10 ** (self.sent % DIGITS), valid)

    def send_again(self, record: Record) -> None:
        """A copy; the producer's key puts it on the partition of the first."""
        r = record
        self.world.send(r.partition, r.event_id, r.key, r.bucket, r.amount, r.valid)

    # --- the speed job ------------------------------------------------------------------------------------

    def run_speed(self, appetite: int = ALL, rounds: int = 1) -> None:
        self.job = None
        for _ in range(rounds):
            list(self.speed.work(appetite))

    def step_speed(self, count: int, appetite: int = ALL) -> None:
        """Take some steps of a round, and stand still there."""
        self.job = advance(self.job or self.speed.work(appetite), count)

    def kill_speed(self) -> None:
        self.job = None

    def tear_checkpoint(self, commits: int = 0) -> None:
        """What was planned and not committed is lost; or a checkpoint older by some commits comes back."""
        self.kill_speed()
        if checkpoint := self.world.checkpoints.get(self.world.redis.writing or ""):
            checkpoint.committed = max(-1, checkpoint.committed - commits)
            for batch in [batch for batch in checkpoint.planned if batch > checkpoint.committed]:
                del checkpoint.planned[batch]

    def expire_leases(self) -> None:
        self.world.redis.leases.clear()

    def save_shard(self, shard: int = 0) -> None:
        self.world.redis.save(self.world.redis.writing, shard)

    def rewind_shard(self, shard: int = 0) -> None:
        """The newest snapshot of a shard comes back."""
        self.world.redis.rewind(shard)

    def remove_old_generations(self) -> None:
        current = self.world.redis.current
        for name in [name for name in self.world.redis.meta if current and int(name[1:]) < int(current[1:])]:
            self.world.redis.forget(name)

    # --- the batch job ------------------------------------------------------------------------------------

    def archive(self, appetite: int = ALL) -> None:
        self.batch.archive("long-running", appetite)

    def publish(self, appetite: int = ALL) -> None:
        list(self.batch.run(appetite))

    def step_batch(self, which: int, count: int, appetite: int = ALL) -> None:
        self.runs[which] = advance(self.runs[which] or self.batch.run(appetite), count)

    def kill_batch(self, which: int) -> None:
        self.runs[which] = None

    def roll_back(self, which: int = 0) -> None:
        versions = sorted(self.world.tables)
        if versions:
            self.batch.roll_back(versions[which % len(versions)])

    def change_definitions(self) -> None:
        """Both jobs load definitions when they start."""
        self.kill_speed()
        self.world.semantics += 1

    # --- answers ------------------------------------------------------------------------------------------

    def ask(self) -> Answer:
        reader = self.parts.reader(self.world)
        list(reader.ask())
        return self.checked(reader.answer)

    def step_query(self, which: int, count: int) -> None:
        self.queries[which] = advance(self.queries[which] or self.readers[which].ask(), count)
        if self.queries[which] is None:
            self.checked(self.readers[which].answer)

    def checked(self, answer: Answer | None) -> Answer:
        assert answer is not None
        if not answer.reasons:
            found, semantics = spelled(answer.counts, answer.semantics), answer.semantics
            least = spelled(self.world.truth(semantics, answer.as_of), semantics)
            assert least <= found, f"events before {answer.as_of} are missing"
            assert found <= spelled(self.world.truth(semantics), semantics), "counted twice, or never sent"
        return answer

    def rest(self) -> None:
        """Let all go on without a fault: answers become complete and exact, whether or not one publishes."""
        self.runs = [None, None]
        self.run_speed(rounds=8)
        self.publish()
        self.run_speed(rounds=8)
        self.exact()
        self.publish()
        self.exact()

    def exact(self) -> None:
        answer = self.ask()
        assert not answer.reasons, answer.reasons
        assert answer.as_of == self.world.now
        assert answer.counts == self.world.truth(self.world.semantics)

    # --- what holds at every step -------------------------------------------------------------------------

    def check(self) -> None:
        self.boundary_falls_only_by_a_roll_back()
        self.manifests_read_each_position_once()
        self.every_field_can_be_dropped()

    def boundary_falls_only_by_a_roll_back(self) -> None:
        publications = self.world.publications
        pointers = [publications.pointer(number) for number in publications.pointers.numbers()]
        for before, after in pairwise(pointers):
            assert after.kind == "rollback" or after.boundary >= before.boundary, "the boundary fell"

    def manifests_read_each_position_once(self) -> None:
        for version in self.world.publications.manifests.numbers():
            manifest = self.world.publications.manifest(version)
            assert manifest.counts["read"] == sum(manifest.offsets.values()), "a hole, or a position twice"

    def every_field_can_be_dropped(self) -> None:
        for shard in [shard for shards in self.world.redis.shards.values() for shard in shards]:
            assert all(name in shard.touched.get(name[1], ()) for name in shard.fields), "a field leaks"


def spelled(counts: Counts, semantics: int) -> Counts:
    """How often each event is in an answer, read off the digits of its sums."""
    found: Counts = Counter()
    for (key, bucket, measure), number in counts.items():
        if measure == "total":
            assert number % semantics == 0, "a sum of two definitions"
            for place, digit in enumerate(reversed(str(number // semantics))):
                found[(key, bucket, f"{measure} {place}")] = int(digit)
        else:
            found[(key, bucket, measure)] = number
    return found


def advance(process: Iterator[None], count: int) -> Iterator[None] | None:
    """Take some steps; None once it has ended."""
    for _ in range(count):
        try:
            next(process)
        except StopIteration:
            return None
    return process
