"""Fault points: nothing happens unless one is planted, it happens once, and every point is documented."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.settings import ROOT, Settings, variable
from core.errors import UnknownName
from core.faults import FOLDER, POINTS, STATUS, Action, plant, struck, struck_at

LAYERS = ("core", "batch_layer", "speed_layer", "serving_layer")
REACH = "from core.faults import reach; reach('manifest.before'); print('went on')"


def reach(folder: Path | None) -> "subprocess.Popen[str]":
    environment = {**os.environ, **({FOLDER: str(folder)} if folder else {})}
    command = [sys.executable, "-c", REACH]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_without_a_folder_nothing_happens() -> None:
    assert reach(None).communicate()[0] == "went on\n"


def test_a_point_where_nothing_is_planted_is_passed(tmp_path: Path) -> None:
    plant(tmp_path, "manifest.after", Action.ABORT)
    assert reach(tmp_path).communicate()[0] == "went on\n"
    assert not struck(tmp_path, "manifest.after")


def test_an_abort_strikes_once(tmp_path: Path) -> None:
    plant(tmp_path, "manifest.before", Action.ABORT)
    first, second = reach(tmp_path), reach(tmp_path)
    said = sorted([first.communicate()[0], second.communicate()[0]])
    assert (said, {first.returncode, second.returncode}) == (["", "went on\n"], {STATUS, 0})
    assert struck(tmp_path, "manifest.before")


def test_a_held_process_stands_at_its_point_until_it_is_killed(tmp_path: Path) -> None:
    plant(tmp_path, "manifest.before", Action.HOLD)
    held = reach(tmp_path)
    while not struck(tmp_path, "manifest.before"):
        time.sleep(0.01)
    assert held.poll() is None
    while struck_at(tmp_path, "manifest.before").read_text() != str(held.pid):
        time.sleep(0.01)
    held.kill()
    assert held.communicate()[0] == ""
    assert held.returncode == -signal.SIGKILL


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    plant(tmp_path, "manifest.before", Action.FULL)
    said = reach(tmp_path).communicate()
    assert said[0] == ""
    assert "OSError: [Errno 28] No space left on device: 'manifest.before'" in said[1]


def test_a_fault_that_is_planted_again_strikes_again(tmp_path: Path) -> None:
    for _ in range(2):
        plant(tmp_path, "manifest.before", Action.ABORT)
        assert not struck(tmp_path, "manifest.before")
        again = reach(tmp_path)
        assert (again.communicate()[0], again.returncode) == ("", STATUS)


def test_a_point_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'manifest\.before'"):
        plant(tmp_path, "manifest.befor", Action.ABORT)


def test_every_point_stands_in_the_code() -> None:
    sources = [path.read_text() for layer in LAYERS for path in (ROOT / layer).glob("*.py")]
    found = re.findall(r'\breach\("([^"]+)"\)', "".join(sources))
    assert set(found) == set(POINTS)


def test_every_point_is_documented_as_it_is() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z.]+)` \| (.*) \|$", page, re.MULTILINE))
    wanted = {n: f"{p.process}{', in a task' if p.task else ''} | {p.what}" for n, p in POINTS.items()}
    assert rows == wanted


def test_the_folder_is_a_setting_that_child_processes_get(tmp_path: Path) -> None:
    assert variable("faults_dir") == FOLDER
    assert Settings(faults_dir=tmp_path).environment()[FOLDER] == str(tmp_path)
