"""Topics by kafka-python's admin client: made if absent, checked, identified. Builds no client.

Every function takes a `KafkaAdminClient`, so that its caller decides how long one lives.
"""

from collections.abc import Mapping

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import TopicAlreadyExistsError

from core.errors import SourceUnusable
from core.topics import LogIdentity, refuse_compacted

__all__ = ["CONFIGS", "end_offsets", "ensure_topic", "partitions_of", "topic_configs", "topic_identity"]

# Nothing is dropped by age or size, and a record's time is when the log got it.
CONFIGS: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "LogAppendTime",
}


def ensure_topic(admin: KafkaAdminClient, topic: str, partitions: int) -> int:
    """Makes the topic if it is absent; gives how many partitions it has. Raises SourceUnusable if compacted.

    A topic that is there is left as it is, whatever its other settings.
    """
    if topic not in admin.list_topics():
        _create(admin, topic, partitions)
    refuse_compacted(topic, topic_configs(admin, topic))
    return len(partitions_of(admin, topic))


def topic_configs(admin: KafkaAdminClient, topic: str) -> dict[str, str | None]:
    """Every setting of a topic, defaults of the broker included."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    found = admin.describe_configs([resource], config_filter="all")["topic"][topic]
    return {name: config["value"] for name, config in found.items()}


def topic_identity(admin: KafkaAdminClient, topic: str) -> LogIdentity:
    """Which log stands under that name now. Raises SourceUnusable if none does."""
    described = _describe(admin, topic)
    return LogIdentity(str(admin.describe_cluster()["cluster_id"]), topic, str(described["topic_id"]))


def partitions_of(admin: KafkaAdminClient, topic: str) -> list[int]:
    """Partition numbers in order. Raises SourceUnusable if there is no such topic."""
    partitions = _describe(admin, topic)["partitions"]
    return sorted(partition["partition_index"] for partition in partitions)  # type: ignore[attr-defined]


def end_offsets(admin: KafkaAdminClient, topic: str) -> dict[int, int]:
    """For each partition the offset that its next record will have."""
    wanted = {TopicPartition(topic, number): OffsetSpec.LATEST for number in partitions_of(admin, topic)}
    found = admin.list_partition_offsets(wanted)
    return {place.partition: end.offset for place, end in sorted(found.items())}


def _create(admin: KafkaAdminClient, topic: str, partitions: int) -> None:
    wanted = {topic: {"num_partitions": partitions, "replication_factor": -1, "configs": dict(CONFIGS)}}
    try:
        admin.create_topics(wanted, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        # somebody else made it in the meantime
        return


def _describe(admin: KafkaAdminClient, topic: str) -> dict[str, object]:
    described: dict[str, object] = admin.describe_topics([topic])[0]
    if described["error_code"]:
        raise SourceUnusable(f"there is no topic {topic!r}; make it, or start what writes to it")
    return described
