"""The platform as a whole, what can happen to it, and what must hold whatever happens."""

from collections.abc import Iterator
from contextlib import suppress

from core.errors import ForeignLog, PositionError, VersionRefused
from core.layout import seal, unseal
from core.rebuilds import RebuildRequest
from tests.model.invariants import holds, spelled
from tests.model.parts import Parts
from tests.model.reader import Answer, aliases_of
from tests.model.speed import CUT_INTERVAL
from tests.model.world import Counts, Record, plainly

Process = Iterator[None] | None
ALL = 1000
DIGITS = 30


class Platform:
    joins_names = True  # two keys may become one
    loses_events = True  # the log may drop what was not archived

    def __init__(self, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        self.world = self.parts.world(self.parts.publications)
        self.speed, self.batch = self.parts.speed(self.world), self.parts.batch(self.world)
        self.readers = [self.parts.reader(self.world) for _ in range(2)]
        self.job: Process = None
        self.runs: list[Iterator[None] | None] = [None, None]
        self.queries: list[Iterator[None] | None] = [None, None]
        self.pursuit: Process = None
        self.sent = 0

    # --- events -------------------------------------------------------------------------------------------

    def send(
        self, partition: int = 0, key: str = "a", bucket: int = 0, valid: bool = True, heals: bool = False
    ) -> Record:
        """Each amount is a digit of its own, so that a sum tells which events it holds, and how often."""
        self.sent += 1
        place, amount = partition % len(self.world.log), 10 ** (self.sent % DIGITS)
        return self.world.send(Record(place, 0, 0, f"e{self.sent}", key, bucket, amount, valid, heals))

    def send_again(self, record: Record) -> None:
        """A copy; the producer's key puts it on the partition of the first."""
        self.world.send(record)

    def copied(self) -> list[Record]:
        """Records that may be sent again: those that the log still has."""
        return [r for records in self.world.log for r in records if r.offset >= self.world.begin(r.partition)]

    def join_names(self) -> None:
        """From the next recompute on, two keys are one person's."""
        self.world.aliases = {"a": "c", "b": "c"}

    # --- the log ------------------------------------------------------------------------------------------

    def drop_records(self, partition: int, count: int) -> None:
        """Retention takes records of a log that was looked at, but none whose copy is still to be read."""
        place = partition % len(self.world.log)
        if self.world.losses.known() is None:
            return
        records, begin = self.world.log[place], self.world.begin(place)
        last = len(records) if self.loses_events else self.world.archived().get(place, 0)
        for record in records[begin : min(last, begin + count)]:
            if any(copy.event_id == record.event_id for copy in records[record.offset + 1 :]):
                return
            self.world.begins[place] = record.offset + 1

    def accept_losses(self) -> None:
        with suppress(ForeignLog):
            self.batch.accept_losses()

    def make_the_log_anew(self) -> None:
        """The topic is deleted and made again under its name."""
        self.world.topic += 1
        self.world.log, self.world.begins = [[], []], {}

    # --- the speed job ------------------------------------------------------------------------------------

    def run_speed(self, appetite: int = ALL, rounds: int = 1) -> None:
        self.kill_speed()
        for _ in range(rounds):
            list(self.speed.work(appetite))
            list(self.speed.follow(appetite))

    def step_speed(self, count: int, appetite: int = ALL) -> None:
        """Take some steps of a round, and stand still there."""
        self.job = advance(self.job or self.speed.work(appetite), count)

    def step_rebuild(self, count: int, appetite: int = ALL) -> None:
        """The same of the generation that is rebuilt beside the leader, by the same process."""
        self.pursuit = advance(self.pursuit or self.speed.follow(appetite), count)

    def ask_for_a_rebuild(self) -> None:
        if self.world.redis.writing:
            self.world.redis.rebuild = RebuildRequest(self.world.redis.writing, "an operator asked")

    def kill_speed(self) -> None:
        """What comes after it remembers nothing."""
        self.job = self.pursuit = None
        self.speed = self.parts.speed(self.world)

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
        redis = self.world.redis
        for name in set(redis.meta) - {redis.current, redis.writing, redis.following}:
            redis.forget(name)

    def corrupt(self, which: int = 0) -> None:
        """A field of the state that readers use changes by itself."""
        shards = self.world.redis.shards[self.world.redis.current or ""]
        places = [(shard, name) for shard in shards for name in sorted(shard.fields)]
        shard, name = places[which % len(places)]
        batch, packed = unseal(shard.fields[name])
        view = self.world.views[name.view]
        partial = view.codec.unpack(packed)
        shard.fields[name] = seal(batch, view.codec.pack(view.merge(partial, partial)))

    # --- the batch job ------------------------------------------------------------------------------------

    def archive(self, appetite: int = ALL) -> None:
        with suppress(PositionError, ForeignLog):
            self.batch.archive("long-running", appetite)

    def publish(self, appetite: int = ALL, force: bool = False) -> None:
        list(self.batch.run(appetite, force))

    def step_batch(self, which: int, count: int, appetite: int = ALL) -> None:
        self.runs[which] = advance(self.runs[which] or self.batch.run(appetite), count)

    def kill_batch(self, which: int) -> None:
        self.runs[which] = None

    def roll_back(self, which: int = 0) -> None:
        """To one of the versions there are, or to one that is gone or newer, which is refused."""
        with suppress(VersionRefused):
            self.batch.versions.roll_back(which, str(self.world.now))

    def roll_forward(self) -> None:
        with suppress(VersionRefused):
            self.batch.versions.roll_forward(None, str(self.world.now))

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

    def answer_all(self) -> None:
        """The queries that stand still go on, and say what they have found."""
        for which in [which for which, query in enumerate(self.queries) if query is not None]:
            self.step_query(which, ALL)

    def checked(self, answer: Answer | None) -> Answer:
        assert answer is not None
        if not answer.reasons:
            semantics, aliases = answer.semantics, aliases_of(answer.manifest)
            found = spelled(answer.counts, semantics)
            least = spelled(self.least(answer), semantics)
            most = spelled(self.world.truth(semantics, aliases), semantics)
            assert least <= found, f"events before {answer.as_of} are missing"
            assert found <= most, "counted twice, or never sent"
        return answer

    def least(self, answer: Answer) -> Counts:
        """What was sent before `as_of`, without what the manifest declares as lost."""
        sent = [r for r in self.world.sent if r.at < answer.as_of and r.position not in answer.lost]
        return plainly(sent, answer.semantics, aliases_of(answer.manifest))

    def rest(self) -> None:
        """Let all go on without a fault: answers become complete and exact, whether or not one publishes.

        An operator has given up what is lost, and holds no reader back.
        """
        self.runs = [None, None]
        self.answer_all()
        identity = (self.world.identity.cluster, self.world.identity.topic_id)
        if self.world.losses.known() not in (None, identity):
            return
        self.accept_losses()
        self.roll_forward()
        self.world.now += CUT_INTERVAL
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
        assert self.world.now == 0 or spelled(answer.counts, self.world.semantics) == self.spelled_least(
            answer
        )

    def spelled_least(self, answer: Answer) -> Counts:
        return spelled(self.least(answer), answer.semantics)

    def check(self) -> None:
        holds(self.world)


def advance(process: Iterator[None], count: int) -> Iterator[None] | None:
    """Take some steps; None once it has ended."""
    for _ in range(count):
        try:
            next(process)
        except StopIteration:
            return None
    return process
