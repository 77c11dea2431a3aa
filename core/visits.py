"""Visits: the events of one user that follow each other with gaps of at most so long.

What an event is to a visit (the start, the second event, a later one) is decided from the user's state
alone, so that counts of roles add up over any split of the events: a visit that goes on after a cut or a
publish is counted where it starts, and a second event takes back the bounce that its start was. `follow` is
the rule: the batch layer applies it in order of time, the speed layer in the order in which events come.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from core.declarations import Declaration
from core.errors import DefinitionError
from core.exact import Sum
from core.identity import PERSON, SAID
from core.keys import key_text
from core.measures import Slot
from core.packing import Codec
from core.ratios import Ratio
from core.views import find

__all__ = [
    "LATER", "SECOND", "START", "Followed", "Visit", "Visits", "bounce_rate", "bounces", "declared_visits",
    "follow", "in_order", "visit_length", "visits",
]  # fmt: skip

START, SECOND, LATER = "start", "second", "later"
_MICROS = 1_000_000
_GAP = re.compile(r"([1-9][0-9]{0,5}) (second|minute|hour|day)s?")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_SLOTS = {"string": "text", "long": "long", "boolean": "long"}


class Visit(NamedTuple):
    """A user's newest visit: times of its first event and of the user's last one in microseconds, whether the
    first is the only one, and what the first carries."""

    first: int
    last: int
    alone: bool
    carried: tuple[Any, ...] = ()


class Followed(NamedTuple):
    """What one event is: its role, the seconds since the user's event before, and what its visit carries."""

    role: str
    step: int
    carried: tuple[Any, ...]


def follow(visit: Visit | None, at: int, carried: tuple[Any, ...], gap: int) -> tuple[Followed, Visit]:
    """An event at `at` microseconds, and the user's visit after it; `gap` is in microseconds.

    An event before the user's last one belongs to the visit, or, if it lies more than the gap before the
    visit's first event, is a start by itself; it never moves the last time back, and takes no time.
    """
    if visit is None or at > visit.last + gap:
        return Followed(START, 0, carried), Visit(at, at, True, carried)
    if at < visit.first - gap:
        return Followed(START, 0, carried), visit
    step = max(0, at // _MICROS - visit.last // _MICROS)
    found = Followed(SECOND if visit.alone else LATER, step, visit.carried)
    return found, visit._replace(last=max(at, visit.last), alone=False)


def in_order(visit: Visit | None, places: Sequence[tuple[int, int]]) -> bool:
    """Whether events come in the order of their times, however they are cut into micro-batches.

    `places` are (partition, time) in the order of the log: how partitions meet, nobody can know.
    """
    times = [visit.last if visit else at for _, at in places[:1]] + [at for _, at in places]
    return len({partition for partition, _ in places}) < 2 and times == sorted(times)


@dataclass(frozen=True)
class Visits(Declaration):
    """Derives `visit_role`, `visit_step` (seconds since the user's event before, in the same visit), and for
    each column in `carry` its value in the visit's first event, as `visit_<column>`. An event without a user
    has none of them. `user` may be the `person` that an `Identity` before it derives.
    """

    upon_derived: ClassVar[bool] = True

    user: str = "user"
    gap: str = "30 minutes"
    carry: Sequence[str] = ()
    kinds: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.carry, str):
            raise DefinitionError(f"carry={self.carry!r} is one text; write carry=({self.carry!r},)")
        object.__setattr__(self, "carry", tuple(self.carry))
        if not _GAP.fullmatch(self.gap):
            raise DefinitionError(f"gap={self.gap!r}: write N seconds, N minutes, N hours or N days")

    def bind(self, columns: Mapping[str, str]) -> "Visits":
        if SAID in self.carry:
            raise DefinitionError(f"carry of {SAID!r}: that is for the view of pairs alone")
        kinds = [find("column", name, columns) for name in (self.user, *self.carry)]
        if kinds[0] not in ("string", "long"):
            raise DefinitionError(f"user={self.user!r} is {kinds[0]}; a user is string or long")
        for name, kind in zip(self.carry, kinds[1:], strict=True):
            if kind not in _SLOTS:
                raise DefinitionError(f"carry of {name!r} is {kind}; a visit carries {', '.join(_SLOTS)}")
        return replace(self, kinds=tuple(kinds[1:]))

    @property
    def columns(self) -> Mapping[str, str]:
        carried = zip(self.carried, self.kinds, strict=True)
        return {"visit_role": "string", "visit_step": "long", **dict(carried)}

    @property
    def carried(self) -> list[str]:
        """The derived columns that hold what a visit carries."""
        return [f"visit_{name}" for name in self.carry]

    @property
    def reads(self) -> Sequence[str]:
        return tuple(dict.fromkeys((self.user, *self.carry)))

    def origins(self, column: str) -> Sequence[str]:
        return [name for name in self.carry if column == f"visit_{name}"]

    @property
    def of_persons(self) -> bool:
        """Whether what is derived changes with who is one person."""
        return PERSON in self.reads

    @property
    def gap_micros(self) -> int:
        found = _GAP.fullmatch(self.gap)
        assert found is not None
        return int(found[1]) * _SECONDS[found[2]] * _MICROS

    @property
    def meaning(self) -> Any:
        return [self.user, self.gap_micros, list(self.carry)]

    @cached_property
    def slots(self) -> list[tuple[str, Slot]]:
        """How a `Visit` is packed, in the index and in Redis."""
        own = [(name, Slot("", "long")) for name in ("first", "last", "alone")]
        return own + [
            (name, Slot("", _SLOTS[kind])) for name, kind in zip(self.carried, self.kinds, strict=True)
        ]

    @cached_property
    def codec(self) -> Codec:
        return Codec(tuple(slot for _, slot in self.slots))

    def pack(self, visit: Visit) -> bytes:
        return self.codec.pack((visit.first, visit.last, visit.alone, *visit.carried))

    def unpack(self, data: bytes | memoryview, at: int = 0) -> Visit:
        first, last, alone, *carried = self.codec.unpack(data, at)
        return Visit(first, last, bool(alone), tuple(map(_unpacked, self.kinds, carried)))


def _unpacked(kind: str, value: Any) -> Any:
    return bool(value) if kind == "boolean" and value is not None else value


def declared_visits(declarations: Sequence[Declaration]) -> Visits | None:
    """The one of a source that says what a visit is, if it says so."""
    return next((declared for declared in declarations if isinstance(declared, Visits)), None)


def user_key(user: Any) -> str:
    """The text by which a user's visit is found in an index."""
    return key_text([str(user)])


_STARTS = f"if(visit_role = '{START}', 1, 0)"
_BOUNCES = f"case when visit_role = '{START}' then 1 when visit_role = '{SECOND}' then -1 else 0 end"


def visits() -> Sum:
    """How many visits start among the events."""
    return Sum(_STARTS)


def bounces() -> Sum:
    """How many visits have one event: a second one takes back what its start counted, where it counts."""
    return Sum(_BOUNCES)


def bounce_rate() -> Ratio:
    """Bounces over visits."""
    return Ratio(_BOUNCES, _STARTS)


def visit_length() -> Ratio:
    """The mean time from a visit's first event to its last, in seconds."""
    return Ratio("visit_step", _STARTS)
