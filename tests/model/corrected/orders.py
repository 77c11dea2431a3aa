"""Orders: events that may take back, or take the place of, an earlier one. Which of them count, by a loop."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from core import Corrections, Count, Max, Source, Sum, Uniques, View
from core.chains import Link
from core.corrections import EventCodec
from core.manifest import Publications
from core.measures import Partial
from core.views import CompiledView
from tests.model.world import Field, Record, World

SOURCE = Source("things", contract="things", declares=(Corrections("corrects", "cancels"),))
KEPT = {"k": "string", "event_time": "timestamp", "amount": "long", "buyer": "string"}
VIEW = View(
    "by_key", SOURCE, key=("k",),
    measures={"n": Count(), "total": Sum("amount"), "dearest": Max("amount"), "buyers": Uniques("buyer")},
).compile({**KEPT, "event_id": "string", "corrects": "string", "cancels": "boolean"})  # fmt: skip
CODEC = EventCodec(KEPT)
Values = tuple[Any, ...]


@dataclass(frozen=True)
class Order(Record):
    """`corrects` is the id of another one; one that `cancels` it takes its place by nothing."""

    corrects: str | None = None
    cancels: bool = False
    buyer: str = "ann"

    @property
    def retracts(self) -> bool:
        return self.cancels and self.corrects is not None

    @property
    def values(self) -> Values:
        """Those of `KEPT`."""
        return self.key, self.bucket * 1_000_000, self.amount, self.buyer

    @property
    def link(self) -> Link:
        packed = b"" if self.retracts else CODEC.packer()(self.values)
        return Link.of(*self.position, self.event_id, self.corrects, self.retracts, packed)


def lifted(values: Values, semantics: int) -> tuple[Field, Partial]:
    """What an event with these values adds, and where; a changed definition counts its amount again."""
    key, micros, amount, buyer = values
    place = VIEW.name, VIEW.key_of({"k": key}), micros // 1_000_000
    amount *= semantics
    return place, VIEW.lift({"n": 1, "total": amount, "dearest": amount, "buyers": buyer})


class Orders(World):
    """Copies are known for one or two segments. Of `damaged` versions nobody can read the chains."""

    views: ClassVar[Mapping[str, CompiledView]] = {VIEW.name: VIEW}
    window = 1

    def __init__(self, publications: type[Publications] = Publications) -> None:
        super().__init__(publications)
        self.damaged = set[int]()

    def lifted(self, record: Record, semantics: int) -> Iterator[tuple[Field, Partial]]:
        order = order_of(record)
        if not order.retracts:
            yield lifted(order.values, semantics)


def orders_of(world: World) -> Orders:
    assert isinstance(world, Orders)
    return world


def order_of(record: Record) -> Order:
    assert isinstance(record, Order)
    return record


@dataclass(frozen=True)
class Counting:
    """Of the records of one partition: those that count, and those that do not any more, by which record."""

    counts: list[Order]
    stopped: list[tuple[Order, Order]]


def plainly(log: Iterable[Record], semantics: int) -> Counting:
    """The first valid copy of each event counts until a later one names it, or what it had named."""
    events, seen, stopped = list[Order](), set[str](), list[tuple[Order, Order]]()
    for record in log:
        order = order_of(record)
        if not order.counts(semantics) or order.event_id in seen:
            continue
        seen.add(order.event_id)
        ended = [one for one in events if order.corrects in {one.event_id, one.corrects} - {None}]
        stopped += [(one, order) for one in ended]
        events = [one for one in events if one not in ended] + [order]
    return Counting([one for one in events if not one.retracts], stopped)
