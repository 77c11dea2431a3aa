"""What both architectures are asked, and what plain Python says the answers are."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from demo.dataset import Event
from demo.probes import Probe
from demo.truth import Answer, Truth
from demo.wikipedia import ASKED, END, START, WIKIPEDIA

__all__ = ["Expected", "Question", "questions"]

Expected = Sequence[tuple[datetime, Answer]]  # of each row: where it begins, and its events

_WIDTHS = {"hour": 3600, "day": 86_400}
_KEYS: Mapping[str, Sequence[str]] = {
    "edits_by_page": ("channel", "page"),
    "edits_by_channel": ("channel",),
    "edits_by_user": ("user",),
    "edits_by_country": ("countryIsoCode",),
    "robot_edits": ("channel",),
}
_BY_MINUTE = ("edits_by_channel", "wiki")
_EACH = 12  # keys of a view


@dataclass(frozen=True)
class Question(Probe):
    """A probe, or a series of it: `every` is "hour" or "day"."""

    start: str = START
    end: str = END
    every: str = ""

    @property
    def title(self) -> str:
        hours = "" if (self.start, self.end) == (START, END) else f" {self.start[11:16]}-{self.end[11:16]}"
        return super().title + hours + (f" by {self.every}" if self.every else "")

    @property
    def parameters(self) -> dict[str, str]:
        return super().parameters | ({"every": self.every} if self.every else {})

    def expected(self, truth: Truth) -> Expected:
        """Every row that the answer must have, in order; one without events is there too."""
        facts, start = WIKIPEDIA.oracle.facts(self, truth), datetime.fromisoformat(self.start)
        if not self.every:
            return [(start, facts)]
        width = _WIDTHS[self.every]
        buckets, begin = facts.buckets(width), int(start.timestamp())
        starts = range(begin, int(datetime.fromisoformat(self.end).timestamp()), width)
        return [(start + timedelta(seconds=at - begin), buckets.get(at, Answer([]))) for at in starts]


def questions(events: Sequence[Event], days: int, seed: int = 11) -> list[Question]:
    """Probes of the demo, keys drawn from `events` (one day), ranges and series, over so many days."""
    chance, end = random.Random(seed), _moved(START, days * _WIDTHS["day"])
    return [
        *(_of(probe, end) for probe in ASKED),
        *(Question(view, key, START, end) for view, key in _drawn(events, chance)),
        *_ranges(events, chance),
        *_series(end),
    ]


def _of(probe: Probe, end: str) -> Question:
    """A probe of the whole day becomes one of all days."""
    whole = (probe.start, probe.end) == (START, END)
    return Question(probe.view, probe.key, probe.start, end if whole else probe.end)


def _drawn(events: Sequence[Event], chance: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    for view, parts in _KEYS.items():
        found = dict.fromkeys(tuple(event.get(part) for part in parts) for event in events)
        for values in chance.sample(list(found), min(_EACH, len(found))):
            yield view, dict(zip(parts, values, strict=True))


def _ranges(events: Sequence[Event], chance: random.Random) -> Iterator[Question]:
    """Ranges on the edges of buckets, from minutes to most of the day."""
    for view in (*_BY_MINUTE, "edits_by_user", "edits_by_country"):
        step = 60 if view in _BY_MINUTE else 3600
        for _ in range(_EACH // 2):
            first, last = sorted(chance.sample(range(_WIDTHS["day"] // step + 1), 2))
            event = chance.choice(events)
            key = {part: event.get(part) for part in _KEYS.get(view, ())}
            yield Question(view, key, _moved(START, first * step), _moved(START, last * step))


def _series(end: str) -> Iterator[Question]:
    for probe in (
        Question("wiki", {}),
        Question("edits_by_channel", {"channel": "#en.wikipedia"}),
        Question("edits_by_country", {"countryIsoCode": None}),
        Question("robot_edits", {"channel": "#vi.wikipedia"}),
    ):
        yield replace(probe, every="hour")
        yield replace(probe, every="day", end=end)


def _moved(text: str, seconds: int) -> str:
    moment = datetime.fromisoformat(text) + timedelta(seconds=seconds)
    return moment.isoformat().replace("+00:00", "Z")
