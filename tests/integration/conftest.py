"""Real servers for a whole run: one Spark session, one Kafka, one Redis. Topics and data are a test's own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient
from redis import Redis

from conf.clients import kafka_options, redis_options
from conf.settings import Settings
from local import wait
from local.child import running
from local.spark import spark_conf, spark_environment
from local.tools import free_port, free_ports

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def server_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the run's servers: free ports and a folder of their own."""
    kafka, controller, redis = free_ports(3)
    return Settings(
        data_dir=tmp_path_factory.mktemp("servers"),
        kafka_port=kafka,
        kafka_controller_port=controller,
        redis_port=redis,
    )


@pytest.fixture(scope="session")
def spark(server_settings: Settings) -> Iterator["SparkSession"]:
    """One session for the whole run, configured as spark-submit would."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_environment().items():
            patch.setenv(name, value)
        session = SparkSession.builder.config(
            map={**spark_conf(server_settings, "2g", server_settings.spark_java_options)}
        ).getOrCreate()
        yield session
        session.stop()
        _end_jvm()


def _end_jvm() -> None:
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    if gateway is not None:
        gateway.shutdown()
        with suppress(AttributeError):
            gateway.proc.stdin.close()
            gateway.proc.wait(20)


@pytest.fixture(scope="session")
def kafka(server_settings: Settings) -> Iterator[str]:
    """Address of a real broker."""
    with _server("local.kafka", server_settings):
        wait.for_kafka(server_settings)
        yield server_settings.bootstrap


@pytest.fixture(scope="session")
def redis_server(server_settings: Settings) -> Iterator[str]:
    """URL of a real Redis."""
    with _server("local.redis", server_settings):
        wait.for_redis(server_settings)
        yield server_settings.redis_address


def _server(module: str, settings: Settings) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    log = settings.logs_dir / f"{module}.log"
    return running([sys.executable, "-m", module], log, settings.environment())


@pytest.fixture
def redis_client(redis_server: str, server_settings: Settings) -> Iterator["Redis"]:
    """A client of an empty Redis. Answers are bytes."""
    with Redis.from_url(redis_server, **redis_options(server_settings)) as client:
        client.flushall()
        yield client


@pytest.fixture
def settings(tmp_path: Path, server_settings: Settings) -> Settings:
    """Settings with the run's server addresses and a data folder of the test's own. Starts no server."""
    return Settings(
        data_dir=tmp_path / "data",
        kafka_port=server_settings.kafka_port,
        kafka_controller_port=server_settings.kafka_controller_port,
        redis_port=server_settings.redis_port,
        api_port=free_port(),
    )


@pytest.fixture
def topic(kafka: str, server_settings: Settings) -> Iterator[Callable[..., str]]:
    """Makes fresh topics: `topic(partitions=3, **configs)` gives the name; they go when the test ends."""
    admin = KafkaAdminClient(**kafka_options(server_settings))
    made: list[str] = []

    def make(partitions: int = 2, **configs: str) -> str:
        name = f"test-{uuid4().hex[:12]}"
        spelled = {key.replace("_", "."): value for key, value in configs.items()}
        admin.create_topics(
            {name: {"num_partitions": partitions, "replication_factor": 1, "configs": spelled}},
            wait_for_metadata=True,
        )
        made.append(name)
        return name

    yield make
    if made:
        admin.delete_topics(made)
    admin.close()
