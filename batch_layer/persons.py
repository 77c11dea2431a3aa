"""Persons: what all events below a boundary say of ids, resolved to a fixpoint, and joined to the events."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.components import components
from batch_layer.history import History
from batch_layer.positions import POSITION
from batch_layer.segments import OFFSET_BITS, segment_of_position
from core.cuts import Cut
from core.identity import PERSON, SAID, Identity

__all__ = ["pairs_that_stand", "persons", "with_persons", "with_words", "word"]

_BROADCAST_ROWS = 1_000_000
_ID, _SEGMENT = "__id", "__of_segment"


def persons(events: DataFrame, identity: Identity, history: History) -> DataFrame:
    """The step of the batch layer; leaves the resolution in `history`."""
    said = with_words(events, identity, history.cuts)
    pairs = pairs_that_stand(said, identity).persist()
    resolved = components(pairs).persist()
    history.told.resolved = resolved
    return with_persons(said, identity, resolved)


def with_words(events: DataFrame, identity: Identity, cuts: Sequence[Cut]) -> DataFrame:
    """Events with what each says of two ids, NULL where it says nothing."""
    placed = events.withColumn(_SEGMENT, segment_of_position(cuts))
    return placed.withColumn(SAID, word(identity, _SEGMENT)).drop(_SEGMENT)


def word(identity: Identity, segment: str) -> Column:
    """What an event says, of one that has a position and a column of its segment."""
    partition = f"shiftright({POSITION}, {OFFSET_BITS})"
    return F.expr(identity.word_sql(segment, partition, f"({POSITION} & {(1 << OFFSET_BITS) - 1}L)"))


def pairs_that_stand(said: DataFrame, identity: Identity) -> DataFrame:
    """`one` and `other` of the pairs whose newest word is not that they are undone."""
    one, other = F.expr(identity.id_sql), F.expr(identity.same_sql)
    words = said.where(F.col(SAID).isNotNull()).select(
        F.least(one, other).alias("one"), F.greatest(one, other).alias("other"), SAID
    )
    newest = words.groupBy("one", "other").agg(F.max(SAID).alias(SAID))
    return newest.where(F.col(SAID).endswith("+")).select("one", "other")


def with_persons(events: DataFrame, identity: Identity, resolved: DataFrame) -> DataFrame:
    """Events with the person of each, which is the id itself where the resolution does not know it."""
    known = resolved.select(F.col("id").alias(_ID), F.col("person").alias(PERSON))
    known = F.broadcast(known) if resolved.count() <= _BROADCAST_ROWS else known
    joined = events.join(known, F.expr(identity.id_sql) == F.col(_ID), "left")
    return joined.withColumn(PERSON, F.coalesce(PERSON, F.expr(identity.id_sql))).drop(_ID)
