"""A JVM that outlives the drivers which use it: a Spark job of the fault suite then starts in seconds.

    python -m tests.e2e.warm serve FILE SCRIPT              the JVM, for drivers of SCRIPT, one at a time
    python -m tests.e2e.warm drive FILE SCRIPT [ARGUMENTS]  a driver; with its own JVM if there is no FILE

FILE says where the JVM listens. A driver that dies leaves its Spark context behind, whose tasks and workers
go on until it is stopped, as the end of its own JVM would stop it; Delta's memory of tables goes as well.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from py4j.clientserver import ClientServer, JavaParameters
from pyspark.java_gateway import launch_gateway

from conf.settings import Settings, get_settings
from local.child import running
from local.spark import spark_environment
from local.spark_submit import job_command, submit_command
from local.wait import until

__all__ = ["Gateway", "drive_command", "serving"]

_SUBMITTED = "PYSPARK_SUBMIT_ARGS"
_PATIENCE = 120.0


@dataclass(frozen=True)
class Gateway:
    """Where a JVM listens, and the secret that it asks for."""

    port: int
    secret: str

    @classmethod
    def read(cls, path: Path) -> "Gateway":
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """The file appears as a whole, and is its owner's alone."""
        draft = path.with_suffix(".draft")
        draft.touch(0o600)
        draft.write_text(json.dumps(asdict(self)))
        draft.rename(path)

    @property
    def environment(self) -> dict[str, str]:
        """What spark-submit tells a driver of its JVM."""
        where = {"PYSPARK_GATEWAY_PORT": str(self.port), "PYSPARK_GATEWAY_SECRET": self.secret}
        return {**where, **spark_environment(), "PYTHONHASHSEED": "0"}

    def clear(self) -> None:
        """Ends what a driver left: context, queries, tasks and workers, and Delta's memory of tables."""
        client = ClientServer(JavaParameters(port=self.port, auth_token=self.secret))
        try:
            spark = client.jvm.org.apache.spark
            left = getattr(getattr(spark, "SparkContext$"), "MODULE$").getActive()
            if left.isDefined():
                left.get().stop()
            spark.sql.delta.DeltaLog.clearCache()
        finally:
            client.close()


@contextmanager
def serving(settings: Settings, file: Path, script: str) -> Iterator[None]:
    """A JVM for drivers of `script` runs while the block does, and `file` is there."""
    command, log = _command("serve", file, script), settings.logs_dir / f"{file.name}.log"
    with running(command, log, settings.environment()):
        until(lambda: None if file.exists() else "not yet", f"the JVM of {script}", _PATIENCE, log=log)
        try:
            yield
        finally:
            file.unlink()


def drive_command(file: Path, script: str, *arguments: str) -> list[str]:
    """A driver of the JVM that `file` names, or one that starts its own if there is no such file."""
    return _command("drive", file, script, *arguments)


def _command(verb: str, file: Path, script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.e2e.warm", verb, str(file), script, *arguments]


def _serve(file: Path, script: str) -> int:
    os.environ.update(spark_environment())
    flags = submit_command(get_settings(), script)[1:-1]
    os.environ[_SUBMITTED] = shlex.join([*flags, "pyspark-shell"])
    listening = launch_gateway().gateway_parameters  # type: ignore[no-untyped-call]
    Gateway(listening.port, listening.auth_token).write(file)
    signal.pause()
    return 0


def _drive(file: Path, script: str, *arguments: str) -> int:
    """Gives the exit status of the driver, once nothing of it is left in the JVM."""
    if not file.exists():
        command = job_command(script, *arguments)
        os.execv(command[0], command)
    gateway = Gateway.read(file)
    gateway.clear()
    # who tells this process to stop tells the driver as well, and what that leaves is to be cleared
    signal.signal(signal.SIGTERM, lambda *_: None)
    command, environment = [sys.executable, script, *arguments], {**os.environ, **gateway.environment}
    status = subprocess.run(command, env=environment, check=False).returncode
    gateway.clear()
    return status


if __name__ == "__main__":
    sys.exit({"serve": _serve, "drive": _drive}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:]))
