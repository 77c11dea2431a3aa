"""Visits: events of users, some of which say that two users are one person, or take it back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from core import Count, Identity, Source, Sum, Uniques, View
from core.application import BoundSource
from core.contracts import Contract
from core.groups import Pair, pair_of, word
from core.identity import pairs_name
from core.manifest import Publications
from core.measures import Partial
from core.resolutions import Resolution, Resolved
from core.views import CompiledView
from tests.model.world import Field, Record, World

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: visits
version: "1.0.0"
schema:
  - name: visits
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: k, logicalType: string}
      - {name: user, logicalType: string}
      - {name: same, logicalType: string}
      - {name: undone, logicalType: boolean}
      - {name: amount, logicalType: integer}
"""
SOURCE = Source("things", contract="visits", declares=[Identity("user", "same", "undone")])
BOUND = BoundSource.of(
    SOURCE,
    Contract.load(CONTRACT),
    {
        "by_person": View(
            "by_person", SOURCE, key=("person",), measures={"n": Count(), "total": Sum("amount")}
        ),
        "by_page": View("by_page", SOURCE, key=("k",), measures={"n": Count(), "people": Uniques("person")}),
    },
)
BY_PERSON, BY_PAGE, PAIRS = (BOUND.view(name) for name in ("by_person", "by_page", pairs_name(SOURCE)))
USERS = ("a", "b", "c", "d", "e", "f")


@dataclass(frozen=True)
class Visit(Record):
    """Of a page, which is its `key`. `same` is another id of the user."""

    user: str = "a"
    same: str | None = None
    undone: bool = False

    @property
    def pair(self) -> Pair | None:
        return None if self.same is None else pair_of(self.user, self.same)

    def word(self, segment: int) -> str:
        return word(segment, *self.position, self.undone)


def visit_of(record: Record) -> Visit:
    assert isinstance(record, Visit)
    return record


def lifted(
    record: Record, segment: int, persons: Resolution, semantics: int
) -> Iterator[tuple[Field, Partial]]:
    """What a visit adds to each view, by the persons of a resolution."""
    visit = visit_of(record)
    person, amount = persons.person(visit.user), visit.amount * semantics
    key = BY_PERSON.key_of({"person": person})
    yield (BY_PERSON.name, key, visit.bucket), BY_PERSON.lift({"n": 1, "total": amount})
    key = BY_PAGE.key_of({"k": visit.key})
    yield (BY_PAGE.name, key, visit.bucket), BY_PAGE.lift({"n": 1, "people": person})
    if visit.pair is not None:
        key = PAIRS.key_of(dict(zip(("one", "other"), visit.pair, strict=True)))
        yield (PAIRS.name, key, 0), PAIRS.lift({"newest": visit.word(segment)})


class People(World):
    """`kept` are the resolutions by which generations count, by the hash of their content."""

    views: ClassVar[Mapping[str, CompiledView]] = BOUND.views

    def __init__(self, publications: type[Publications] = Publications) -> None:
        super().__init__(publications)
        self.kept = dict[str, Resolved]()


def people_of(world: World) -> People:
    assert isinstance(world, People)
    return world
