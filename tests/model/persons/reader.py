"""Questions about every person and every page, to the real desk, each answered when the one before is."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from core.folders import Folders
from serving_layer.answers import Evidence, compose
from serving_layer.asking import Desk
from serving_layer.questions import Question, parse_question
from tests.model.persons.people import BOUND, USERS, people_of
from tests.model.persons.stores import ModelPairs, ModelSpeedStore, ModelVersions, stepped
from tests.model.reader import Answer, Reader
from tests.model.world import World

ASKED = [("by_person", "person", user) for user in USERS] + [("by_page", "k", page) for page in "ab"]


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


@cache
def question(view: str, part: str, key: str) -> Question:
    return parse_question(BOUND.view(view), [(part, key)], lambda: 0.0)


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
            told = Told(view, key, evidence, compose(asked, evidence))
            answers.told.append(told)
            answers.reasons += told.document["reasons"]
            yield
        self.answer = answers
