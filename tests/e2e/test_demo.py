"""The main job on real events, and what a user does with it afterwards."""

import os
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from conf.settings import ROOT
from tests.e2e.conftest import Played

# the first test waits for the whole demo: minutes on a free machine, more on a busy one
pytestmark = pytest.mark.timeout(1800)

README = ROOT / "README.md"


def test_every_answer_of_the_demo_is_right(demo: Played) -> None:
    assert demo.right


def test_the_notebook_runs_on_the_demo(demo: Played, tmp_path: Path) -> None:
    notebook = nbformat.reads((ROOT / "notebooks" / "from_event_to_answer.ipynb").read_text(), as_version=4)  # type: ignore[no-untyped-call]
    environment = {**os.environ, **demo.settings.environment()}
    NotebookClient(notebook, timeout=120).execute(cwd=str(tmp_path), env=environment)
    plots = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert sum("image/png" in output["data"] for output in plots) == 2


def test_the_curl_lines_of_the_readme_answer(demo: Played) -> None:
    lines = re.findall(r"^\$ (curl .*)$", README.read_text(), flags=re.MULTILINE)
    assert lines
    for line in lines:
        command = line.replace("http://127.0.0.1:8000", demo.settings.api_url)
        done = subprocess.run(
            ["bash", "-c", f"{command} --fail --silent"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stdout} {done.stderr}"
