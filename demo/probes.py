"""The questions that the demo asks again and again, and what plain Python says the answers are.

Nothing here comes from `core`: this is the naive half of the comparison.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from demo.truth import Answer, Event, Truth, time_of

START, END = "2015-09-12T00:00:00Z", "2015-09-13T00:00:00Z"


@dataclass(frozen=True)
class Probe:
    """One question: a view, a key (None is NULL), a range of event time."""

    view: str
    key: Mapping[str, str | None]
    start: str = START
    end: str = END

    @property
    def title(self) -> str:
        key = " ".join("NULL" if value is None else value for value in self.key.values()) or "everything"
        hours = "" if (self.start, self.end) == (START, END) else f" {self.start[11:16]}-{self.end[11:16]}"
        return f"{self.view}: {key}{hours}"

    @property
    def parameters(self) -> dict[str, str]:
        """The question as the API takes it."""
        key = {f"{name}.null" if value is None else name: value or "true" for name, value in self.key.items()}
        return {**key, "from": self.start, "to": self.end}

    def facts(self, truth: Truth) -> Answer:
        """The events that count for this question."""
        return truth.answer(self.key, WHERE.get(self.view), _time(self.start), _time(self.end))


WHERE: Mapping[str, Callable[[Event], bool]] = {"robot_edits": lambda event: bool(event["isRobot"])}

ASKED = [
    Probe(
        "edits_by_page",
        {"channel": "#en.wikipedia", "page": "Wikipedia:Administrators' noticeboard/Incidents"},
    ),
    Probe("edits_by_page", {"channel": "#de.wikipedia", "page": "Wikipedia:Vandalismusmeldung"}),
    Probe("edits_by_page", {"channel": "#en.wikipedia", "page": "No such page"}),
    Probe("edits_by_channel", {"channel": "#en.wikipedia"}),
    Probe("edits_by_channel", {"channel": "#vi.wikipedia"}),
    Probe("edits_by_channel", {"channel": "#fr.wikipedia"}, "2015-09-12T10:17:00Z", "2015-09-12T14:42:00Z"),
    Probe("edits_by_user", {"user": "GELongstreet"}),
    Probe("edits_by_user", {"user": "TuanminhBot"}),
    Probe("edits_by_country", {"countryIsoCode": "US"}),
    Probe("edits_by_country", {"countryIsoCode": None}),
    Probe("wiki", {}),
    Probe("wiki", {}, "2015-09-12T11:30:00Z", "2015-09-12T12:30:00Z"),
    Probe("robot_edits", {"channel": "#en.wikipedia"}),
    Probe("robot_edits", {"channel": "#vi.wikipedia"}),
]


def _total(column: str) -> Callable[[Answer], int]:
    return lambda facts: facts.total(column) or 0


def _size(event: Event) -> float:
    return float(abs(event["delta"]))


def _mean_delta(facts: Answer) -> float | None:
    return float(Fraction(facts.total("delta"), facts.count)) if facts else None


def _page(event: Event) -> tuple[str, str]:
    return event["channel"], event["page"]


TRUTH: Mapping[str, Callable[[Answer], Any]] = {
    "edits": len,
    "added": _total("added"),
    "deleted": _total("deleted"),
    "delta": _total("delta"),
    "mean_delta": _mean_delta,
    "first_edit": lambda facts: facts.least(time_of),
    "last_edit": lambda facts: facts.greatest(time_of),
    "editors": lambda facts: facts.distinct("user"),
    "robots": lambda facts: facts.distinct("user"),
    "pages": lambda facts: facts.distinct(_page),
    "top_pages": lambda facts: Counter(facts.values("page")),
    "size": lambda facts: facts.sorted(_size),
}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
