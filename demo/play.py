"""What the demo knows of an application: its real events, questions about them, and what is true of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from conf.settings import Settings
from core.sources import Source
from demo.probes import Probe
from demo.truth import Answer, Event, Truth

__all__ = ["Dataset", "Oracle", "Play", "Words"]


@dataclass(frozen=True)
class Dataset:
    """Real events of a source, in the order of its log, the same in every run.

    `fetch` brings what `events` reads, if set-up did not. `span` is how much later a repetition of all of
    them is. `opening` is true of those that the demo sends before anything is published; they are first in
    the log, too, and nothing behind them has a time before `opened`. `closing` makes a late event and a
    duplicate of what was sent last.
    """

    source: Source
    fetch: Callable[[Settings], object]
    events: Callable[[Settings], list[dict[str, Any]]]
    span: timedelta
    opening: Callable[[Event], bool]
    opened: str
    closing: Callable[[Sequence[Event]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Oracle:
    """The naive half of the comparison: plain Python over all events, and nothing of it from `core`.

    `measures` by name, the same in every view; `where` the condition of a view that has one. `seen` is what
    the views see of the events of the log: all of them, as they are, if left out.
    """

    measures: Mapping[str, Callable[[Answer], Any]]
    where: Mapping[str, Callable[[Event], bool]] = field(default_factory=dict)
    seen: Callable[[Iterable[Event]], Iterable[Event]] = iter

    def truth(self, events: Iterable[Event]) -> Truth:
        return Truth(self.seen(events))

    def facts(self, probe: Probe, truth: Truth) -> Answer:
        """The events that count for a question."""
        start, end = (datetime.fromisoformat(text) for text in (probe.start, probe.end))
        return truth.answer(probe.key, self.where.get(probe.view), start, end)


@dataclass(frozen=True)
class Words:
    """How the demo speaks: "16,512 {events} of {opening}", and so on; `question` is one to ask oneself."""

    all: str
    events: str
    opening: str
    whole: str
    closing: str
    question: str


@dataclass(frozen=True)
class Play:
    """An application that the demo can play. `pulse` is the question whose answer says how fresh all is."""

    application: str
    dataset: Dataset
    probes: Sequence[Probe]
    pulse: Probe
    oracle: Oracle
    words: Words
