"""A batch run over a real topic, for tests that write to the log and take records from it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from pyspark.sql import SparkSession

from batch_layer.boundary import NoRedis
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from conf.clients import kafka_options
from conf.settings import Settings
from core.application import Application
from core.logs import get_logger

__all__ = ["delete_before", "open_run", "send"]

_APPLICATION = """
from dataclasses import replace
from conf.definitions.wikipedia import VIEWS as ALL
VIEWS = [replace(view, source=replace(view.source, topic={topic!r})) for view in ALL if view.name == {view!r}]
"""


@contextmanager
def open_run(spark: SparkSession, settings: Settings, topic: str, view: str) -> Iterator[BatchRun]:
    """A run of one of Wikipedia's views over a topic; its settings name an application that says the same."""
    folder = settings.data_dir / "application"
    folder.mkdir(parents=True)
    name = _written(folder, topic, view)
    sys.path.insert(0, str(folder))
    try:
        own = settings.model_copy(update={"application": name})
        bound = Application.load(name, settings.contracts_dir).source()
        with open_log(own, topic, get_logger("test"), seconds=10) as kafka:
            yield BatchRun(build_session("test"), own, bound, kafka, NoRedis(), get_logger("test"))
    finally:
        sys.path.remove(str(folder))


def _written(folder: Path, topic: str, view: str) -> str:
    name = f"application_{topic.replace('-', '_')}"
    (folder / f"{name}.py").write_text(_APPLICATION.format(topic=topic, view=view))
    return name


def send(run: BatchRun, partition: int, *events: dict[str, Any]) -> None:
    with KafkaProducer(**kafka_options(run.settings), acks="all") as producer:
        for event in events:
            producer.send(run.kafka.topic, json.dumps(event).encode(), partition=partition)


def delete_before(settings: Settings, topic: str, partition: int, offset: int) -> None:
    """As retention does: the log begins at `offset` from now on."""
    admin = KafkaAdminClient(**kafka_options(settings))
    try:
        admin.delete_records({TopicPartition(topic, partition): offset})
    finally:
        admin.close()
