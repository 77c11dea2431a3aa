"""Kappa beside Lambda: the pure parts of the comparison, the accounting and the report."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.kappa.change import WAYS as EVERY_WAY
from bench.kappa.change import Changed, way_settings
from bench.kappa.changed import CHANGED, VIEWS, counts
from bench.kappa.comparison import Comparison, agree
from bench.kappa.questions import Question, questions
from bench.kappa.report import markdown, rows
from bench.kappa.trial import Figures, Plan, parts
from bench.kappa.usage import Meter, Phase, Stat, disk_usage, parse_stat, roles, total
from bench.kappa.watch import Round, Seen, Told, summary, told
from conf.definitions.wikipedia import VIEWS as FORMER
from conf.settings import Settings
from core.evaluation import evaluator
from demo.probes import Probe
from demo.truth import Answer, Truth, time_of
from demo.wikipedia import WIKIPEDIA
from local.wait import until

TYPES = {"isRobot": "boolean", "namespace": "string"}
NOON = datetime(2015, 9, 12, 12, tzinfo=UTC)


def edit(number: int, at: str = "12:00:00.000", **values: Any) -> dict[str, Any]:
    usual = {
        "event_id": f"e{number}", "event_time": f"2015-09-12T{at}Z", "channel": "#en.wikipedia", "page": "A",
        "user": "ann", "namespace": "Main", "isRobot": False, "countryIsoCode": None, "added": 1,
        "deleted": 0, "delta": 1,
    }  # fmt: skip
    return usual | values


def answer(*measures: dict[str, Any], first: datetime = NOON, complete: bool = True) -> dict[str, Any]:
    begins = [first + timedelta(hours=number) for number in range(len(measures))]
    return {
        "complete": complete,
        "reasons": [] if complete else ["a reason"],
        "rows": [{"from": f"{b:%FT%TZ}", "measures": m} for b, m in zip(begins, measures, strict=True)],
    }


# ---- the changed definition


def test_one_view_is_changed_and_no_other() -> None:
    changed = [new.name for old, new in zip(FORMER, VIEWS, strict=True) if old.meaning != new.meaning]
    assert changed == [CHANGED]


@given(st.booleans(), st.sampled_from(["Main", "User talk", "main", ""]))
def test_the_changed_condition_in_python_is_that_of_the_definition(robot: bool, namespace: str) -> None:
    event = {"isRobot": robot, "namespace": namespace}
    where = next(view.where for view in VIEWS if view.name == CHANGED)
    assert counts(event) is evaluator(where or "", TYPES)(event)


def test_definitions_beside_the_old_ones_share_the_log_and_redis_and_nothing_else(tmp_path: Path) -> None:
    old = Settings(data_dir=tmp_path, redis_port=1001, kafka_port=1002)
    new = way_settings(old, "beside")
    assert (new.bootstrap, new.redis_address) == (old.bootstrap, old.redis_address)
    assert new.namespace != old.namespace and new.data_dir != old.data_dir and new.api_port != old.api_port
    assert not new.runs_kafka and not new.runs_redis
    assert way_settings(old, "in place").data_dir == old.data_dir
    assert {way_settings(old, way).application for way in EVERY_WAY} == {"bench.kappa.changed"}


# ---- questions


def naive_rows(question: Question, truth: Truth) -> list[tuple[datetime, list[str]]]:
    """Row by row, each from a pass over all events."""
    hours = {"": 24, "hour": 1, "day": 24}[question.every]
    start, end = (datetime.fromisoformat(text) for text in (question.start, question.end))
    if not question.every:
        return [(start, [e["event_id"] for e in WIKIPEDIA.oracle.facts(question, truth)])]
    found = []
    while start < end:
        upto = start + timedelta(hours=hours)
        inside = [
            e["event_id"] for e in WIKIPEDIA.oracle.facts(question, truth) if start <= time_of(e) < upto
        ]
        found.append((start, inside))
        start = upto
    return found


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 23)), max_size=12),
    st.sampled_from(["", "hour", "day"]),
)
def test_rows_of_a_series_are_those_of_a_pass_for_each(times: list[tuple[int, int]], every: str) -> None:
    events = [
        edit(n) | {"event_time": f"2015-09-{12 + day}T{hour:02}:30:00.000Z"}
        for n, (day, hour) in enumerate(times)
    ]
    question, truth = Question("wiki", {}, end="2015-09-14T00:00:00Z", every=every), Truth(events)
    expected = [(begin, [e["event_id"] for e in facts]) for begin, facts in question.expected(truth)]
    assert expected == naive_rows(question, truth)


def test_questions_are_the_same_each_time_and_ask_for_every_view() -> None:
    day = [edit(n, user=f"u{n}", page=f"p{n}") for n in range(40)]
    asked = questions(day, 3)
    assert asked == questions(day, 3)
    assert {question.view for question in asked} == {view.name for view in VIEWS}
    assert {question.every for question in asked} == {"", "hour", "day"}
    assert {"2015-09-15T00:00:00Z"} < {question.end for question in asked}
    assert all(question.start < question.end for question in asked)
    assert Question("wiki", {}, every="day").parameters["every"] == "day"


# ---- comparing


def test_a_measure_that_is_wrong_is_named() -> None:
    compared, truth = Comparison(), Truth([edit(1), edit(2, "13:10:00.000")])
    question = Question("wiki", {}, "2015-09-12T12:00:00Z", "2015-09-12T14:00:00Z", every="hour")
    expected = question.expected(truth)
    compared.against_truth("Kappa", question.title, answer({"edits": 1}, {"edits": 1}), expected)
    assert (compared.exact, compared.wrong) == (2, [])
    compared.against_truth("Kappa", question.title, answer({"edits": 1}, {"edits": 2}), expected)
    assert compared.wrong == [f"Kappa, {question.title}: edits of 12 13:00: 2 is not 1"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (answer({"edits": 1}, complete=False), "incomplete: ['a reason']"),
        (answer(), "0 rows, not the 1"),
        (answer({"edits": 1}, first=NOON + timedelta(hours=1)), "1 rows, not the 1"),
        (
            answer({"editors": {"estimate": 2.0, "lower": 2.0, "upper": 3.0}}),
            "editors of 12 12:00: ~2 is not 1",
        ),
    ],
)
def test_whatever_else_an_answer_may_lack_is_told(found: dict[str, Any], said: str) -> None:
    compared = Comparison()
    compared.against_truth("Lambda", "wiki", found, [(NOON, Answer([edit(1)]))])
    assert len(compared.wrong) == 1 and said in compared.wrong[0]


def test_two_architectures_must_agree() -> None:
    compared = Comparison()
    compared.with_each_other("wiki", answer({"edits": 1, "delta": 5}), answer({"edits": 1, "delta": 6}))
    assert (compared.between, compared.wrong) == (2, ["both, wiki: delta: 5 and 6"])


def quantiles(*bounds: tuple[float, float], count: int = 5) -> dict[str, Any]:
    listed = [{"rank": n, "value": low, "lower": low, "upper": high} for n, (low, high) in enumerate(bounds)]
    return {"count": count, "quantiles": listed}


def most(**bounds: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"value": name, "lower": low, "upper": high} for name, (low, high) in bounds.items()]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1, True),
        (1, 2, False),
        (None, 0, False),
        ({"estimate": 2.0}, {"estimate": 2.0}, True),
        ({"estimate": 2.0}, {"estimate": 2.1}, False),
        (quantiles((1, 3)), quantiles((3, 4)), True),
        (quantiles((1, 3)), quantiles((3.5, 4)), False),
        (quantiles((1, 3)), quantiles((1, 3), count=6), False),
        (most(a=(1, 3)), most(a=(2, 4), b=(1, 1)), True),
        (most(a=(1, 3)), most(a=(4, 4)), False),
        (most(a=(1, 3)), [], False),
    ],
)
def test_what_agrees(left: Any, right: Any, same: bool) -> None:
    assert agree(left, right) is agree(right, left) is same


# ---- accounting


def test_a_stat_is_read_whatever_the_process_is_called() -> None:
    text = Path(f"/proc/{os.getpid()}/stat").read_text()
    head, _, tail = text.rpartition(")")
    odd = f"{head.partition('(')[0]}(a (b) c){tail}"
    found = parse_stat(text)
    assert parse_stat(odd) == found
    assert (found.pid, found.parent) == (os.getpid(), os.getppid())
    assert found.cpu == pytest.approx(sum(os.times()[:2]), abs=0.2)
    assert found.resident > 1 << 20


def test_what_a_process_starts_has_its_role() -> None:
    tree = {2: 1, 3: 2, 4: 3, 5: 4, 6: 2, 7: 6, 8: 99}
    stats = [Stat(pid, parent, 0, 0.0, 0) for pid, parent in tree.items()]
    commands = {
        2: "python -m local.tether supervisord", 3: "python -m local.tether speed_layer/job.py", 4: "bash",
        5: "python -m pyspark.daemon", 6: "python -m local.tether python -m local.kafka",
        7: "java kafka.Kafka",
        8: "python -m serving_layer",
    }  # fmt: skip
    expected = {2: "supervisor", 3: "speed", 4: "speed", 5: "speed", 6: "kafka", 7: "kafka"}
    assert roles(stats, 1, commands) == expected


def _ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


BURN = "import sys, time\nwhile time.process_time() < 0.6: pass\nprint('burnt', flush=True)\nsys.stdin.read()"


def test_a_phase_holds_what_its_processes_used_also_those_that_ended() -> None:
    with Meter().running() as meter:
        with meter.phase() as phase:
            child = subprocess.Popen(
                [sys.executable, "-c", BURN, "local.redis"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert child.stdout is not None and child.stdin is not None
            child.stdout.readline()
            meter.look()
            child.stdin.close()
            until(lambda: None if _ended(child.pid) else "not yet", "the end of the child", 60)
            meter.look()  # nobody has waited for it: it is there, without a command line
            child.stdout.close()
            child.wait()
        with meter.phase() as after:
            pass
    assert phase.cpu["redis"] == pytest.approx(0.6, abs=0.25)
    assert phase.peak > 4 << 20
    assert total(after) == 0.0


def test_phases_add_up() -> None:
    both = Phase(1.0, {"speed": 1.0}, 5) + Phase(2.0, {"speed": 2.0, "batch": 4.0}, 3)
    assert both == Phase(3.0, {"speed": 3.0, "batch": 4.0}, 5)
    assert total(both) == 7.0


def test_a_file_with_two_names_takes_its_room_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    empty = disk_usage(tmp_path)
    (tmp_path / "deep" / "file").write_bytes(b"x" * 100_000)
    once = disk_usage(tmp_path)
    (tmp_path / "name").hardlink_to(tmp_path / "deep" / "file")
    assert once - empty >= 100_000
    assert disk_usage(tmp_path) == once
    assert disk_usage(tmp_path / "absent") == 0


# ---- what readers see of a change


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"complete": False, "reasons": ["why"]}, Told("incomplete", reasons=("why",))),
        ({"complete": True, "as_of": "2015-09-12T11:59:59Z"}, Told("behind", lag=11.0)),
        ({"complete": True, "as_of": "2015-09-12T12:00:00Z", "edits": 1}, Told("answers", True, 10.0)),
        ({"complete": True, "as_of": "2015-09-12T12:00:00Z", "edits": 2}, Told("answers", False, 10.0)),
    ],
)
def test_only_what_says_that_it_holds_all_is_judged(found: dict[str, Any], expected: Told) -> None:
    found["rows"] = [{"measures": {"edits": found.get("edits", 0)}}]
    since = NOON.timestamp()
    assert told(found, Answer([edit(1)]), since, since + 10) == expected


def test_the_time_without_an_answer_is_that_in_which_neither_definition_answers() -> None:
    answers, late = Told("answers", lag=0.5), Told("behind")
    incomplete = Told("incomplete", reasons=("other definitions",))
    rounds = [
        Round(0.0, answers, Told("away")), Round(1.0, incomplete, Told("away")), Round(4.0, incomplete, late),
        Round(6.0, Told("answers", right=False, lag=2.0), late), Round(9.0, incomplete, answers),
    ]  # fmt: skip
    assert summary(rounds) == Seen(10, 9.0, 5.0, 1, 2.0, ["other definitions"])


# ---- the plan and the report


def test_parts_are_all_events_in_order_with_a_late_one_and_a_copy_at_the_end() -> None:
    plan = Plan([edit(n) for n in range(10)], days=2)
    events = plan.events()
    assert len(events) == 22
    assert events[-1] == events[-3] and events[-2]["event_id"] == "late-but-counted"
    found = parts(events, plan.shares)
    assert [len(part) for part in found] == [11, 6, 5]
    assert [event for part in found for event in part] == events


def figures(name: str, *changes: Changed) -> Figures:
    work = Phase(10.0, {"speed": 4.0, "api": 1.0}, 3 << 30)
    return Figures(
        name, 1000, start=work, filled=work, idle=Phase(10.0, {"speed": 1.0}), read={"tiles": 1, "fields": 2},
        latency=[0.002], freshness=[0.5, 1.0], redis=5 << 20, disk={"log": 7 << 20}, cuts=3,
        loads=[2.5, 7.25], past="answered",
        changes=list(changes),
    )  # fmt: skip


def changed(way: str) -> Changed:
    return Changed(
        way, {"build": 3.4}, Phase(8.0, {"batch": 5.0}), Seen(40, 7.6, 1.25, 0, 0.8, ["a reason"]), 9 << 20
    )


def test_the_report_has_each_figure_of_both_beside_what_it_means() -> None:
    left = replace(figures("Lambda", changed("promoted")), published=Phase(5.0, {"batch": 20.0}, 4 << 30))
    found = {row.what: row for row in rows(left, figures("Kappa", changed("beside"), changed("in place")))}
    million = found["CPU of all that, for a million events"]
    assert million.lambda_ == "25000 s (batch 20000, speed 4000, api 1000)"
    assert million.kappa == "5000 s (speed 4000, api 1000)"
    assert found["CPU to send and answer, for a million events"].lambda_ == million.kappa
    assert (found["CPU of publishing"].lambda_, found["CPU of publishing"].kappa) == ("20 s (batch 20)", "-")
    assert found["peak memory (RSS of all processes)"].lambda_ == "4,096 MB"
    assert (found["publishing"].lambda_, found["publishing"].kappa) == ("5 s", "-")
    assert found["freshness, p50 / p99"].kappa == "500 / 1,000 ms"
    assert found["changed definition (promoted; in place)"].lambda_ == "8 s (build 3)"
    assert found["readers meanwhile"].kappa == "1.2 s without an answer; 40 asked, 0 wrong; a reason"
    assert found["log"].kappa == "7 MB"
    assert found["load average of the machine meanwhile"].kappa == "2.5 to 7.2"


def test_the_report_is_markdown_that_states_machine_and_verdict() -> None:
    compared = Comparison(exact=1200, approximate=30, between=600, wrong=["Kappa, wiki: edits"])
    text = markdown(rows(figures("Lambda"), figures("Kappa")), compared, "2 cores, load average 1.0", 1000)
    lines = text.splitlines()
    assert lines[0].startswith("1,200 exact and 30 approximate") and lines[0].endswith("1 wrong.")
    assert lines[1] == "- WRONG Kappa, wiki: edits"
    assert "Machine: 2 cores, load average 1.0." in lines
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {5} and len(table) > 14


def test_probes_of_the_day_are_asked_over_all_days_and_their_ranges_stay() -> None:
    asked = questions([edit(n) for n in range(20)], 2)
    whole = [q for q in asked if isinstance(q, Probe) and q.view == "wiki" and not q.every]
    assert whole[0].end == "2015-09-14T00:00:00Z"
    assert (whole[1].start, whole[1].end) == ("2015-09-12T11:30:00Z", "2015-09-12T12:30:00Z")
