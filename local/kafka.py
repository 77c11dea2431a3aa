"""`python -m local.kafka`: one Kafka broker (KRaft) on 127.0.0.1, in the foreground. SIGTERM stops it.

Its data stands in {data_dir}/kafka. It is formatted once, on the first start.
"""

import base64
import os
import subprocess
import sys
import uuid
from pathlib import Path

from conf.settings import ROOT, Settings, get_settings, variable
from core.errors import LambdaError
from local.errors import LocalError
from local.fetch import jars
from local.tools import java, require_port

__all__ = ["prepare"]

TEMPLATE = ROOT / "conf" / "kafka-server.properties"


class FormatFailed(LocalError):
    """Kafka refused to format its folder."""

    def __init__(self, folder: Path, said: str) -> None:
        super().__init__(f"Kafka could not format {folder}:\n{said.strip()[-1500:]}")
        self.folder = folder


def prepare(settings: Settings) -> list[str]:
    """Makes the broker's folder ready and gives the command that runs it. Raises PortTaken, FormatFailed."""
    require_port("Kafka", settings.kafka_port, variable("kafka_port"))
    require_port("Kafka's controller", settings.kafka_controller_port, variable("kafka_controller_port"))
    folder = settings.data_dir / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    properties.write_text(_properties(settings, folder / "log"))
    java_kafka = _java(settings)
    if not (folder / "log" / "meta.properties").is_file():
        _format(java_kafka, properties)
    return [*java_kafka, "kafka.Kafka", str(properties)]


def _properties(settings: Settings, log_dir: Path) -> str:
    return TEMPLATE.read_text().format_map(
        {
            "port": settings.kafka_port,
            "controller_port": settings.kafka_controller_port,
            "partitions": settings.topic_partitions,
            "log_dir": log_dir,
        }
    )


def _java(settings: Settings) -> list[str]:
    class_path = os.pathsep.join(map(str, jars(settings, "kafka")))
    return [
        java(),
        "-Xms128m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-cp",
        class_path,
    ]


def _format(java_kafka: list[str], properties: Path) -> None:
    command = [*java_kafka, "kafka.tools.StorageTool", "format", "--standalone", "-t", _cluster_id()]
    done = subprocess.run([*command, "-c", str(properties)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise FormatFailed(properties.parent, done.stdout + done.stderr)


def _cluster_id() -> str:
    # Kafka's own form of a UUID; its parser takes a leading dash for an option
    return "L" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def main() -> int:
    try:
        command = prepare(get_settings())
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
