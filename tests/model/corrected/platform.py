"""What can be sent of orders, and what an answer that calls itself complete has to hold of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from core.cuts import Offsets
from core.handoff import Intent
from core.keys import shard_of
from core.measures import Partial
from tests.model.batch import Batch
from tests.model.corrected.batch import CorrectingBatch
from tests.model.corrected.orders import VIEW, Order, Orders, lifted, order_of, orders_of, plainly
from tests.model.corrected.speed import CorrectingSpeed
from tests.model.parts import Parts
from tests.model.platform import Platform
from tests.model.reader import Answer
from tests.model.speed import CUT_INTERVAL, Speed
from tests.model.world import SHARDS, Field, Record, World

DIGITS = 50
FOLLOWED = [name for name, measure in VIEW.measures.items() if not measure.invertible]


@dataclass(frozen=True)
class CorrectingParts(Parts):
    speed: type[Speed] = CorrectingSpeed
    batch: type[Batch] = CorrectingBatch
    world: type[World] = Orders


@dataclass(frozen=True)
class Truth:
    """At a moment of the log: what is right, and of how many events the view cannot have let go."""

    partials: Mapping[Field, Partial]
    held: Counter[Field]

    def partial(self, place: Field) -> Partial:
        return self.partials.get(place, VIEW.zero)


class CorrectedPlatform(Platform):
    joins_names = False
    loses_events = False  # what was counted, and is lost for good: only where a schedule says so

    def __init__(self, parts: Parts | None = None) -> None:
        super().__init__(parts or CorrectingParts())

    # --- events -------------------------------------------------------------------------------------------

    def send(
        self, partition: int = 0, key: str = "a", bucket: int = 0, valid: bool = True, heals: bool = False,
        corrects: str | None = None, cancels: bool = False,
    ) -> Record:  # fmt: skip
        """Each amount is a digit of its own, and the greatest so far; a buyer has every third."""
        self.sent += 1
        place, amount = partition % len(self.world.log), 1 << (self.sent % DIGITS)
        buyer = ("ann", "bob", "carol")[self.sent % 3]
        return self.world.send(
            Order(place, 0, 0, f"e{self.sent}", key, bucket, amount, valid, heals, corrects, cancels, buyer)
        )

    def cancel(self, record: Record) -> Record:
        return self.send(record.partition, corrects=record.event_id, cancels=True)

    def edit(self, record: Record, key: str = "a", bucket: int = 0) -> Record:
        return self.send(record.partition, key, bucket, corrects=record.event_id)

    def damage_chains(self) -> None:
        """Of the version that readers use, which the speed job finds when it starts."""
        self.kill_speed()
        if pointer := self.world.publications.current():
            orders_of(self.world).damaged.add(pointer.version)

    # --- answers ------------------------------------------------------------------------------------------

    def checked(self, answer: Answer | None) -> Answer:
        assert answer is not None
        if not answer.reasons:
            for shard in range(SHARDS):
                self.check_shard(answer, shard)
        return answer

    def check_shard(self, answer: Answer, shard: int) -> None:
        """All fields of a shard are of one moment of the log, at or behind `as_of`."""
        moment = self.moment(answer, shard)
        missing = [
            r for r in self.world.sent if r.at < answer.as_of and r.offset >= moment.get(r.partition, 0)
        ]
        assert not missing, f"vouched for up to {answer.as_of}"
        truth = self.truth(answer, shard, moment)
        for place in {*answer.partials, *truth.partials, *truth.held}:
            if shard_of(*place[:2], SHARDS) == shard:
                self.check_place(answer.partials.get(place, VIEW.zero), truth, place)

    def check_place(self, found: Partial, truth: Truth, place: Field) -> None:
        """What can be subtracted from is right, and all else right or named with how many it still holds."""
        shown, right = VIEW.present(found), VIEW.present(truth.partial(place))
        named = VIEW.uncorrected(found)
        assert named == {name: truth.held[place] for name in FOLLOWED if truth.held[place]}
        wrong = {name for name in VIEW.measures if shown[name] != right[name]}
        assert wrong <= named.keys(), f"{place}: {shown}, not {right}"

    def moment(self, answer: Answer, shard: int) -> dict[int, int]:
        """How far the log is in the fields of a shard."""
        boundary, intent = answer.offsets, self.intent(answer, shard)
        end: Offsets = intent.end if intent else {}
        return {p: max(boundary.get(p, 0), end.get(p, 0)) for p in {*boundary, *end}}

    def intent(self, answer: Answer, shard: int) -> Intent | None:
        generation, batch = answer.generation, answer.stamps[shard]
        assert generation is not None and batch is not None
        return self.world.intended.get((generation.id, batch))

    def truth(self, answer: Answer, shard: int, moment: Offsets) -> Truth:
        """By a loop over each partition; with copies that came beyond the window, until the next publish."""
        counts, held, lost = self.late(answer, shard, moment), Counter[Field](), answer.lost
        for partition, log in enumerate(self.world.log):
            records = [one for one in log[: moment.get(partition, 0)] if one.position not in lost]
            found = plainly(records, answer.semantics)
            counts += found.counts
            since = [one for one, by in found.stopped if by.offset >= answer.offsets.get(partition, 0)]
            held.update(lifted(one.values, 1)[0] for one in since if not one.retracts)
        partials = [lifted(order.values, answer.semantics) for order in counts]
        return Truth(self.world.fold(partials), held)

    def late(self, answer: Answer, shard: int, moment: Offsets) -> list[Order]:
        intent, boundary = self.intent(answer, shard), answer.manifest.boundary if answer.manifest else 0
        if answer.generation is None or intent is None:
            return []
        logs = enumerate(self.world.log)
        rows = [record for partition, log in logs for record in log[: moment.get(partition, 0)]]
        cuts = self.world.cuts.all()[: intent.cuts]
        judged = self.batch.check(self.world).counted(answer.generation, rows, cuts)
        late = [order_of(r) for segment, r, verdict in judged if verdict.late and segment >= boundary]
        return [order for order in late if not order.retracts]

    def rest(self) -> None:
        """The publish that covers all that was sent leaves nothing uncorrected."""
        super().rest()
        self.world.now += CUT_INTERVAL
        self.run_speed()
        self.publish()
        self.run_speed(rounds=8)
        self.exact()
        assert not any(VIEW.uncorrected(partial) for partial in self.ask().partials.values())

    def exact(self) -> None:
        answer = self.ask()
        assert not answer.reasons, answer.reasons
        assert answer.as_of == self.world.now
