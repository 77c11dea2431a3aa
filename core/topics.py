"""Which Kafka topics can be the log of a source, and which log it is. Knows no Kafka client."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import SourceUnusable

__all__ = ["LogIdentity", "refuse_compacted"]


@dataclass(frozen=True)
class LogIdentity:
    """One life of a topic: a topic deleted and made again, or moved to another cluster, has another."""

    cluster: str
    topic: str
    topic_id: str


def refuse_compacted(topic: str, configs: Mapping[str, str | None]) -> None:
    """Raises SourceUnusable if the topic's `cleanup.policy` lets Kafka drop records that newer ones replace.

    Events are facts: two with one key are two facts, and a compacted topic forgets the first.
    """
    policy = configs.get("cleanup.policy") or ""
    if "compact" in policy:
        raise SourceUnusable(
            f"topic {topic!r} has cleanup.policy={policy}: compaction drops events that a newer one with "
            f"the same key replaces; set cleanup.policy=delete, or use another topic"
        )
