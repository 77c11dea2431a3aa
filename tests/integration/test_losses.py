"""A log that dropped what was not archived, and a log made anew under the same name, on the real engines."""

import time
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError
from pyspark.sql import SparkSession

from batch_layer.losses import main
from batch_layer.run import BatchRun
from conf.clients import kafka_options
from conf.settings import Settings
from core.errors import ForeignLog, RecordsLost
from core.layout import Layout
from serving_layer.event_log import LogRefuses
from serving_layer.kafka_log import KafkaEventLog
from speed_layer.clients import RedisAddress
from speed_layer.log import KafkaLog
from speed_layer.opening import Opening
from speed_layer.state import SpeedState
from tests.log_kit import delete_before, open_run, send
from tests.serving_kit import edit, silent_logger

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def run(spark: SparkSession, settings: Settings, topic: Callable[..., str]) -> Iterator[BatchRun]:
    with open_run(spark, settings, topic(partitions=2), "robot_edits") as run:
        yield run


@pytest.fixture
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(**kafka_options(settings))
    yield client
    client.close()


def test_a_loss_stops_publishing_until_it_is_accepted_and_then_stands_in_the_manifest(
    run: BatchRun, capsys: pytest.CaptureFixture[str]
) -> None:
    send(run, 0, edit(1), edit(2))
    first = run.run()
    assert first and first.losses == ()
    send(run, 0, edit(3), edit(4), edit(5))
    send(run, 1, edit(6))
    delete_before(run.settings, run.kafka.topic, 0, 4)
    for _ in range(2):
        with pytest.raises(RecordsLost, match="partition 0: archived up to 2, but the log begins at 4"):
            run.run()
    assert run.folders.publications().resolve() == first

    assert command(run, "list") == 0
    assert "offsets 2 to 3 (2) not accepted" in capsys.readouterr().out
    assert command(run, "accept", "--note", "a full disk") == 0
    assert command(run, "list") == 0
    assert "offsets 2 to 3 (2) accepted at" in capsys.readouterr().out

    second = run.run()
    assert second and second.counts["read"] == 4 and second.offsets == {0: 5, 1: 1}
    (loss,) = second.losses
    assert {name: loss[name] for name in ("partition", "start", "end", "note")} == {
        "partition": 0, "start": 2, "end": 4, "note": "a full disk",
    }  # fmt: skip
    send(run, 0, edit(7))
    third = run.run()
    assert third and third.losses == second.losses and third.counts["read"] == 5


def command(run: BatchRun, *arguments: str) -> int:
    return main(arguments, run.settings)


def test_a_topic_made_anew_is_refused_by_every_layer(run: BatchRun, admin: KafkaAdminClient) -> None:
    known, topic = run.folders.losses().known, run.kafka.topic
    events = KafkaEventLog(kafka_options(run.settings), known=lambda _: known())
    send(run, 0, edit(1))
    assert run.run()
    assert events.append(topic, [(b"k", b"{}")])

    admin.delete_topics([topic])
    until_made(admin, topic)
    with pytest.raises(ForeignLog, match="give the new log a source of its own"):
        run.run()
    state = SpeedState(RedisAddress.of(run.settings).connect(), Layout("test", topic))
    log = KafkaLog(run.settings, topic)
    with pytest.raises(ForeignLog):
        Opening(run.settings, run.bound, log, state, run.folders, silent_logger()).open({})
    log.close()
    fresh = KafkaEventLog(kafka_options(run.settings), known=lambda _: known())
    with pytest.raises(LogRefuses, match="was archived under that name"):
        fresh.append(topic, [(b"k", b"{}")])
    for each in (events, fresh):
        each.close()


def until_made(admin: KafkaAdminClient, topic: str) -> None:
    """Make a topic whose former life Kafka may still be deleting."""
    deadline = time.monotonic() + 30
    while True:
        try:
            wanted = {topic: {"num_partitions": 2, "replication_factor": 1}}
            admin.create_topics(wanted, wait_for_metadata=True)
            return
        except TopicAlreadyExistsError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
