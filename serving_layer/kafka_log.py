"""The log: kafka-python's producer for events that users send, and its admin client for where the log ends.

Clients are made when they are first needed, and again after a failure: the API starts without Kafka.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from core.errors import ForeignLog, SourceUnusable
from core.handoff import check_same_log
from core.topics import refuse_compacted
from serving_layer.event_log import EventLog, LogRefuses, LogSilent, Position

__all__ = ["KafkaEventLog"]

SECONDS = 10.0
_MAX_RECORD = 2 << 20  # the contract takes 1 MiB, to which Kafka adds key and headers
_CHECK_AGAIN = 5.0  # seconds until it is looked again which log it is, and how it is kept


class KafkaEventLog(EventLog):
    """`options` are arguments of kafka-python's clients. Safe to call from several threads.

    `known` gives cluster id and topic id of the log that the platform reads under a topic's name, None before
    any process looked at it: another one takes no events, for nobody would count them.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        seconds: float = SECONDS,
        known: Callable[[str], tuple[str, str] | None] = lambda topic: None,
    ) -> None:
        self._options, self._seconds, self._known = dict(options), seconds, known
        self._producer: KafkaProducer | None = None
        self._admin: KafkaAdminClient | None = None
        self._checked: dict[str, float] = {}
        self._sending, self._asking = threading.Lock(), threading.Lock()

    def append(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> list[Position]:
        self._check(topic)
        deadline = time.monotonic() + self._seconds
        producer: KafkaProducer | None = None
        try:
            producer = self._connected()
            sent = [producer.send(topic, key=key, value=value) for key, value in records]
            found = [future.get(max(0.1, deadline - time.monotonic())) for future in sent]
        except MessageSizeTooLargeError as error:
            raise LogRefuses(f"topic {topic!r} takes no record of that size: {error}") from error
        except (KafkaError, OSError) as error:
            # an idempotent producer that gave a record up may refuse all that follow
            self._drop(producer)
            raise LogSilent(f"Kafka did not confirm within {self._seconds:.0f} s ({error!r})") from error
        return [Position(one.partition, one.offset) for one in found]

    def ends(self, topic: str) -> Mapping[int, int]:
        with self._asking:
            numbers = self._partitions(topic)
            wanted = {TopicPartition(topic, number): OffsetSpec.LATEST for number in numbers}
            found = self._ask(lambda admin: admin.list_partition_offsets(wanted))
        return {place.partition: end.offset for place, end in sorted(found.items())}

    def close(self) -> None:
        self._drop(self._producer)
        self._forget_admin()

    def _check(self, topic: str) -> None:
        """Refuse a topic that is absent, compacted or another log; what was found holds for some seconds."""
        now = time.monotonic()
        if now - self._checked.get(topic, -_CHECK_AGAIN) < _CHECK_AGAIN:
            return
        with self._asking:
            self._refuse_foreign(topic, self._describe(topic)["topic_id"])
            resource = ConfigResource(ConfigResourceType.TOPIC, topic)
            found = self._ask(lambda admin: admin.describe_configs([resource], config_filter="all"))
        try:
            refuse_compacted(topic, {name: each["value"] for name, each in found["topic"][topic].items()})
        except SourceUnusable as error:
            raise LogRefuses(str(error)) from error
        self._checked[topic] = now

    def _refuse_foreign(self, topic: str, topic_id: object) -> None:
        known = self._known(topic)
        if known is None:
            return
        cluster = self._ask(lambda admin: admin.describe_cluster())["cluster_id"]
        try:
            check_same_log(known, (str(cluster), str(topic_id)), topic)
        except ForeignLog as error:
            raise LogRefuses(str(error)) from error

    def _partitions(self, topic: str) -> list[int]:
        return [partition["partition_index"] for partition in self._describe(topic)["partitions"]]

    def _describe(self, topic: str) -> dict[str, Any]:
        described: dict[str, Any] = self._ask(lambda admin: admin.describe_topics([topic]))[0]
        if described["error_code"] == UnknownTopicOrPartitionError.errno:
            raise LogRefuses(f"there is no topic {topic!r}: make it, or run `make up`, which does")
        if described["error_code"]:
            raise LogSilent(f"topic {topic!r} cannot be described now: error {described['error_code']}")
        return described

    def _ask(self, question: Any) -> Any:
        try:
            self._admin = self._admin or KafkaAdminClient(**self._options, **self._patience())
            return question(self._admin)
        except (KafkaError, OSError) as error:
            self._forget_admin()
            raise LogSilent(f"Kafka does not answer: {error!r}") from error

    def _connected(self) -> KafkaProducer:
        with self._sending:
            if self._producer is None:
                self._producer = KafkaProducer(
                    **self._options, **self._patience(), delivery_timeout_ms=self._millis, acks="all",
                    enable_idempotence=True, linger_ms=2, max_request_size=_MAX_RECORD,
                    max_block_ms=self._millis, allow_auto_create_topics=False,
                )  # fmt: skip
            return self._producer

    @property
    def _millis(self) -> int:
        return int(self._seconds * 1000)

    def _patience(self) -> dict[str, int]:
        return {"request_timeout_ms": self._millis // 2, "bootstrap_timeout_ms": self._millis // 2}

    def _drop(self, producer: KafkaProducer | None) -> None:
        with self._sending:
            mine = producer is not None and producer is self._producer
            self._producer = None if mine else self._producer
        if mine and producer is not None:
            producer.close(timeout=1)

    def _forget_admin(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()
