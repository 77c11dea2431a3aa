"""Records of checks, kept twice: as entries that readers need no Spark for, and as a Delta table for SQL."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pyspark.sql import SparkSession

from batch_layer import delta_log
from core.errors import HandoffsLost
from core.folders import Folders
from core.handoffs import Handoff

__all__ = ["HandoffTable"]

_SCHEMA = (
    "number long, version long, `from` long, `to` long, at timestamp, generation string, verdict string, "
    "reason string, shards array<int>, of int, records long, view string, measure string, cause string, "
    "expected string, found string, difference string, places long, differing long, keys string"
)
_CHECK = (
    "number",
    "version",
    "from",
    "to",
    "at",
    "generation",
    "verdict",
    "reason",
    "shards",
    "of",
    "records",
)
_TEXTS = ("expected", "found", "difference")


class HandoffTable:
    """One row for each view, measure and cause of a check; one row for a check that was not possible."""

    def __init__(self, spark: SparkSession, folders: Folders) -> None:
        self._spark, self._path, self._handoffs = spark, folders.handoff_table, folders.handoffs()

    def keep(self, handoff: Handoff) -> None:
        """The entry first; the table gets all entries that it lacks, also those of runs that were killed.

        Raises HandoffsLost, and keeps nothing, if the table has entries that the registry has not.
        """
        newest, registered = self._newest(), self._handoffs.latest()
        if newest > registered:
            raise HandoffsLost(str(self._path), newest, registered)
        self._handoffs.append(handoff)
        entries = self._handoffs.following(newest)
        frame = self._spark.createDataFrame(list(_rows(entries)), _SCHEMA).coalesce(1)
        (
            frame.write.format("delta")
            .mode("append")
            .option("userMetadata", json.dumps({"handoff": entries[-1]["number"]}))
            .save(str(self._path))
        )

    def _newest(self) -> int:
        """The newest check whose rows the table has."""
        versions = delta_log.versions(self._path)
        metadata = delta_log.commit(self._path, versions[-1]).metadata if versions else None
        return int(json.loads(metadata or "{}").get("handoff", 0))


def _rows(entries: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for entry in entries:
        check = {name: entry[name] for name in _CHECK} | {"at": datetime.fromisoformat(entry["at"])}
        for finding in entry["findings"] or [{}]:
            yield check | {name: _cell(name, value) for name, value in finding.items()}


def _cell(name: str, value: Any) -> Any:
    if name == "keys":
        return json.dumps(value)
    return str(value) if name in _TEXTS and value is not None else value
