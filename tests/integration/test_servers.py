"""The servers and the session that every other integration test stands on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from pyspark.sql import SparkSession
from redis import Redis

import core.logs
from conf.clients import kafka_options, spark_kafka_options
from conf.settings import Settings


def test_what_is_produced_to_a_topic_is_read_back_in_order(
    settings: Settings, topic: Callable[..., str]
) -> None:
    name = topic(partitions=1)
    with KafkaProducer(**kafka_options(settings), acks="all") as producer:
        for number in range(3):
            producer.send(name, str(number).encode())
    with KafkaConsumer(**kafka_options(settings), consumer_timeout_ms=10_000) as consumer:
        consumer.assign([TopicPartition(name, 0)])
        consumer.seek_to_beginning()
        assert [next(consumer).value for _ in range(3)] == [b"0", b"1", b"2"]


def test_spark_reads_the_log_and_writes_a_delta_table(
    spark: SparkSession, settings: Settings, topic: Callable[..., str], tmp_path: Path
) -> None:
    name = topic(partitions=2)
    with KafkaProducer(**kafka_options(settings), acks="all") as producer:
        for number in range(10):
            producer.send(name, str(number).encode(), partition=number % 2)
    log = spark.read.format("kafka").options(**spark_kafka_options(settings), subscribe=name).load()
    log.selectExpr("cast(value as string) as text", "partition").write.format("delta").save(
        str(tmp_path / "table")
    )
    rows = spark.read.format("delta").load(str(tmp_path / "table")).collect()
    assert sorted((row.partition, row.text) for row in rows) == sorted((n % 2, str(n)) for n in range(10))


def test_python_workers_of_spark_import_the_platform(spark: SparkSession) -> None:
    def where(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import core.logs

        for _ in batches:
            yield pa.RecordBatch.from_pydict({"file": [core.logs.__file__]})

    rows = spark.range(0, 1, 1, 1).mapInArrow(where, "file string").collect()
    assert [row.file for row in rows] == [core.logs.__file__]


def test_redis_evicts_nothing(redis_client: Redis) -> None:
    assert redis_client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_taken_port_names_the_setting_that_moves_the_server(
    settings: Settings, kafka: str, redis_server: str
) -> None:
    assert "LAMBDA_KAFKA_PORT" in _start("local.kafka", settings)
    assert "LAMBDA_REDIS_PORT" in _start("local.redis", settings)


def _start(module: str, settings: Settings) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr
