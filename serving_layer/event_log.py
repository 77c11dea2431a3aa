"""What the routes need of the logs that events are sent to. It has a fake for tests."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import LambdaError

__all__ = ["EventLog", "LogRefuses", "LogSilent", "Position"]


class LogSilent(LambdaError):
    """Kafka did not confirm in time: what was sent may be in the log or not."""


class LogRefuses(LambdaError):
    """The topic cannot take events; its text says why and names the way out."""


@dataclass(frozen=True)
class Position:
    """Where a record lies in the log."""

    partition: int
    offset: int


class EventLog(ABC):
    """The logs of all sources."""

    @abstractmethod
    def append(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> list[Position]:
        """Write (key, value) records and wait until every replica in sync has them.

        Blocks. Raises `LogSilent` if that is not confirmed in time, `LogRefuses` if it never will be.
        """

    @abstractmethod
    def ends(self, topic: str) -> Mapping[int, int]:
        """For each partition the offset of its next record. Blocks. Raises `LogSilent` or `LogRefuses`."""

    @abstractmethod
    def close(self) -> None:
        """Send what waits, and let go of the cluster."""
