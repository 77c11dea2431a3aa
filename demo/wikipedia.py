"""A day of Wikipedia's edits as the demo plays it: the questions, and what is true."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from conf.definitions.wikipedia import EDITS
from demo.dataset import DAY, edits
from demo.play import Dataset, Oracle, Play, Words
from demo.probes import Probe
from demo.truth import Answer, Event, time_of
from local.fetch import fetch

__all__ = ["TRUTH", "WIKIPEDIA", "ask"]

START, NOON, END = "2015-09-12T00:00:00Z", "2015-09-12T12:00:00Z", "2015-09-13T00:00:00Z"


def ask(view: str, key: Mapping[str, str | None], start: str = START, end: str = END) -> Probe:
    """A question about the day, or a part of it."""
    part = "" if (start, end) == (START, END) else f"{start[11:16]}-{end[11:16]}"
    return Probe(view, key, start, end, part)


ASKED = [
    ask(
        "edits_by_page",
        {"channel": "#en.wikipedia", "page": "Wikipedia:Administrators' noticeboard/Incidents"},
    ),
    ask("edits_by_page", {"channel": "#de.wikipedia", "page": "Wikipedia:Vandalismusmeldung"}),
    ask("edits_by_page", {"channel": "#en.wikipedia", "page": "No such page"}),
    ask("edits_by_channel", {"channel": "#en.wikipedia"}),
    ask("edits_by_channel", {"channel": "#vi.wikipedia"}),
    ask("edits_by_channel", {"channel": "#fr.wikipedia"}, "2015-09-12T10:17:00Z", "2015-09-12T14:42:00Z"),
    ask("edits_by_user", {"user": "GELongstreet"}),
    ask("edits_by_user", {"user": "TuanminhBot"}),
    ask("edits_by_country", {"countryIsoCode": "US"}),
    ask("edits_by_country", {"countryIsoCode": None}),
    ask("wiki", {}),
    ask("wiki", {}, "2015-09-12T11:30:00Z", "2015-09-12T12:30:00Z"),
    ask("robot_edits", {"channel": "#en.wikipedia"}),
    ask("robot_edits", {"channel": "#vi.wikipedia"}),
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


def _closing(events: Sequence[Event]) -> list[dict[str, Any]]:
    last = dict(events[-1])
    return [{**last, "event_id": "late-but-counted", "event_time": "2015-09-12T03:15:00Z"}, last]


WIKIPEDIA = Play(
    application="conf.definitions.wikipedia",
    dataset=Dataset(
        source=EDITS,
        fetch=fetch,
        events=edits,
        span=DAY,
        opening=lambda event: bool(event["event_time"] < NOON),
        opened=NOON,
        closing=_closing,
    ),
    probes=ASKED,
    pulse=ask("wiki", {}),
    oracle=Oracle(TRUTH, {"robot_edits": lambda event: bool(event["isRobot"])}),
    words=Words(
        all="real edits of 2015-09-12",
        events="edits",
        opening="the morning",
        whole="the whole day",
        closing="a late event (03:15 this morning) and a duplicate of the last edit",
        question="edits_by_channel?channel=%23en.wikipedia&from=2015-09-12&to=2015-09-13",
    ),
)
