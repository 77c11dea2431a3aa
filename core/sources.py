"""Sources: the logs that an application's views are of."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.declarations import Declaration, check_once
from core.names import check_name

__all__ = ["Source"]


@dataclass(frozen=True)
class Source:
    """A log of events: its topic, its data contract, and the columns that identify and date an event.

    Copies of one event must be sent with the same Kafka key. `declares` says what a contract cannot: what is
    to be derived from an event and those before it. Of most classes of declaration there is one at most.
    """

    name: str
    contract: str
    event_id: str = "event_id"
    event_time: str = "event_time"
    topic: str = ""
    declares: Sequence[Declaration] = ()

    def __post_init__(self) -> None:
        check_name("source", self.name.replace(".", "_").replace("-", "_"))
        object.__setattr__(self, "topic", self.topic or self.name)
        object.__setattr__(self, "declares", tuple(self.declares))
        check_once(f"source {self.name!r}", self.declares)
