"""Log to master dataset: every position once, whatever is killed, and no other log under the same name."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka import TopicPartition as Place
from pyspark.sql import SparkSession

from batch_layer.archive import Archive
from batch_layer.ledger import Chunk, Ledger, read_ledger
from batch_layer.log import KafkaLog, open_log
from batch_layer.session import build_session
from conf.clients import kafka_options
from conf.settings import Settings
from core.application import Application
from core.columns import Column
from core.contracts import Contract
from core.errors import ContractError, ForeignLog, PositionError, RecordsLost
from core.folders import Folders
from core.logs import get_logger
from core.losses import Gap, Losses
from core.topics import LogIdentity

LOG = get_logger("test")
SOURCE = "edits"


class Killed(Exception):
    """Stands for a process that dies."""


class DiesAfterCommit(Archive):
    """An archiver that is killed when its rows are durable and before it looks at them."""

    def _verify(self, chunk: Chunk) -> None:
        raise Killed


class DiesBeforeCommit(Archive):
    def _write(self, rows: object, chunk: Chunk) -> None:
        raise Killed


@pytest.fixture
def contract(settings: Settings) -> Contract:
    return Application.load(settings.application, settings.contracts_dir).source().contract


@pytest.fixture
def kafka_log(settings: Settings, topic: Callable[..., str]) -> Iterator[KafkaLog]:
    with open_log(settings, topic(partitions=2), LOG, seconds=10) as log:
        yield log


@pytest.fixture
def archive(spark: SparkSession, settings: Settings, contract: Contract) -> Archive:
    return make(Archive, spark, settings, contract)


@pytest.fixture
def losses(settings: Settings) -> Losses:
    return Folders(settings.data_dir, SOURCE).losses()


def make(
    kind: type[Archive], spark: SparkSession, settings: Settings, contract: Contract, chunk: int = 6
) -> Archive:
    build_session("test")
    return kind(spark, Folders(settings.data_dir, SOURCE).master, SOURCE, contract, chunk, LOG)


def send(settings: Settings, topic: str, *values: bytes | None, partition: int = 0) -> None:
    with KafkaProducer(**kafka_options(settings), acks="all") as producer:
        for value in values:
            producer.send(topic, value, key=b"k", partition=partition)


def valid(number: int) -> bytes:
    names = ("channel", "page", "user", "namespace")
    flags = ("isRobot", "isNew", "isMinor", "isAnonymous", "isUnpatrolled")
    numbers = ("added", "deleted", "delta")
    return json.dumps(
        {"event_id": f"e{number}", "event_time": "2015-09-12T00:46:58.771Z"}
        | dict.fromkeys(names, "x") | dict.fromkeys(flags, False) | dict.fromkeys(numbers, number)
    ).encode()  # fmt: skip


def positions(spark: SparkSession, archive: Archive) -> list[tuple[int, int]]:
    rows = spark.read.format("delta").load(str(archive.table)).select("partition", "offset").collect()
    return sorted((row[0], row[1]) for row in rows)


def every(**counts: int) -> list[tuple[int, int]]:
    return [(int(p[1:]), offset) for p, count in counts.items() for offset in range(count)]


def test_records_are_archived_once_with_their_reason_in_chunks_that_abut(
    spark: SparkSession,
    settings: Settings,
    kafka_log: KafkaLog,
    archive: Archive,
    contract: Contract,
    losses: Losses,
) -> None:
    send(settings, kafka_log.topic, *[valid(n) for n in range(9)])
    send(settings, kafka_log.topic, b"no json", valid(20), None, b'{"event_id": "x"}', partition=1)
    ledger = archive.drain(kafka_log, losses)
    assert ledger.end == ledger.total == {0: 9, 1: 4} and ledger.number > 1
    assert positions(spark, archive) == every(p0=9, p1=4)
    rows = (
        spark.read.format("delta").load(str(archive.table)).where("partition = 1").orderBy("offset").collect()
    )
    assert [row.reason is None for row in rows] == [False, True, False, False]
    assert rows[1].event.event_id == "e20" and rows[1].event.added == 20
    assert rows[0].event is None and bytes(rows[0].value) == b"no json" and rows[2].value is None
    assert {row.contract for row in rows} == {contract.fingerprint} and bytes(rows[0].key) == b"k"
    assert archive.drain(kafka_log, losses) == ledger


def test_an_archiver_killed_before_or_after_its_commit_leaves_no_hole_and_no_double(
    spark: SparkSession,
    settings: Settings,
    kafka_log: KafkaLog,
    archive: Archive,
    contract: Contract,
    losses: Losses,
) -> None:
    send(settings, kafka_log.topic, *[valid(n) for n in range(4)])
    for kind in (DiesBeforeCommit, DiesAfterCommit):
        with pytest.raises(Killed):
            make(kind, spark, settings, contract, chunk=2).drain(kafka_log, losses)
    assert archive.drain(kafka_log, losses).total == {0: 4, 1: 0}
    assert positions(spark, archive) == every(p0=4)


def test_an_empty_log_makes_an_empty_table(
    spark: SparkSession, kafka_log: KafkaLog, archive: Archive, losses: Losses
) -> None:
    ledger = archive.drain(kafka_log, losses)
    assert ledger.last is None and ledger.version == 0
    assert positions(spark, archive) == []


def test_another_log_under_the_same_name_is_refused(
    settings: Settings, kafka_log: KafkaLog, archive: Archive, losses: Losses
) -> None:
    send(settings, kafka_log.topic, valid(1))
    archive.drain(kafka_log, losses)
    identity = kafka_log.identity()
    with pytest.raises(ForeignLog):
        archive.open(replace(identity, topic_id="00000000-0000-0000-0000-000000000001"))
    with pytest.raises(ForeignLog):
        archive.open(LogIdentity("another", identity.topic, identity.topic_id))


def test_an_archive_starts_where_the_log_begins_and_refuses_a_gap_later(
    spark: SparkSession, settings: Settings, kafka_log: KafkaLog, archive: Archive, losses: Losses
) -> None:
    send(settings, kafka_log.topic, *[valid(n) for n in range(5)])
    delete_before(settings, kafka_log.topic, 2)
    assert archive.drain(kafka_log, losses).total == {0: 3, 1: 0}
    assert positions(spark, archive) == [(0, 2), (0, 3), (0, 4)]
    send(settings, kafka_log.topic, *[valid(n) for n in range(5, 9)])
    delete_before(settings, kafka_log.topic, 7)
    with pytest.raises(RecordsLost, match=r"partition 0: archived up to 5, but the log begins at 7"):
        archive.drain(kafka_log, losses)


def test_a_gap_holds_up_its_own_partition_until_the_loss_is_accepted_and_nothing_beyond_it(
    spark: SparkSession, settings: Settings, kafka_log: KafkaLog, archive: Archive, losses: Losses
) -> None:
    send(settings, kafka_log.topic, *[valid(n) for n in range(5)])
    archive.drain(kafka_log, losses)
    send(settings, kafka_log.topic, *[valid(n) for n in range(5, 9)])
    send(settings, kafka_log.topic, *[valid(n) for n in range(20, 23)], partition=1)
    delete_before(settings, kafka_log.topic, 6)
    for _ in range(2):
        with pytest.raises(RecordsLost) as caught:
            archive.drain(kafka_log, losses)
        assert caught.value.lost == ((0, 5, 6),)
        assert positions(spark, archive) == every(p0=5, p1=3)
    losses.accept([Gap(0, 5, 6)], "now", "a broken disk")
    delete_before(settings, kafka_log.topic, 7)
    with pytest.raises(RecordsLost, match="offsets 6 to 6"):
        archive.drain(kafka_log, losses)
    losses.accept([Gap(0, 6, 7)], "now", "")
    ledger = archive.drain(kafka_log, losses)
    assert (ledger.end, ledger.total, ledger.gaps) == ({0: 9, 1: 3}, {0: 7, 1: 3}, [Gap(0, 5, 7)])
    assert positions(spark, archive) == sorted({*every(p0=9, p1=3)} - {(0, 5), (0, 6)})
    assert archive.drain(kafka_log, losses) == ledger == read_ledger(archive.table)


def test_what_was_dropped_before_the_first_archive_is_lost_as_well(
    spark: SparkSession, settings: Settings, kafka_log: KafkaLog, archive: Archive, losses: Losses
) -> None:
    losses.origin(kafka_log.identity(), kafka_log.begin())
    send(settings, kafka_log.topic, valid(0), valid(1))
    delete_before(settings, kafka_log.topic, 2)
    with pytest.raises(RecordsLost, match="archived up to 0, but the log begins at 2"):
        archive.drain(kafka_log, losses)
    losses.accept([Gap(0, 0, 2)], "now", "")
    assert archive.drain(kafka_log, losses).end == {0: 2, 1: 0}
    assert positions(spark, archive) == []


def test_rows_that_are_in_no_ledger_are_noticed(
    spark: SparkSession, settings: Settings, kafka_log: KafkaLog, archive: Archive, losses: Losses
) -> None:
    send(settings, kafka_log.topic, valid(1), valid(2))
    archive.drain(kafka_log, losses)
    table = spark.read.format("delta").load(str(archive.table))
    table.limit(1).write.format("delta").mode("append").save(str(archive.table))
    with pytest.raises(PositionError, match="of them twice"):
        archive.drain(kafka_log, losses)


def test_a_chunk_that_another_archiver_wrote_is_not_written_again(
    spark: SparkSession, settings: Settings, kafka_log: KafkaLog, archive: Archive, losses: Losses
) -> None:
    send(settings, kafka_log.topic, valid(1), valid(2))
    ledger, identity = archive.drain(kafka_log, losses), kafka_log.identity()
    assert archive._append(kafka_log, identity, Ledger(-1), {0: 0, 1: 0}, {0: 2, 1: 0}, {}) == ledger
    with pytest.raises(PositionError, match="another archiver works on"):
        archive._append(kafka_log, identity, Ledger(-1), {0: 0, 1: 0}, {0: 1, 1: 0}, {})
    assert positions(spark, archive) == every(p0=2)
    assert read_ledger(archive.table).last == ledger.last


def delete_before(settings: Settings, topic: str, offset: int) -> None:
    admin = KafkaAdminClient(**kafka_options(settings))
    try:
        admin.delete_records({Place(topic, 0): offset})
    finally:
        admin.close()


def test_a_column_that_changes_its_type_is_refused_and_a_new_one_is_added(
    spark: SparkSession,
    settings: Settings,
    kafka_log: KafkaLog,
    archive: Archive,
    contract: Contract,
    losses: Losses,
) -> None:
    send(settings, kafka_log.topic, valid(1))
    archive.drain(kafka_log, losses)
    send(settings, kafka_log.topic, valid(2))
    added = Column("mood", "string", low=0, high=9)
    changed = tuple(Column("added", "boolean") if c.name == "added" else c for c in contract.columns)
    with pytest.raises(ContractError, match="give a column whose type changed another name"):
        make(Archive, spark, settings, replace(contract, columns=changed)).drain(kafka_log, losses)
    more = make(Archive, spark, settings, replace(contract, columns=(*contract.columns, added)))
    assert more.drain(kafka_log, losses).total == {0: 2, 1: 0}
