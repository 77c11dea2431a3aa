"""What a step of the batch layer may ask beside the events, and what it says beside those that it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from core.contracts import Contract
from core.cuts import Cut

__all__ = ["History", "Told"]


@dataclass
class Told:
    """What a step says beside the events it gives: counts for the manifest, chains for the index, and the
    resolution of ids: `id` and `person` of those in groups of two or more."""

    counts: dict[str, int] = field(default_factory=dict)
    chains: DataFrame | None = None
    resolved: DataFrame | None = None


@dataclass(frozen=True)
class History:
    """What a step may ask beside the events; `cuts` are those up to the boundary.

    `used` are the columns of the contract that views read, with their types.
    """

    contract: Contract
    cuts: Sequence[Cut]
    used: Mapping[str, str] = field(default_factory=dict)
    told: Told = field(default_factory=Told)
