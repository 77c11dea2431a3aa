"""The commands that run the platform, as far as they need no server."""

import configparser
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.settings import Settings
from core.errors import LeaseHeld
from core.leases import hold
from local import wait
from local.child import running
from local.errors import NotReady, PortTaken
from local.fetch import IVY, _expected
from local.processes import UnknownProcess, chosen, processes
from local.supervisor import configuration, socket_path
from local.tether import members, tethered
from local.tools import free_port, require_port

# a command that starts a child which ignores SIGTERM, tells both pids, and sleeps
STUBBORN = """
import os, subprocess, sys, time
deaf = "from signal import *; import time; signal(SIGTERM, SIG_IGN); print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
child.stdout.readline()
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def soon(check: object, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def test_what_a_parent_started_ends_when_the_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.run(sys.argv[1:], start_new_session=True)",
            *tethered([sys.executable, "-c", STUBBORN], grace=0.5),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    with parent.stdout as output:
        pids = [int(pid) for pid in output.readline().split()]
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert all(soon(lambda pid=pid: gone(pid)) for pid in pids)


def test_a_tethered_command_keeps_its_exit_status() -> None:
    command = tethered([sys.executable, "-c", "raise SystemExit(7)"])
    assert subprocess.run(command, start_new_session=True, check=False).returncode == 7


def test_a_tether_that_is_told_to_stop_leaves_nobody_behind() -> None:
    command = tethered([sys.executable, "-c", STUBBORN], grace=0.5)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as tether:
        assert tether.stdout
        pids = [int(pid) for pid in tether.stdout.readline().split()]
        assert set(pids) <= set(members(tether.pid))
        tether.terminate()
        assert tether.wait(10) == 128 + signal.SIGTERM
    assert all(gone(pid) for pid in pids)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="time is not divided by sessions here")
def test_all_that_a_command_starts_yields_to_other_sessions(tmp_path: Path) -> None:
    ours = Path("/proc/self/autogroup").read_text()
    with running(["sleep", "60"], tmp_path / "log", niceness=7) as process:
        theirs = Path(f"/proc/{process.pid}/autogroup").read_text()
    assert theirs.split()[-2:] == ["nice", "7"]
    assert Path("/proc/self/autogroup").read_text() == ours


def test_a_taken_port_names_the_setting_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}.*LAMBDA_REDIS_PORT"):
            require_port("Redis", port, "LAMBDA_REDIS_PORT")
    require_port("Redis", free_port(), "LAMBDA_REDIS_PORT")


def test_waiting_ends_with_the_last_reason_when_time_is_up() -> None:
    now = iter(range(100))
    with pytest.raises(NotReady, match=r"it did not answer within 10 s \(last: still asleep\)"):
        wait.until(lambda: "still asleep", "it", 10, clock=lambda: next(now), sleep=lambda _: None)


def test_a_lock_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, "it"), pytest.raises(LeaseHeld) as caught, hold(path, "it"):
        pass
    assert caught.value.pid == os.getpid()
    with hold(path, "it"):
        pass


def test_servers_that_are_elsewhere_are_not_started() -> None:
    settings = Settings(kafka_bootstrap="a:1", redis_url="redis://b:2")
    assert list(processes(settings)) == ["speed", "batch", "api", "replay"]
    assert list(chosen(settings, ["kafka", "speed"], {})) == ["speed"]


def test_an_unknown_process_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownProcess, match="'sped'; choose from kafka, redis, speed"):
        chosen(Settings(), ["sped"], {})


def test_arguments_reach_the_command_of_a_process() -> None:
    found = chosen(Settings(batch_interval=60), ["batch", "replay"], {"replay": ["--rate", "10%"]})
    assert found["replay"].command[-3:] == ("demo.replay", "--rate", "10%")
    assert found["batch"].command[-3:] == ("batch_layer/job.py", "--every", "60")


def test_the_configuration_of_the_supervisor_holds_every_process_and_starts_none_by_itself(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path / "100%")
    parser = configparser.RawConfigParser()
    parser.read_string(configuration(settings, chosen(settings, None, {}).values()))
    programs = {name: parser[name] for name in parser.sections() if name.startswith("program:")}
    assert list(programs) == [f"program:{name}" for name in processes(settings)]
    assert {program["autostart"] for program in programs.values()} == {"false"}
    assert {program["killasgroup"] for program in programs.values()} == {"true"}
    assert programs["program:kafka"]["stdout_logfile"] == f"{tmp_path}/100%%/logs/kafka.log"


def test_a_long_data_folder_still_has_a_short_socket_path(tmp_path: Path) -> None:
    assert len(str(socket_path(Settings(data_dir=tmp_path / ("x" * 120))))) <= 90


def test_every_jar_is_listed_exactly_and_without_a_host() -> None:
    text = IVY.read_text()
    assert text.count("<dependency ") == text.count('transitive="false"') == len(_expected(IVY))
    assert "://" not in text.replace("http://ant.apache.org/ivy/maven", "")


def test_tests_run_on_the_versions_that_the_platform_runs_on() -> None:
    runtime, dev = (pins(IVY.parents[1] / f"{name}.lock") for name in ("requirements", "requirements-dev"))
    assert runtime <= dev


def pins(path: Path) -> set[str]:
    return {line.split()[0] for line in path.read_text().splitlines() if line[:1].isalpha()}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_name_no_host_and_no_folder_of_a_machine(name: str) -> None:
    lines = (IVY.parents[1] / name).read_text().splitlines()
    assert [
        line for line in lines if "://" in line or " /" in line or "--index" in line or "--find" in line
    ] == []
    assert all("--hash=" in line or not line.startswith("    -") for line in lines)
