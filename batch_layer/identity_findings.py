"""How far a publish corrects the past where ids are other persons than those of the speed layer."""

from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.compared import Compared
from batch_layer.events import read_counted
from batch_layer.field_folds import FieldFolds
from batch_layer.positions import POSITION
from batch_layer.segment_events import SegmentEvents
from batch_layer.speed_persons import by_resolution
from batch_layer.visits import roles
from core.application import BoundSource
from core.equality import Finding, identity_findings
from core.identity import PERSON, Identity, uses_persons
from core.visits import Visits, declared_visits

__all__ = ["corrections"]

_WAS = "__was"


def corrections(
    bound: BoundSource, identity: Identity, events: SegmentEvents, compared: Compared, path: Path | None
) -> list[Finding]:
    """For each measure of a view that is about persons its total in these segments, by the persons of a file
    and by those of the speed layer, which the events have. Nothing where all of them are the same.

    Both are what batch makes of the persons: the order in which events came is another cause.
    """
    before = events.restated[0] if events.restated else events.by_batch
    after = by_resolution(before.withColumn(_WAS, F.col(PERSON)), identity, path).persist()
    moved = after.where(f"{_WAS} <> {PERSON}").selectExpr(f"count(distinct {identity.id_sql})").first()
    if not moved or not moved[0]:
        return []
    after = _visited(after.drop(_WAS), bound, identity, compared, path)
    found, shards = list[Finding](), compared.generation.shards
    for number, view in enumerate(view for view in bound.views.values() if uses_persons(view)):
        fold = FieldFolds(view, number, shards, range(shards))
        found += identity_findings(view, fold.total(after), fold.total(before), moved[0])
    return found


def _visited(
    events: DataFrame, bound: BoundSource, identity: Identity, compared: Compared, path: Path | None
) -> DataFrame:
    """Events whose visits are those of their persons, if visits are of persons."""
    visits = declared_visits(bound.declarations)
    if visits is None or not visits.of_persons:
        return events
    told = _roles(events, visits, identity, compared, path)
    return events.drop(*visits.columns).join(told, POSITION, "left").persist()


def _roles(
    events: DataFrame, visits: Visits, identity: Identity, compared: Compared, path: Path | None
) -> DataFrame:
    """Position and visits' columns, of all of history of the persons of these events."""
    all_ = by_resolution(read_counted(compared.master, compared.contract, compared.cuts), identity, path)
    history = all_.join(events.select(visits.user).distinct(), visits.user, "left_semi")
    derived = roles(history, visits, compared.contract.event_time, POSITION)
    return derived.select(POSITION, *visits.columns)
