"""The auditor must be able to fail: answers that are right pass, and every kind of wrong one is found."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from demo.probes import Probe
from demo.truth import Event, Truth
from demo.wikipedia import TRUTH, ask
from tests.audit.auditor import Auditor
from tests.audit.facts import Facts, Past
from tests.audit.ledger import Ledger
from tests.audit.stream import disturbed
from tests.audit.verdict import JUDGED, objections

EVERYTHING = ask("edits_by_channel", {"channel": "#en"})


def edit(number: int, channel: str = "#en", **changed: Any) -> Event:
    return {
        "event_id": f"e{number}",
        "event_time": f"2015-09-12T{number % 24:02}:30:00Z",
        "channel": channel,
        "page": f"page {number % 7}",
        "user": f"user {number % 5}",
        "isRobot": number % 3 == 0,
        "added": number % 11,
        "deleted": number % 4,
        "delta": number % 11 - number % 4,
        **changed,
    }


def naive(events: Sequence[Event]) -> Facts:
    """The facts, worked out anew from all events."""
    of, deltas = Truth(events).answer(), [event["delta"] for event in events]
    return Facts(
        of.count,
        of.total("added") or 0,
        of.total("deleted") or 0,
        sum(d for d in deltas if d > 0),
        sum(d for d in deltas if d < 0),
        len(TRUTH["editors"](of)),
        len(TRUTH["pages"](of)),
        TRUTH["first_edit"](of),
        TRUTH["last_edit"](of),
    )


def told(facts: Facts) -> dict[str, Any]:
    """Measures of an answer that holds just these facts."""
    distinct = {"editors": facts.users, "robots": facts.users, "pages": facts.pages}
    return {
        "edits": facts.edits,
        "added": facts.added,
        "deleted": facts.deleted,
        "delta": facts.gained + facts.lost,
        "size": {"count": facts.edits},
        "first_edit": facts.first and facts.first.isoformat(),
        "last_edit": facts.last and facts.last.isoformat(),
        **{name: {"estimate": n, "lower": n, "upper": n} for name, n in distinct.items()},
    }


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def ledger_of(*probes: Probe) -> tuple[Ledger, Clock]:
    clock = Clock()
    return Ledger(probes or [EVERYTHING], clock), clock


def judged(measures: dict[str, Any], ledger: Ledger, **answer: Any) -> Auditor:
    """The auditor after one question to an API that answers so."""
    body = {
        "rows": [{"measures": measures, "batch": None, "speed": measures}],
        "complete": True,
        "as_of": "1970-01-01T00:01:50Z",  # 110 seconds
        "reasons": [],
        "generation": "g",
        "manifest": None,
        "read": {},
        **answer,
    }
    api = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    auditor = Auditor("", ledger, httpx.Client(transport=api, base_url="http://api"))
    auditor.ask(0)
    return auditor


def test_facts_of_every_moment_are_those_of_plain_python() -> None:
    past, events = Past(), [edit(number) for number in range(60)]
    for number, event in enumerate(events):
        past.add(float(number), event)
    for number in range(61):
        assert past.before(float(number)) == naive(events[:number])
    assert past.now() == naive(events)


def test_whatever_part_of_the_possible_events_an_answer_holds_is_right() -> None:
    events = [edit(number) for number in range(40)]
    must, may = naive(events[:20]), naive(events)
    for size in range(20, 41):
        assert objections(told(naive(events[:size])), must, may) == []


@pytest.mark.parametrize("measure", sorted(JUDGED))
def test_an_answer_without_an_acknowledged_event_is_found_by_every_measure(measure: str) -> None:
    first = edit(0, user="sole", page="sole", event_time="2015-09-12T00:00:00Z", added=9, deleted=5, delta=4)
    last = edit(1, user="other", page="other", event_time="2015-09-12T23:59:00Z", added=9, deleted=5)
    must = naive([first, last, *map(edit, range(2, 9))])
    for missing in (first, last):
        without = naive([event for event in (first, last, *map(edit, range(2, 9))) if event != missing])
        if told(without)[measure] != told(must)[measure]:
            assert objections({measure: told(without)[measure]}, must, must)
            return
    pytest.fail(f"{measure} does not depend on either event")


@pytest.mark.parametrize("measure", sorted(JUDGED))
def test_an_answer_with_an_event_too_many_is_found_by_every_measure(measure: str) -> None:
    events = [edit(number, delta=1) for number in range(2, 9)]
    early = edit(98, user="new", page="new", event_time="2015-09-12T00:00:00Z", added=9, deleted=5, delta=4)
    late = {**early, "event_id": "e99", "event_time": "2015-09-12T23:59:00Z"}
    must, more = naive(events), naive([*events, early, late])
    assert objections({measure: told(more)[measure]}, must, must)


def test_an_event_that_is_not_acknowledged_yet_may_be_in_an_answer_or_not() -> None:
    ledger, clock = ledger_of()
    ledger.sent(edit(1))
    for found in ([], [edit(1)]):
        assert judged(told(naive(found)), ledger).tally.wrong == []
    clock.now = 109.0
    ledger.acknowledged(edit(1))
    assert judged(told(naive([edit(1)])), ledger).tally.wrong == []
    assert "edits: 0 is not in [1, 1]" in judged(told(naive([])), ledger).tally.wrong[0]


def test_what_was_acknowledged_after_the_stated_freshness_may_be_missing() -> None:
    ledger, clock = ledger_of()
    clock.now = 111.0
    ledger.sent(edit(1))
    ledger.acknowledged(edit(1))
    assert judged(told(naive([])), ledger).tally.wrong == []


def test_an_incomplete_answer_may_lack_events_and_never_has_too_many() -> None:
    ledger, _ = ledger_of()
    for number in (1, 2):
        ledger.sent(edit(number))
        ledger.acknowledged(edit(number))
    few = judged(told(naive([edit(1)])), ledger, complete=False, as_of=None, reasons=["the job is down"])
    assert (few.tally.wrong, few.tally.incomplete, dict(few.tally.reasons)) == ([], 1, {"the job is down": 1})
    many = judged(told(naive([edit(1), edit(2), edit(3)])), ledger, complete=False, as_of=None)
    assert many.tally.wrong


def test_a_copy_of_an_event_counts_once() -> None:
    ledger, _ = ledger_of()
    for _ in range(2):
        ledger.sent(edit(1))
        ledger.acknowledged(edit(1))
    assert judged(told(naive([edit(1)])), ledger).tally.wrong == []
    assert judged(told(naive([edit(1)])) | {"edits": 2}, ledger).tally.wrong


def test_events_of_other_keys_are_no_part_of_a_question() -> None:
    ledger, _ = ledger_of(EVERYTHING, ask("robot_edits", {"channel": "#en"}))
    for number in range(3):
        ledger.sent(edit(number, channel="#de"))
        ledger.sent(edit(10 + number))
    assert (ledger.may(0).edits, ledger.may(1).edits) == (3, 1)


def test_a_refusal_is_no_answer_and_an_unexpected_status_is_a_wrong_one() -> None:
    ledger, _ = ledger_of()
    tallies = {}
    for status in (503, 500):
        api = httpx.MockTransport(lambda _, status=status: httpx.Response(status))
        auditor = Auditor("", ledger, httpx.Client(transport=api, base_url="http://api"))
        auditor.ask(0)
        tallies[status] = (auditor.tally.judged, auditor.tally.unanswered, len(auditor.tally.wrong))
    assert tallies == {503: (0, 1, 0), 500: (0, 0, 1)}


def test_answers_are_fresh_once_every_question_has_a_complete_one_of_a_later_moment() -> None:
    ledger, _ = ledger_of()
    assert judged(told(naive([])), ledger).wait_fresh(109.0, 0) is not None
    assert judged(told(naive([])), ledger).wait_fresh(110.0, 0) is None
    assert judged(told(naive([])), ledger, complete=False).wait_fresh(109.0, 0) is None


def test_the_stream_holds_late_events_and_copies_of_recent_ones() -> None:
    events = [edit(number) for number in range(2_000)]
    sent = list(disturbed(events))
    ids = [event["event_id"] for event in sent]
    assert list(dict.fromkeys(ids)) == [event["event_id"] for event in events]
    assert len(sent) > len(events)
    late = {e["event_id"] for e in sent if e["event_time"] == "2015-09-12T00:15:00Z"}
    assert len(late) > 10
    assert len({(e["event_id"], e["event_time"]) for e in sent}) == len(events)
