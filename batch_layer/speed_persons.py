"""Persons as the speed layer has them: those of the one resolution that a generation has for all its life."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from batch_layer.compared import Compared
from batch_layer.persons import word
from batch_layer.segment_events import SEGMENT, SegmentEvents
from batch_layer.speed_state import SpeedSilent
from core.folders import Folders
from core.identity import PERSON, SAID, Identity, identity_of
from core.resolutions import persons_of

__all__ = ["by_resolution", "persons_of_generation", "with_persons_of_generation"]


def persons_of_generation(events: SegmentEvents, identity: Identity, compared: Compared) -> SegmentEvents:
    """The step of the hand-off check. Raises SpeedSilent where the generation's resolution is gone."""
    said = events.frame.withColumn(SAID, word(identity, SEGMENT))
    return replace(events, frame=by_resolution(said, identity, _file(compared)))


def with_persons_of_generation(events: DataFrame, compared: Compared) -> DataFrame:
    """Events with their persons, where the source says which ids are one. Raises SpeedSilent."""
    identity = identity_of(compared.declarations)
    return events if identity is None else by_resolution(events, identity, _file(compared))


def _file(compared: Compared) -> Path | None:
    content = compared.generation.resolution
    path = Folders(compared.settings.data_dir, compared.generation.source).resolution(content)
    if content and not path.is_file():
        raise SpeedSilent(
            f"the resolution of ids by which generation {compared.generation.id} counts is gone"
        )
    return path if content else None


def by_resolution(events: DataFrame, identity: Identity, path: Path | None) -> DataFrame:
    """Events with the persons of a file; without one each id is a person of its own."""
    return events.withColumn(PERSON, _person(identity, path))


def _person(identity: Identity, path: Path | None) -> Column:
    if path is None:
        return F.expr(identity.id_sql)
    # its overloads know no pyarrow, of which mypy sees nothing
    return cast(Column, cast(Any, arrow_udf)(persons_of(path), "string")(F.expr(identity.id_sql)))
