"""The log as the batch layer sees it: which one it is, and where each partition begins and ends."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import KafkaError
from kafka.protocol.consumer.offsets import IsolationLevel

from conf.clients import kafka_options, spark_kafka_options
from conf.settings import Settings
from core.cuts import offsets_to
from core.errors import SourceUnusable
from core.logs import Logger
from core.topics import LogIdentity, refuse_compacted

__all__ = ["KafkaLog"]

_WAIT_SECONDS = 120.0
_Found = TypeVar("_Found")


class KafkaLog:
    """A topic, by kafka-python's admin client. Methods raise SourceUnusable if there is no such topic."""

    def __init__(self, admin: KafkaAdminClient, topic: str, spark_options: dict[str, str]) -> None:
        self._admin, self.topic, self._spark_options = admin, topic, spark_options

    def identity(self) -> LogIdentity:
        """Which log stands under the topic's name now; also refuses a compacted one."""
        refuse_compacted(self.topic, self._configs())
        cluster = _ask(lambda: self._admin.describe_cluster())["cluster_id"]
        return LogIdentity(str(cluster), self.topic, str(self._describe()["topic_id"]))

    def begin(self) -> dict[int, int]:
        """The first offset that the log still has, for each partition."""
        return self._offsets(OffsetSpec.EARLIEST)

    def end(self) -> dict[int, int]:
        """The offset behind the last committed record, for each partition."""
        return self._offsets(OffsetSpec.LATEST)

    def spark_options(self, start: dict[int, int], end: dict[int, int]) -> dict[str, str]:
        """Options of Spark's Kafka source for exactly [start, end)."""
        return self._spark_options | {
            "subscribe": self.topic,
            "startingOffsets": _json(self.topic, start),
            "endingOffsets": _json(self.topic, end),
            "failOnDataLoss": "true",
            "kafka.isolation.level": "read_committed",
        }

    def _offsets(self, spec: OffsetSpec) -> dict[int, int]:
        numbers = sorted(entry["partition_index"] for entry in self._describe()["partitions"])
        wanted = {TopicPartition(self.topic, number): spec for number in numbers}
        found = _ask(
            lambda: self._admin.list_partition_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED)
        )
        return {place.partition: stand.offset for place, stand in sorted(found.items())}

    def _describe(self) -> dict[str, Any]:
        described: dict[str, Any] = _ask(lambda: self._admin.describe_topics([self.topic]))[0]
        if described["error_code"]:
            raise SourceUnusable(f"there is no topic {self.topic!r}; make it, or start what writes to it")
        return described

    def _configs(self) -> dict[str, str | None]:
        resource = ConfigResource(ConfigResourceType.TOPIC, self.topic)
        self._describe()
        found = _ask(lambda: self._admin.describe_configs([resource], config_filter="all"))
        return {name: config["value"] for name, config in found["topic"][self.topic].items()}


@contextmanager
def open_log(
    settings: Settings, topic: str, log: Logger, seconds: float = _WAIT_SECONDS
) -> Iterator[KafkaLog]:
    """The log of `topic`, once its Kafka answers and has it. Raises SourceUnusable after `seconds`."""
    admin = _patiently(lambda: _connect(settings), f"Kafka at {settings.bootstrap}", log, seconds)
    try:
        kafka = KafkaLog(admin, topic, spark_kafka_options(settings))
        _patiently(kafka.identity, f"topic {topic!r}", log, seconds)
        yield kafka
    finally:
        admin.close()


def _connect(settings: Settings) -> KafkaAdminClient:
    try:
        return KafkaAdminClient(**kafka_options(settings), bootstrap_timeout_ms=5000)
    except (KafkaError, OSError) as error:
        raise SourceUnusable(
            f"Kafka at {settings.bootstrap} does not answer ({error!r}); "
            "start it or set LAMBDA_KAFKA_BOOTSTRAP"
        ) from error


def _patiently(ask: Callable[[], _Found], what: str, log: Logger, seconds: float) -> _Found:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except SourceUnusable as error:
            if time.monotonic() >= deadline or "compaction" in str(error):
                raise
            log.info("waiting", until=what, reason=str(error))
            time.sleep(min(2.0, seconds))


def _ask(question: Callable[[], _Found]) -> _Found:
    try:
        return question()
    except KafkaError as error:
        raise SourceUnusable(f"Kafka does not answer: {error!r}") from error


def _json(topic: str, offsets: dict[int, int]) -> str:
    return json.dumps({topic: offsets_to(offsets)})
