"""Persons of a micro-batch: those of the one resolution that its generation has for all its life."""

from typing import Any, cast

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from core.identity import PERSON, SAID, Identity
from core.resolutions import persons_of
from speed_layer.decode_step import OFFSET_BITS
from speed_layer.micro_batch import MicroBatch
from speed_layer.plan import POSITION, SEGMENT

__all__ = ["persons"]


def persons(events: DataFrame, identity: Identity, batch: MicroBatch) -> DataFrame:
    """The step of the speed layer: an id that the resolution does not know is a person of its own."""
    partition = f"shiftright({POSITION}, {OFFSET_BITS})"
    word = identity.word_sql(SEGMENT, partition, f"({POSITION} & {(1 << OFFSET_BITS) - 1}L)")
    return events.withColumn(SAID, F.expr(word)).withColumn(PERSON, _person(identity, batch))


def _person(identity: Identity, batch: MicroBatch) -> Column:
    if batch.resolution is None:
        return F.expr(identity.id_sql)
    # its overloads know no pyarrow, of which mypy sees nothing
    looked_up = cast(Any, arrow_udf)(persons_of(batch.resolution), "string")
    return cast(Column, looked_up(F.expr(identity.id_sql)))
