"""Questions about every person and every page, and who comes first: to the real desk, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from core.folders import Folders
from serving_layer.answers import Evidence, compose
from serving_layer.asking import Desk
from serving_layer.gathering import KeysDesk
from serving_layer.key_answers import compose_ranking
from serving_layer.listings import Ranking, parse_ranking
from serving_layer.questions import Question, parse_question
from tests.model.persons.people import BOUND, USERS, people_of
from tests.model.persons.stores import ModelPairs, ModelSpeedStore, ModelVersions, stepped
from tests.model.reader import Answer, Reader
from tests.model.world import World

ASKED = [("by_person", "person", user) for user in USERS] + [("by_page", "k", page) for page in "ab"]


RANKING = "ranking"


@dataclass(frozen=True)
class Told:
    """One answer: what was asked, what it was made of, and as it is shown."""

    view: str
    key: str
    evidence: Evidence
    document: dict[str, Any]

    @property
    def measures(self) -> dict[str, Any]:
        return dict(self.document["rows"][0]["measures"])


@dataclass
class PersonAnswers(Answer):
    told: list[Told] = field(default_factory=list)

    def tell(self, told: Told) -> None:
        self.told.append(told)
        self.reasons += told.document["reasons"]


@cache
def question(view: str, part: str, key: str) -> Question:
    return parse_question(BOUND.view(view), [(part, key)], lambda: 0.0)


@cache
def ranking() -> Ranking:
    return parse_ranking(BOUND.view("by_person"), [("by", "n"), ("n", "100")], lambda: 0.0)


class PersonReader(Reader):
    """A process of the API: its definitions are those of its start."""

    pairs: type[ModelPairs] = ModelPairs
    desk: type[Desk] = Desk

    def __init__(self, world: World) -> None:
        super().__init__(world)
        people, semantics = people_of(world), str(world.semantics)
        store = ModelSpeedStore(people, semantics)
        pairs = self.pairs(BOUND, store, Folders(Path("/nowhere"), "things"), world=people)
        self.versions = ModelVersions(people, semantics)
        self.semantics, self.asked = int(semantics), self.desk(BOUND, semantics, self.versions, store, pairs)

    def ask(self) -> Iterator[None]:
        answers = PersonAnswers(self.semantics, [])
        for view, part, key in ASKED:
            self.versions.look()
            asked = question(view, part, key)
            evidence = yield from stepped(self.asked.ask(asked))
            answers.tell(Told(view, key, evidence, compose(asked, evidence)))
            yield
        self.versions.look()
        gathered = yield from stepped(KeysDesk(self.asked, 100).rank(ranking()))
        document = yield from stepped(compose_ranking(ranking(), gathered))
        answers.tell(Told(RANKING, "", gathered, document))
        self.answer = answers
