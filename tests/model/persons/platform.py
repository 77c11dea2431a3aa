"""What can be sent of visits, and what an answer that calls itself complete has to hold of persons."""

from collections import Counter
from dataclasses import dataclass

from tests.model.batch import Batch
from tests.model.parts import Parts
from tests.model.persons.batch import PersonBatch
from tests.model.persons.people import People, Visit, people_of, visit_of
from tests.model.persons.reader import RANKING, PersonAnswers, PersonReader, Told
from tests.model.persons.speed import PersonSpeed
from tests.model.persons.truth import Truth, heard
from tests.model.platform import Platform
from tests.model.reader import Answer, Reader
from tests.model.speed import CUT_INTERVAL, Speed
from tests.model.world import Record, World

NEAR = 0.01  # of an estimate of few
BASE, PLACES = 100, 18  # of sums, which hold 38 decimal digits


@dataclass(frozen=True)
class PersonParts(Parts):
    speed: type[Speed] = PersonSpeed
    batch: type[Batch] = PersonBatch
    reader: type[Reader] = PersonReader
    world: type[World] = People


class PersonPlatform(Platform):
    joins_names = False
    loses_events = False  # what is lost for good is played with events that join nobody

    def __init__(self, parts: Parts | None = None) -> None:
        super().__init__(parts or PersonParts())

    # --- events -------------------------------------------------------------------------------------------

    def send(
        self, partition: int = 0, key: str = "a", bucket: int = 0, valid: bool = True, heals: bool = False,
        user: str = "a", same: str | None = None, undone: bool = False,
    ) -> Record:  # fmt: skip
        """An amount is one in a place of its own, which it shares with every eighteenth."""
        self.sent += 1
        place, amount = partition % len(self.world.log), BASE ** (self.sent % PLACES)
        return self.world.send(
            Visit(place, 0, 0, f"e{self.sent}", key, bucket, amount, valid, heals, user, same, undone)
        )

    def join(self, one: str, other: str, partition: int = 0, undone: bool = False) -> Record:
        return self.send(partition, user=one, same=other, undone=undone)

    def contradict(self, said: Visit, partition: int) -> Record:
        """The opposite of what was said of two."""
        return self.send(partition, user=said.user, same=said.same, undone=not said.undone)

    def said(self) -> list[Visit]:
        """The visits that say something of two ids."""
        return [visit for visit in map(visit_of, self.world.sent) if visit.pair is not None]

    def lose_resolutions(self) -> None:
        """The speed layer's copies are gone, which it finds when it starts."""
        self.kill_speed()
        people_of(self.world).kept.clear()

    # --- answers ------------------------------------------------------------------------------------------

    def checked(self, answer: Answer | None) -> Answer:
        assert isinstance(answer, PersonAnswers)
        for told in answer.told:
            if not told.document["reasons"]:
                check = self.check_ranking if told.view == RANKING else self.check_told
                check(told, answer.semantics)
        return answer

    def check_ranking(self, told: Told, semantics: int) -> None:
        """Each person once, each visit once."""
        truth = self.truth(told, semantics)
        found = {row["key"]["person"]: row["measures"]["n"] for row in told.document["rows"]}
        for person, n in found.items():
            least, most = (truth.visits(person, True, each).total() for each in (False, True))
            assert least <= n <= most, f"{person} is ranked by {n} visits"
            assert found.keys() & truth.joined(False)[person] == {person}, f"{person} is ranked twice"
        assert len(truth.sure) <= sum(found.values()) <= len(truth.all), f"in all {found}"

    def check_told(self, told: Told, semantics: int) -> None:
        truth, by_person = self.truth(told, semantics), told.view == "by_person"
        shown, name = told.measures, f"{told.view} of {told.key}"
        least, most = (truth.visits(told.key, by_person, each) for each in (False, True))
        assert least.total() <= shown["n"] <= most.total(), f"{name} has {shown['n']} visits"
        if by_person:
            found = digits(shown["total"], semantics)
            assert self.digits(least) <= found <= self.digits(most), f"{name}: missing, twice, or another's"
        else:
            fewest, largest = truth.people(told.key)
            bounds = shown["people"]
            assert bounds["lower"] <= largest + NEAR and bounds["upper"] >= fewest - NEAR, f"{name}: {bounds}"

    def truth(self, told: Told, semantics: int) -> Truth:
        manifest, as_of = told.evidence.snapshot.manifest, told.evidence.as_of
        assert as_of is not None, "a complete answer says as of when"
        boundary = manifest.offsets if manifest else {}
        return Truth(heard(self.world.sent, semantics, self.world.cuts.all(), boundary, as_of))

    def digits(self, visits: Counter[str]) -> Counter[int]:
        """The digits that visits add, by their events' numbers."""
        found = Counter[int]()
        for event_id, times in visits.items():
            found[int(event_id[1:]) % PLACES] += times
        return found

    def rest(self) -> None:
        """The publish that covers all that was sent, and the rebuild after it, leave nothing to join."""
        super().rest()
        self.world.now += CUT_INTERVAL
        self.run_speed(rounds=2)
        self.publish()
        self.run_speed(rounds=8)
        self.exact()
        answer = self.ask()
        assert isinstance(answer, PersonAnswers)
        for told in answer.told:
            self.check_settled(told)

    def check_settled(self, told: Told) -> None:
        identity = told.document["identity"]
        assert (identity["pairs_since"], identity["undone_since"]) == (0, 0)
        if told.view == "by_page":
            people = told.measures["people"]
            least, most = self.truth(told, self.world.semantics).people(told.key)
            assert least == most and abs(people["upper"] - people["lower"]) < 1
            assert abs(people["estimate"] - least) < NEAR

    def exact(self) -> None:
        answer = self.ask()
        assert isinstance(answer, PersonAnswers)
        assert not answer.reasons, answer.reasons
        assert {told.evidence.as_of for told in answer.told} == {self.world.now}


def digits(total: int, semantics: int) -> Counter[int]:
    """How often each digit was added."""
    assert total % semantics == 0, "a sum of two definitions"
    found, rest, place = Counter[int](), total // semantics, 0
    while rest:
        rest, times = divmod(rest, BASE)
        found[place] += times
        place += 1
    return +found
