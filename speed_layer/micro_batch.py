"""What a step of the speed layer may ask beside the events."""

from dataclasses import dataclass
from pathlib import Path

from core.contracts import Contract
from core.folders import Folders
from core.layout import Layout
from speed_layer.clients import RedisAddress
from speed_layer.decode_step import Segments
from speed_layer.scripts import Fence

__all__ = ["MicroBatch"]


@dataclass(frozen=True)
class MicroBatch:
    """What a step may ask beside the events. Segments below `count_from` are not counted here; `whole` says
    that the generation knew at its start all of what lies before.

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
    resolution: Path | None = None
