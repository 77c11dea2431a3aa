"""What docs/client.md and the README show of the client is run, against an API over fakes."""

import re
import shlex
from collections.abc import Iterator
from io import StringIO

import pytest

from client import Client, Retries
from client.query import run
from conf.settings import ROOT
from tests.client_kit import served
from tests.serving_kit import KEY
from tests.unit.test_serving_api import Stand

PAGE = (ROOT / "docs" / "client.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ query ?(.*)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(Stand(tmp_path_factory.mktemp("data")).client.app) as url:
        yield url


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_of_the_page_runs(program: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    here = program.replace("http://127.0.0.1:8000", url).replace('admin_key="..."', f"admin_key={KEY!r}")
    exec(compile(here, "client.md", "exec"), {"__name__": "client.md"})
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_runs(command: str, url: str) -> None:
    out, err = StringIO(), StringIO()
    arguments = [*shlex.split(command), "--url", url]
    assert run(arguments, out, err, {}, lambda at: Client(at, retries=Retries(most=0))) == 0, err.getvalue()
    assert out.getvalue()


def test_the_page_has_programs_and_commands() -> None:
    assert len(PROGRAMS) >= 6 and len(COMMANDS) >= 5


def test_the_readme_shows_a_program_that_is_one() -> None:
    programs = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (shown,) = [program for program in programs if "from client import" in program]
    compile(shown, "README.md", "exec")
