"""The events between two boundaries: valid records whose event id no valid record before them carries.

Among copies the first by segment counts, and all that lies below a boundary has a lower segment than what
lies beyond. So a copy beyond it never counts, and one below it is never displaced: adding is exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.deriving import History, check_additive, derive
from batch_layer.events import Counts, Events, _below, _count, _losers, _valid, read_events
from batch_layer.ledger import Ledger
from batch_layer.positions import POSITION
from core.contracts import Contract
from core.cuts import Cut, Offsets
from core.declarations import Declaration
from core.errors import NotExact
from core.manifest import Manifest

__all__ = ["Archived"]

_BROADCAST_ROWS = 2_000_000


@dataclass(frozen=True)
class Archived:
    """The master dataset at a ledger's version, with the contract by which its records are valid today, and
    what their source declares beyond it. `used` are the columns that views read, with their types."""

    spark: SparkSession
    table: Path
    ledger: Ledger
    cuts: Sequence[Cut]
    contract: Contract
    declarations: Sequence[Declaration] = ()
    used: Mapping[str, str] = field(default_factory=dict)

    def events(self, boundary: Cut) -> Events:
        """All events below `boundary`. Raises PositionError if rows are missing."""
        cuts = self.cuts[: boundary.number]
        return read_events(
            self.spark, self.table, self.ledger, boundary, cuts, self.contract, self.declarations,
            self.used,
        )  # fmt: skip

    def since(self, base: Manifest, boundary: Cut) -> Events:
        """Events below `boundary` that `base` does not hold; counts are of the records between the two.

        Raises NotExact if `base` was not made of all records below its boundary, or if what is derived of
        new events depends on those before.
        """
        check_additive(self.declarations)
        master = self._master()
        read, stale, _ = _count(master, self.ledger, boundary.offsets, self.contract)
        between = master.where(_between(base.offsets, boundary.offsets))
        new = between.count()
        _check_conserved(base, read - new)
        valid = _valid(between, self.contract, stale)
        fresh = self._first(self._unknown(valid, base, stale), boundary)
        history = History(self.contract, self.cuts[: boundary.number])
        frame = derive(fresh, self.declarations, history).drop(POSITION).persist()
        seen, counted = valid.count(), frame.count()
        return Events(frame, Counts(new, seen, seen - counted))

    def _master(self) -> DataFrame:
        reader = self.spark.read.format("delta").option("versionAsOf", self.ledger.version)
        return reader.load(str(self.table))

    def _unknown(self, valid: DataFrame, base: Manifest, stale: int) -> DataFrame:
        """Those whose id no valid record below the boundary of `base` carries."""
        id_ = f"`{self.contract.event_id}`"
        ids = valid.select(F.expr(id_).alias("__id")).distinct().persist()
        asked = F.broadcast(ids) if ids.count() <= _BROADCAST_ROWS else ids
        before = _valid(self._master().where(_below(base.offsets)), self.contract, stale)
        known = before.select(F.expr(id_).alias("__id")).join(asked, "__id", "left_semi").distinct()
        return valid.join(known, valid[id_] == known["__id"], "left_anti")

    def _first(self, valid: DataFrame, boundary: Cut) -> DataFrame:
        """One copy of each id."""
        losers = _losers(valid, self.contract.event_id, self.cuts[: boundary.number])
        return valid if losers is None else valid.join(losers, POSITION, "left_anti")


def _check_conserved(base: Manifest, below: int) -> None:
    if below != base.counts.get("read"):
        raise NotExact(
            "adding to a version",
            f"version {base.version} has {base.counts.get('read')} records, {below} lie below its boundary",
            "recompute all",
        )


def _between(since: Offsets, boundary: Offsets) -> str:
    places = [
        f"(partition = {p} AND offset >= {since.get(p, 0)} AND offset < {offset})"
        for p, offset in sorted(boundary.items())
    ]
    return " OR ".join(places) or "false"
