"""How far a publish corrects the past where ids are other persons than those of the speed layer."""

from pathlib import Path

from pyspark.sql import functions as F

from batch_layer.field_folds import FieldFolds
from batch_layer.segment_events import SegmentEvents
from batch_layer.speed_persons import by_resolution
from core.application import BoundSource
from core.equality import Finding, identity_findings
from core.identity import PERSON, Identity, person_counts, person_part
from core.views import CompiledView

__all__ = ["corrections"]

_WAS = "__was"


def corrections(
    bound: BoundSource, identity: Identity, events: SegmentEvents, path: Path | None, shards: int
) -> list[Finding]:
    """For each measure of a view that is about persons its total in these segments, by the persons of a file
    and by those of the speed layer, which the events have. Nothing where all of them are the same."""
    before = events.counted
    after = by_resolution(before.withColumn(_WAS, F.col(PERSON)), identity, path).persist()
    moved = after.where(f"{_WAS} <> {PERSON}").selectExpr(f"count(distinct {identity.id_sql})").first()
    if not moved or not moved[0]:
        return []
    found = list[Finding]()
    for number, view in enumerate(view for view in bound.views.values() if _is_about_persons(view)):
        fold = FieldFolds(view, number, shards, range(shards))
        found += identity_findings(view, fold.total(after.drop(_WAS)), fold.total(before), moved[0])
    return found


def _is_about_persons(view: CompiledView) -> bool:
    return person_part(view) is not None or bool(person_counts(view))
