"""What a step of the batch layer may ask beside the events."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from core.contracts import Contract
from core.cuts import Cut

__all__ = ["History"]


@dataclass(frozen=True)
class History:
    """`cuts` are those up to the boundary. In `resolved` a step leaves the resolution of ids, if it makes
    one: `id` and `person` of those in groups of two or more."""

    contract: Contract
    cuts: Sequence[Cut]
    resolved: list[DataFrame] = field(default_factory=list)
