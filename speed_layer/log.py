"""The log as the speed layer sees it: which one it is, where it begins and ends, how old a record is."""

import time
from collections.abc import Mapping
from threading import Lock
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from conf.clients import kafka_options
from conf.settings import Settings
from core.cuts import Offsets
from core.errors import SourceUnusable
from core.topics import LogIdentity, refuse_compacted

__all__ = ["KafkaLog", "Log"]

_PATIENCE = 2.0  # seconds
_RECORDS = 1_000


class Log:
    """The port; `KafkaLog` is the real one."""

    def identity(self) -> LogIdentity:
        """Which log stands under the topic's name; raises `SourceUnusable` for one that cannot be a log."""
        raise NotImplementedError

    def topic_id(self) -> str:
        """The id of the log under the topic's name, asked each second."""
        raise NotImplementedError

    def begins(self) -> dict[int, int]:
        """The first offset that is still there, by partition."""
        raise NotImplementedError

    def ends(self) -> dict[int, int]:
        """The offset behind the last committed record, by partition."""
        raise NotImplementedError

    def times(self, offsets: Offsets) -> dict[int, float]:
        """The time of the first record at or behind each offset, seconds since 1970; absent if none came."""
        raise NotImplementedError


class KafkaLog(Log):
    """One topic, by kafka-python. Every method raises `SourceUnusable` if Kafka or the topic is not there.

    Several threads may ask; they wait for one another.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self.topic = settings, topic
        self._consumer: KafkaConsumer | None = None
        self._admin: KafkaAdminClient | None = None
        self._turn = Lock()

    def identity(self) -> LogIdentity:
        try:
            return self._identity()
        except KafkaError as error:
            raise self._unusable(error) from error

    def begins(self) -> dict[int, int]:
        return self._by_partition("beginning_offsets")

    def ends(self) -> dict[int, int]:
        return self._by_partition("end_offsets")

    def times(self, offsets: Offsets) -> dict[int, float]:
        wanted = {TopicPartition(self.topic, p): offset for p, offset in offsets.items()}
        try:
            with self._turn:
                return self._first_times(wanted) if wanted else {}
        except KafkaError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def topic_id(self) -> str:
        try:
            with self._turn:
                return str(self._described()["topic_id"])
        except KafkaError as error:
            raise self._unusable(error) from error

    def _identity(self) -> LogIdentity:
        with self._turn:
            described, admin = self._described(), self._administrator()
            resource = ConfigResource(ConfigResourceType.TOPIC, self.topic)
            configs = admin.describe_configs([resource], config_filter="all")["topic"][self.topic]
            refuse_compacted(self.topic, {name: config["value"] for name, config in configs.items()})
            cluster = admin.describe_cluster()["cluster_id"]
        return LogIdentity(str(cluster), self.topic, str(described["topic_id"]))

    def _described(self) -> Mapping[str, Any]:
        described: Mapping[str, Any] = self._administrator().describe_topics([self.topic])[0]
        if described["error_code"]:
            raise SourceUnusable(f"topic {self.topic!r} is not there; make it, or start what writes to it")
        return described

    def _administrator(self) -> KafkaAdminClient:
        if self._admin is None:
            self._admin = KafkaAdminClient(**kafka_options(self._settings), bootstrap_timeout_ms=10_000)
        return self._admin

    def _by_partition(self, question: str) -> dict[int, int]:
        try:
            with self._turn:
                places = self._places()
                found: Mapping[Any, int] = getattr(self._client(), question)(places)
        except KafkaError as error:
            raise self._unusable(error) from error
        return {place.partition: found[place] for place in places}

    def _places(self) -> list[TopicPartition]:
        partitions = self._client().partitions_for_topic(self.topic)
        if not partitions:
            raise SourceUnusable(f"topic {self.topic!r} is not there; make it, or start what writes to it")
        return [TopicPartition(self.topic, partition) for partition in sorted(partitions)]

    def _first_times(self, wanted: Mapping[TopicPartition, int]) -> dict[int, float]:
        client, found, deadline = self._client(), dict[int, float](), time.monotonic() + _PATIENCE
        client.assign(list(wanted))
        for place, offset in wanted.items():
            client.seek(place, offset)
        while len(found) < len(wanted) and time.monotonic() < deadline:
            for place, records in client.poll(timeout_ms=100, max_records=_RECORDS).items():
                found.setdefault(place.partition, records[0].timestamp / 1000)
        return found

    def _client(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                **kafka_options(self._settings),
                isolation_level="read_committed",
                max_partition_fetch_bytes=65_536,
                enable_auto_commit=False,
                metadata_max_age_ms=5_000,  # a new partition must not stay unseen: as_of is about all of them
                bootstrap_timeout_ms=10_000,
            )
        return self._consumer

    def _unusable(self, error: KafkaError) -> SourceUnusable:
        return SourceUnusable(f"Kafka at {self._settings.bootstrap} does not answer: {error!r}")
