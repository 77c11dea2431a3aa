"""What the check of a publish compares, for whatever derives columns of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame

from conf.settings import Settings
from core.contracts import Contract
from core.cuts import Cut
from core.declarations import Declaration
from core.handoff import Generation

__all__ = ["Compared"]


@dataclass(frozen=True)
class Compared:
    """What is compared: segments from cut `start` to before the last of `cuts`, as `generation` has them.

    `master` is the master dataset that covers them, and all before; `declarations` are those of the source.
    """

    contract: Contract
    master: DataFrame
    cuts: Sequence[Cut]
    start: Cut
    generation: Generation
    settings: Settings
    declarations: Sequence[Declaration] = ()
