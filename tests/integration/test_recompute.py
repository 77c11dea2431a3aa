"""Which events count, and that tiles of tiles are tiles of events: Spark without a log."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from batch_layer.archive import Archive, decode
from batch_layer.events import Events, read_events
from batch_layer.ledger import Chunk, read_ledger
from batch_layer.recompute import _coarser, _finest, tiles
from batch_layer.session import build_session
from core import Count, Max, Mean, Min, Source, Sum, View
from core.contracts import Contract
from core.cuts import Cut
from core.errors import PositionError
from core.logs import get_logger
from core.topics import LogIdentity
from core.views import CompiledView

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
version: "1.0.0"
schema:
  - name: things
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: kind, logicalType: string}
      - {name: amount, logicalType: integer}
"""
IDENTITY = LogIdentity("cluster", "things", "topic")
Record = tuple[int, int, bytes]


@pytest.fixture
def contract() -> Contract:
    return Contract.load(CONTRACT)


def event(
    id_: str, amount: int | None = 1, kind: str | None = "a", at: str = "2026-01-01T10:20:30Z"
) -> bytes:
    return json.dumps({"event_id": id_, "event_time": at, "kind": kind, "amount": amount}).encode()


def archived(
    spark: SparkSession,
    folder: Path,
    contract: Contract,
    records: Sequence[Record],
    cuts: Sequence[dict[int, int]],
) -> Events:
    """The events below the last cut, of a master dataset that holds exactly these records."""
    build_session("test")
    archive = Archive(spark, folder, "things", contract, 100, get_logger("test"))
    archive.open(IDENTITY)
    log = spark.createDataFrame(
        [
            ("things", p, offset, datetime(2026, 1, 1, tzinfo=UTC), None, value)
            for p, offset, value in records
        ],
        "topic string, partition int, offset long, timestamp timestamp, key binary, value binary",
    )
    counts = {p: sum(1 for record in records if record[0] == p) for p in {record[0] for record in records}}
    start = dict.fromkeys(counts, 0)
    chunk = Chunk(
        "things", 1, start, counts, counts, counts, IDENTITY.cluster, IDENTITY.topic_id, contract.fingerprint
    )
    archive._write(decode(log, contract), chunk)
    known = [Cut(number, offsets) for number, offsets in enumerate(cuts, 1)]
    return read_events(spark, folder, read_ledger(folder), known[-1], known, contract)


def amounts(events: Events) -> dict[str, Any]:
    return {row.event_id: row.amount for row in events.frame.select("event_id", "amount").collect()}


def test_the_first_valid_copy_by_segment_partition_and_offset_counts(
    spark: SparkSession, tmp_path: Path, contract: Contract
) -> None:
    records = [
        (0, 0, event("x", 1)),
        (0, 1, event("late", 2)),
        (0, 2, event("same", 3)),
        (0, 3, event("same", 4)),
        (1, 0, event("late", 5)),  # segment 1, though partition 0 comes first
        (1, 1, b"no json"),
        (1, 2, event("x", 6)),
        (1, 3, event("y", 7)),
    ]
    events = archived(spark, tmp_path, contract, records, [{0: 1, 1: 1}, {0: 4, 1: 4}])
    assert amounts(events) == {"x": 1, "late": 5, "same": 3, "y": 7}
    assert events.counts.entry() == {"read": 8, "valid": 7, "refused": 1, "duplicates": 3, "counted": 4}


def test_records_at_and_beyond_the_boundary_do_not_count(
    spark: SparkSession, tmp_path: Path, contract: Contract
) -> None:
    records = [(p, offset, event(f"{p}-{offset}")) for p in range(2) for offset in range(3)]
    events = archived(spark, tmp_path, contract, records, [{0: 2}])
    assert set(amounts(events)) == {"0-0", "0-1"}
    assert events.counts.read == 2


def test_a_table_that_lost_rows_is_not_recomputed(
    spark: SparkSession, tmp_path: Path, contract: Contract
) -> None:
    archived(spark, tmp_path, contract, [(0, 0, event("x"))], [{0: 1}])
    ledger = read_ledger(tmp_path)
    last = ledger.chunks[-1]
    more = replace(ledger, chunks=(replace(last, total={0: 2}),))
    with pytest.raises(PositionError, match="something else wrote to it"):
        read_events(spark, tmp_path, more, Cut(1, {0: 1}), [Cut(1, {0: 1})], contract)


def exact_view() -> CompiledView:
    measures = {
        "events": Count(), "total": Sum("amount"), "mean": Mean("amount"), "least": Min("amount"),
        "last": Max("event_time"), "word": Min("kind"),
    }  # fmt: skip
    columns = {"event_id": "string", "event_time": "timestamp", "kind": "string", "amount": "long"}
    source = Source("things", contract="things")
    return View("things", source, key=("kind",), measures=measures, bucket="1 minute").compile(columns)


def moments(spark: SparkSession) -> DataFrame:
    """Events around midnight and before 1970, with sums beyond 64 bits, nulls and a NULL key."""
    return spark.range(4000).selectExpr(
        "cast(id as string) as event_id",
        "timestamp_seconds((id * 7919) % 400000 - 100000) as event_time",
        "nullif(concat('k', id % 3), 'k0') as kind",
        "if(id % 5 = 0, null, if(id % 2 = 0, 9223372036854775807L, -id)) as amount",
    )


def test_tiles_of_tiles_are_tiles_of_events(spark: SparkSession) -> None:
    build_session("test")
    view, events = exact_view(), moments(spark)
    made = tiles(events, view, 3)
    for width in view.tiles:
        alone = _finest(events, replace(view, width=width))
        wanted = alone.selectExpr("kind", "timestamp_seconds(__bucket) AS bucket", *view.columns)
        found = made.where(f"tile = {width}").select("kind", "bucket", *view.columns)
        assert_df_equality(found, wanted, ignore_row_order=True, ignore_nullable=True, transforms=[_as_text])


def test_any_split_of_the_events_merges_to_the_same_tiles(spark: SparkSession) -> None:
    build_session("test")
    view, events = exact_view(), moments(spark)
    parts = [_finest(events.where(f"pmod(hash(event_id), 3) {test}"), view) for test in ("= 0", "<> 0")]
    merged = _coarser(parts[0].unionAll(parts[1]), view, view.width)
    assert_df_equality(
        merged, _finest(events, view), ignore_row_order=True, ignore_nullable=True, transforms=[_as_text]
    )


def test_a_view_without_events_has_no_rows(spark: SparkSession) -> None:
    build_session("test")
    assert tiles(moments(spark).where("false"), exact_view(), 2).count() == 0


def _as_text(frame: DataFrame) -> DataFrame:
    """Decimals of other precisions are the same numbers."""
    return frame.selectExpr(*[f"cast(`{name}` as string) as `{name}`" for name in frame.columns])
