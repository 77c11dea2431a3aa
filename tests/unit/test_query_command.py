"""The `query` command: what a person sees, and the status it ends with."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import pytest

from client import Client, Retries
from client.query import run
from client.showing import sparkline, table
from conf.settings import ROOT
from tests.client_kit import Naps, Scripted, problem, served, stream
from tests.unit.test_client import event
from tests.unit.test_serving_api import Stand

DAY = ["from=2015-09-12", "to=2015-09-13"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(Stand(tmp_path_factory.mktemp("data")).client.app) as url:
        yield url


def told(url: str, *arguments: str) -> tuple[int, str, str]:
    """Status, output and errors of a command."""
    out, err = StringIO(), StringIO()
    status = run([*arguments, "--url", url], out, err, {}, lambda at: Client(at, retries=Retries(most=0)))
    return status, out.getvalue(), err.getvalue()


def test_without_a_view_it_lists_what_there_is(url: str) -> None:
    status, out, _ = told(url)
    assert status == 0
    assert (
        "edits_by_page" in out
        and "channel, page" in out
        and "ask: query edits_by_page channel=... page=..." in out
    )


def test_one_answer_is_a_table_of_measures_by_layer(url: str) -> None:
    status, out, _ = told(url, "edits_by_page", "channel=#en.wikipedia", "page=Ada", *DAY)
    lines = out.splitlines()
    assert status == 0
    assert (
        lines[0]
        == "edits_by_page channel=#en.wikipedia page=Ada, 2015-09-12 00:00:00Z to 2015-09-13 00:00:00Z"
    )
    assert lines[2].split() == ["measure", "merged", "batch", "speed"]
    assert lines[4].split() == ["edits", "4", "2", "2"]
    assert "complete as of 2015-09-12 12:00:00Z; version 1" in lines[-1]


def test_a_series_is_a_sparkline_or_with_rows_a_table(url: str) -> None:
    _, out, _ = told(url, "wiki", "every=hour", *DAY)
    (edits,) = [line for line in out.splitlines() if line.startswith("edits ")]
    assert "▁▁▁▁▁▁█▃▁" in edits and edits.split()[-3:] == ["0", "4", "0"]
    _, out, _ = told(url, "wiki", "every=hour", "--rows", *DAY)
    assert len([line for line in out.splitlines() if line.startswith("2015-09-12")]) == 24


def test_keys_are_ranked_and_listed(url: str) -> None:
    _, out, _ = told(url, "edits_by_channel", "--top", "edits", "-n", "1")
    line = out.splitlines()[2].split()
    assert line[:3] == ["1", "#en.wikipedia", "4"] and "none of 1 other keys has more than 1" in out
    _, out, _ = told(url, "edits_by_channel", "order=least", "--top", "edits", "-n", "1")
    assert out.splitlines()[2].split()[:3] == ["1", "#de.wikipedia", "1"]
    _, out, _ = told(url, "edits_by_channel", "--keys", "-n", "1", *DAY)
    assert len([line for line in out.splitlines() if line.startswith("#")]) == 1 and "and more" in out


def test_a_number_is_explained(url: str) -> None:
    status, out, _ = told(url, "edits_by_user", "user=mary", "--explain", *DAY)
    assert status == 0 and "batch: version 1" in out and "speed: generation g1" in out


def test_json_is_what_the_api_answers(url: str) -> None:
    for arguments in (["wiki"], [], ["edits_by_channel", "--top", "edits"]):
        status, out, _ = told(url, *arguments, "--json")
        assert status == 0 and isinstance(json.loads(out), dict)


def test_a_problem_is_told_with_its_way_out(url: str) -> None:
    status, out, err = told(url, "edits_by_pag")
    assert (status, out) == (1, "")
    assert err.startswith("There is no such view: ") and "did you mean 'edits_by_page'?" in err


def test_an_api_that_is_away_is_told(url: str) -> None:
    status, _, err = told("http://127.0.0.1:1", "wiki")
    assert status == 1 and "http://127.0.0.1:1" in err and "make up" in err


@pytest.mark.parametrize("arguments", [["wiki", "hour"], ["wiki", "--nonsense"], ["wiki", "=x"]])
def test_a_command_that_cannot_be_understood_ends_with_two(arguments: list[str], url: str) -> None:
    with pytest.raises(SystemExit) as ended:
        told(url, *arguments)
    assert ended.value.code == 2


def test_live_shows_each_new_answer() -> None:
    transport, out, err = Scripted(stream(event(1), event(2)), problem(404, "gone")), StringIO(), StringIO()
    status = run(["wiki", "--live"], out, err, {}, lambda at: Client(at, transport=transport, sleep=Naps()))
    edits = [line.split()[1] for line in out.getvalue().splitlines() if line.startswith("edits ")]
    assert (status, edits, err.getvalue()) == (1, ["1", "2"], "No: it is so\n")


def test_the_address_is_that_of_the_settings() -> None:
    addresses = list[str]()

    def connect(url: str) -> Client:
        addresses.append(url)
        return Client(url, transport=Scripted(), retries=Retries(most=0))

    for environ in ({}, {"LAMBDA_API_HOST": "0.0.0.0", "LAMBDA_API_PORT": "9000"}):
        run(["wiki"], StringIO(), StringIO(), environ, connect)
    assert addresses == ["http://127.0.0.1:8000", "http://127.0.0.1:9000"]


def test_it_is_a_command(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "client.query", "wiki", *DAY, "--url", url],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "editors" in done.stdout, done.stderr


def test_a_sparkline_is_as_wide_as_asked_and_blank_where_nothing_is() -> None:
    assert sparkline([0.0, None, 7.0]) == "▁ █"
    assert sparkline([3.0] * 4) == "▁▁▁▁"
    assert len(sparkline([float(n) for n in range(1000)], width=50)) == 50
    assert sparkline([]) == ""


def test_a_table_is_as_wide_as_its_cells() -> None:
    assert table(["a", "bb"], [["ccc", "d"]]) == "a    bb\n---  --\nccc  d"
