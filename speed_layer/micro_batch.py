"""What a step of the speed layer may ask beside the events."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.contracts import Contract
from core.folders import Folders
from core.layout import Layout
from speed_layer.clients import RedisAddress
from speed_layer.decode_step import Segments
from speed_layer.event_chains import History
from speed_layer.scripts import Fence

__all__ = ["MicroBatch"]


@dataclass(frozen=True)
class MicroBatch:
    """What a step may ask beside the events. Segments below `count_from` are not counted here; `whole` says
    that the generation knew at its start all of what lies before.

    `used` are the columns of the contract that views read, with their types. `history` has the chains of
    what lies below `count_from`, where events are corrected and a version has them.
    `resolution` is the file by which the generation's ids are persons; None where each is one of its own.
    """

    contract: Contract
    redis: RedisAddress
    layout: Layout
    generation: str
    fence: Fence
    shards: int
    tasks: int
    segments: Segments
    count_from: int
    whole: bool
    folders: Folders
    semantics: str
    window: int
    used: Mapping[str, str]
    history: History | None
    resolution: Path | None = None

    @property
    def persons(self) -> str:
        """The content hash of the resolution; empty where each id is a person of its own."""
        return self.resolution.stem if self.resolution else ""
