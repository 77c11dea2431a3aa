"""The platform under its supervisor: restarts, refusals, nothing left behind. Redis stands for the rest."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from conf.settings import Settings
from local import wait
from local.errors import PortTaken
from local.platform import AlreadyRuns, Platform, ProcessFailed
from local.spark_submit import submit_command
from local.tools import free_port

HELLO = """
import os
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.range(3).write.format("delta").save(sys.argv[1])
rows = spark.read.format("delta").load(sys.argv[1]).count()
niceness = os.getpriority(os.PRIO_PROCESS, 0)
print("rows", rows, spark.conf.get("spark.sql.session.timeZone"), "nice", niceness)
"""


@pytest.fixture
def alone(tmp_path: Path) -> Settings:
    """Settings that share nothing with the run's servers."""
    return Settings(data_dir=tmp_path / "data", redis_port=free_port(), api_port=free_port())


def until(check: Callable[[], bool], what: str) -> None:
    wait.until(lambda: None if check() else "not yet", what, 30)


def processes_in(folder: Path) -> list[str]:
    """Commands that name the folder, ours not counted."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            folder_of = (path.parent / "cwd").readlink()
        except OSError:
            continue
        if str(folder) in command or folder_of.is_relative_to(folder):
            found.append(command)
    return found


def test_a_killed_process_is_started_again_with_its_data(alone: Settings) -> None:
    with Platform(alone, ["redis"]) as platform, Redis(port=alone.redis_port) as client:
        client.config_set("appendfsync", "always")
        client.set("kept", "1")
        before = platform.status()["redis"].pid
        platform.kill("redis")
        until(lambda: platform.status()["redis"].pid not in (0, before), "another redis")
        platform.wait_for("redis")
        assert client.get("kept") == b"1"
        platform.stop("redis")
        assert platform.status()["redis"].state == "STOPPED"
        platform.start("redis")
    assert processes_in(alone.data_dir) == []
    assert [path.name for path in alone.run_dir.iterdir()] == ["lock"]


def test_a_second_platform_in_the_same_folder_is_refused(alone: Settings) -> None:
    with Platform(alone, ["redis"]), pytest.raises(AlreadyRuns, match="LAMBDA_DATA_DIR"):
        Platform(alone, ["redis"]).__enter__()


def test_a_taken_port_is_named_before_anything_starts(alone: Settings, tmp_path: Path) -> None:
    elsewhere = alone.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    with Platform(alone, ["redis"]), pytest.raises(PortTaken, match="LAMBDA_REDIS_PORT"):
        Platform(elsewhere, ["redis"]).__enter__()


@pytest.mark.slow
def test_a_process_that_does_not_stay_up_is_named_with_the_end_of_its_log(alone: Settings) -> None:
    broken = {"replay": ["--no-such-option"]}
    platform = Platform(alone, ["replay"], arguments=broken)
    with pytest.raises(ProcessFailed, match="replay does not stay up") as caught:
        platform.__enter__()
    assert "no-such-option" in str(caught.value)
    assert processes_in(alone.data_dir) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_all_of_it_ends_when_its_parent_is_told_to_stop_or_killed(alone: Settings, number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "local.up", "redis"],
        env={**os.environ, **alone.environment()},
        stdout=subprocess.PIPE,
        text=True,
    ) as up:
        assert up.stdout
        while "Ctrl-C" not in up.stdout.readline():
            assert up.poll() is None
        assert len(processes_in(alone.data_dir)) >= 2
        up.send_signal(number)
        until(lambda: processes_in(alone.data_dir) == [], "the end of every process")
    assert up.returncode == (0 if number != signal.SIGKILL else -signal.SIGKILL)


@pytest.mark.slow
def test_a_script_runs_by_spark_submit(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", batch_driver_memory="1g", batch_nice=3)
    script = tmp_path / "batch_layer" / "hello.py"
    script.parent.mkdir()
    script.write_text(HELLO)
    command = submit_command(settings, str(script), str(tmp_path / "table"))
    assert "--conf spark.driver.memory=1g" in " ".join(command)
    done = subprocess.run(
        [sys.executable, "-m", "local.spark_submit", *command[-2:]],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stdout) == (
        0,
        f"rows 3 UTC nice {os.getpriority(os.PRIO_PROCESS, 0) + 3}\n",
    ), done.stderr[-3000:]
