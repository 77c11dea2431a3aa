"""The segments of positions: a search, for as an SQL expression it would grow with the number of cuts."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from batch_layer.positions import POSITION
from core.cuts import Cut

__all__ = ["OFFSET_BITS", "places_of", "search", "segment_of_position"]

OFFSET_BITS = 48  # of a position, below the partition


def segment_of_position(cuts: Sequence[Cut], of: str = POSITION) -> Column:
    """The segment of the position in a column."""
    places, bits = places_of(cuts), OFFSET_BITS

    def segment(positions: pa.Array) -> pa.Array:
        found = positions.to_numpy()
        return pa.array(search(found >> bits, found & ((1 << bits) - 1), places, len(cuts)), pa.int64())

    # its overloads know no pyarrow, of which mypy sees nothing
    return cast(Column, cast(Any, arrow_udf)(segment, "bigint")(F.col(of)))


def places_of(cuts: Sequence[Cut]) -> dict[int, np.ndarray]:
    """Each partition's offset in every cut."""
    partitions = {partition for cut in cuts for partition in cut.offsets}
    return {p: np.array([cut.offset(p) for cut in cuts], np.int64) for p in sorted(partitions)}


def search(
    partitions: np.ndarray, offsets: np.ndarray, places: dict[int, np.ndarray], cuts: int
) -> np.ndarray:
    """`segment_of` for many: cuts grow on every partition, so counting those below is a search."""
    segments = np.full(len(offsets), cuts, np.int64)
    for partition, bounds in places.items():
        mine = partitions == partition
        segments[mine] = np.searchsorted(bounds, offsets[mine], side="right")
    return segments
