"""How a driver of the fault suite finds its JVM."""

import os
import stat
from pathlib import Path

import pytest

from local.spark_submit import job_command
from tests.e2e import warm
from tests.e2e.warm import Gateway


def test_where_a_jvm_listens_is_told_to_its_owner_alone(tmp_path: Path) -> None:
    file, gateway = tmp_path / "batch-jvm", Gateway(12345, "secret")
    gateway.write(file)
    assert Gateway.read(file) == gateway
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_driver_is_told_of_its_jvm_as_spark_submit_tells_it() -> None:
    told = Gateway(12345, "secret").environment
    assert told["PYSPARK_GATEWAY_PORT"] == "12345"
    assert told["PYSPARK_GATEWAY_SECRET"] == "secret"
    assert told["PYTHONHASHSEED"] == "0"


def test_without_a_jvm_to_share_a_driver_starts_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Became(Exception):
        pass

    def become(_path: str, command: list[str]) -> None:
        raise Became(command)

    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(Became) as became:
        warm._drive(tmp_path / "none", "batch_layer/job.py", "--archive-only")
    assert became.value.args[0] == job_command("batch_layer/job.py", "--archive-only")
