"""What tests of the batch layer share: archived edits without a log, and what a version holds."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from batch_layer.archive import Archive, decode
from batch_layer.boundary import NoRedis
from batch_layer.ledger import Chunk, read_ledger
from batch_layer.log import KafkaLog
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from conf.settings import Settings
from core.application import Application, BoundSource
from core.contracts import Contract
from core.logs import get_logger
from core.manifest import Manifest
from core.measures import Partial
from core.topics import LogIdentity
from core.views import CompiledView, View

Event = Mapping[str, Any]
Place = tuple[str, int, int]
LOG = get_logger("test")
IDENTITY = LogIdentity("cluster", "wikipedia.edits", "topic")
PARTITIONS = 2


class EditsLog(KafkaLog):
    """A log that was archived to its end: what tests append goes to the master dataset at once."""

    def __init__(self, table: Path) -> None:
        self.table, self.topic = table, IDENTITY.topic

    def identity(self) -> LogIdentity:
        return IDENTITY

    def begin(self) -> dict[int, int]:
        return dict.fromkeys(range(PARTITIONS), 0)

    def end(self) -> dict[int, int]:
        return self.begin() | read_ledger(self.table).end


@dataclass(frozen=True)
class Bench:
    """A batch run of some views over records that a test archives itself."""

    run: BatchRun

    @property
    def bound(self) -> BoundSource:
        return self.run.bound

    def archive(self, *parts: Sequence[Event | bytes]) -> None:
        """The next records of each partition, one commit."""
        folders, spark, contract = self.run.folders, self.run.spark, self.bound.contract
        archive = Archive(spark, folders.master, self.bound.source.name, contract, 100_000, LOG)
        ledger = archive.open(IDENTITY)
        start = dict.fromkeys(range(PARTITIONS), 0) | ledger.end
        counts = {p: len(part) for p, part in enumerate(parts)}
        end = {p: start[p] + counts.get(p, 0) for p in start}
        rows = [
            (IDENTITY.topic, p, start[p] + place, datetime(2026, 1, 1, tzinfo=UTC), None, _bytes(record))
            for p, part in enumerate(parts)
            for place, record in enumerate(part)
        ]
        total = {p: ledger.total.get(p, 0) + counts.get(p, 0) for p in start}
        chunk = Chunk(
            self.bound.source.name, ledger.number + 1, start, end, counts, total, IDENTITY.cluster,
            IDENTITY.topic_id, contract.fingerprint,
        )  # fmt: skip
        schema = "topic string, partition int, offset long, timestamp timestamp, key binary, value binary"
        archive._write(decode(spark.createDataFrame(rows, schema), contract), chunk)

    def of(self, views: Iterable[View] = (), contract: Contract | None = None, **settings: Any) -> "Bench":
        """The same data under other definitions, another contract or other settings."""
        bound, contract = self.bound, contract or self.bound.contract
        named = {view.name: view for view in views} or dict(bound.definitions)
        changed = BoundSource.of(bound.source, contract, named)
        copied = self.run.settings.model_copy(update=settings)
        return Bench(replace(self.run, bound=changed, settings=copied))

    def rows(self, manifest: Manifest, view: str) -> dict[Place, Partial]:
        """A view's table as a version has it."""
        folders, compiled = self.run.folders, self.bound.view(view)
        reader = self.run.spark.read.format("delta").option("versionAsOf", manifest.views[view]["version"])
        rows = reader.load(str(folders.table(view)))
        columns = ["key_text", "tile", "unix_seconds(bucket)", *[f"`{name}`" for name in compiled.columns]]
        return {
            (row[0], row[1], row[2]): tuple(map(_plain, row[3:]))
            for row in rows.selectExpr(*columns).collect()
        }


def bench(spark: SparkSession, settings: Settings, *views: str) -> Bench:
    """Wikipedia's edits and some of their views, in an empty folder."""
    bound = Application.load(settings.application, settings.contracts_dir).source()
    made = bench_of(spark, settings, bound)
    return made.of([bound.definitions[name] for name in views]) if views else made


def bench_of(spark: SparkSession, settings: Settings, bound: BoundSource) -> Bench:
    """Any source, in an empty folder."""
    build_session("test")
    log = EditsLog(Path())
    run = BatchRun(spark, settings, bound, log, NoRedis(), LOG)
    log.table = run.folders.master
    return Bench(run)


def differing(view: CompiledView, left: Mapping[Place, Partial], right: Mapping[Place, Partial]) -> list[Any]:
    """Where versions differ: exact measures at all, HLL in its registers, other sketches beyond bounds."""
    if left.keys() != right.keys():
        return sorted(left.keys() ^ right.keys())
    return [
        (place, name)
        for place in left
        for (name, measure), mine, theirs in _by_measure(view, left[place], right[place])
        if not measure.same(mine, theirs)
    ]


def _by_measure(view: CompiledView, left: Partial, right: Partial) -> Iterable[Any]:
    at = 0
    for item in view.measures.items():
        end = at + len(item[1].slots)
        yield item, left[at:end], right[at:end]
        at = end


def _bytes(record: Event | bytes) -> bytes:
    return record if isinstance(record, bytes) else json.dumps(record).encode()


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value
