import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from conf.clients import kafka_options
from conf.settings import ROOT, Settings
from core.errors import SourceUnusable
from demo.dataset import Event
from demo.replay import make_producer, replay
from local.fetch import FetchError, jars
from local.topics import CONFIGS, end_offsets, ensure_topic, partitions_of, topic_configs, topic_identity

Topic = Callable[..., str]


def event(number: int) -> Event:
    return {"event_id": f"e{number}", "event_time": "2015-09-12T12:00:00.000Z", "number": number}


@pytest.fixture
def admin(kafka: str, settings: Settings) -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient(**kafka_options(settings)) as client:
        yield client


def records(settings: Settings, admin: KafkaAdminClient, topic: str) -> list[tuple[bytes, Event]]:
    """All that a topic holds."""
    places = [TopicPartition(topic, number) for number in partitions_of(admin, topic)]
    total = sum(end_offsets(admin, topic).values())
    found: list[tuple[bytes, Event]] = []
    with KafkaConsumer(
        **kafka_options(settings), auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        consumer.assign(places)
        while len(found) < total:
            for batch in consumer.poll(timeout_ms=5000).values():
                found += [(record.key, orjson.loads(record.value)) for record in batch]
    return found


def test_the_log_holds_every_event_once_under_its_id(
    settings: Settings, admin: KafkaAdminClient, topic: Topic
) -> None:
    name, events = topic(2), [event(number) for number in range(3000)]
    with make_producer(settings) as producer:
        assert replay(events, producer, name).sent == 3000
    found = records(settings, admin, name)
    assert sorted(e["number"] for _, e in found) == list(range(3000))
    assert all(key == e["event_id"].encode() for key, e in found)
    assert min(end_offsets(admin, name).values()) > 1000


def test_a_topic_is_made_for_facts_and_left_alone_the_second_time(
    settings: Settings, admin: KafkaAdminClient, topic: Topic
) -> None:
    name = topic(1) + "-made"
    try:
        assert ensure_topic(admin, name, 3) == 3
        assert {key: topic_configs(admin, name)[key] for key in CONFIGS} == CONFIGS
        assert ensure_topic(admin, name, 5) == 3
        assert end_offsets(admin, name) == {0: 0, 1: 0, 2: 0}
    finally:
        admin.delete_topics([name])


def test_a_compacted_topic_is_refused_with_the_reason(admin: KafkaAdminClient, topic: Topic) -> None:
    for policy in ("compact", "compact,delete"):
        name = topic(1, cleanup_policy=policy)
        with pytest.raises(
            SourceUnusable, match=rf"{name}.*cleanup\.policy=.*compact.*set cleanup\.policy=delete"
        ):
            ensure_topic(admin, name, 1)


def test_a_topic_made_again_is_another_log(settings: Settings, admin: KafkaAdminClient, topic: Topic) -> None:
    name = topic(1)
    before = topic_identity(admin, name)
    assert topic_identity(admin, name) == before and len(before.cluster) == 22 and "-" in before.topic_id
    admin.delete_topics([name])
    while name in admin.list_topics():
        time.sleep(0.1)
    ensure_topic(admin, name, 1)
    after = topic_identity(admin, name)
    assert after.cluster == before.cluster and after.topic_id != before.topic_id


def test_a_topic_that_is_not_there_is_named(admin: KafkaAdminClient) -> None:
    for ask in (topic_identity, partitions_of, end_offsets):
        with pytest.raises(SourceUnusable, match="no topic 'nowhere'"):
            ask(admin, "nowhere")


def replaying(settings: Settings, *options: str) -> "subprocess.Popen[str]":
    try:
        jars(settings, "data")
    except FetchError as error:
        pytest.skip(str(error))
    command = [sys.executable, "-m", "demo.replay", *options]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **settings.environment()}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_the_command_replays_part_of_the_day(
    settings: Settings, admin: KafkaAdminClient, topic: Topic
) -> None:
    name = topic(2)
    process = replaying(
        settings, "--topic", name, "--from", "12:00", "--to", "12:10", "--repeat", "2", "--limit", "300"
    )
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert said.startswith("replayed 300 events in ")
    found = [e for _, e in records(settings, admin, name)]
    assert {e["event_time"][11:15] for e in found} == {"12:0"}
    assert len({e["event_id"] for e in found}) == 300


def test_an_interrupt_loses_nothing_that_is_reported(
    settings: Settings, admin: KafkaAdminClient, topic: Topic
) -> None:
    name = topic(1)
    process = replaying(settings, "--topic", name, "--rate", "200")
    while not end_offsets(admin, name)[0]:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 130, complained
    assert said.startswith(f"interrupted after {end_offsets(admin, name)[0]:,} events")
