"""Faults on the real engines, one after the other on one platform; an auditor judges every answer.

Tests run in the order of the file: what cannot be mended without an operator comes last.
"""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import TopicPartition

from core.faults import POINTS, Action
from demo.judge import judge
from demo.wikipedia import WIKIPEDIA
from local.tools import free_ports
from local.topics import end_offsets, ensure_topic
from tests.audit.views import EDITS
from tests.e2e.conftest import TABLE
from tests.e2e.trial import AFTER_A_PUBLISH, PATIENCE, PROBES, Trial, settings_of

pytestmark = [pytest.mark.timeout(900), pytest.mark.faults]


def points(process: str) -> list[str]:
    return [name for name, point in POINTS.items() if point.process == process]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Trial]:
    settings = settings_of(tmp_path_factory.mktemp("faults"), free_ports(4))
    with Trial(settings) as trial:
        yield trial
        request.config.stash[TABLE] = trial.write().read_text()


def test_every_point_is_struck_by_one_of_these_tests() -> None:
    assert {point.process for point in POINTS.values()} == {"speed", "batch", "api"}
    assert set(AFTER_A_PUBLISH) <= set(points("speed"))


def test_answers_stay_right_and_quick_while_a_version_is_published(trial: Trial) -> None:
    with trial.fault("none, speed layer alone"):
        pass
    assert trial.publish() == 0
    with trial.fault("none, for 10 s"):
        time.sleep(10)
    with trial.fault("none, a publish") as row:
        assert trial.publish() == 0
        row.since = time.time()
    assert row.tally.unanswered == 0


def test_the_auditor_finds_an_event_too_many_and_one_that_is_missing(trial: Trial) -> None:
    event = {**next(iter(trial.ledger.events.values())), "event_id": "smuggled"}
    trial.stand_still()
    tally = trial.auditor.begin()
    trial.stream.smuggle(event)
    trial.wait(lambda: bool(tally.wrong), "the auditor to notice an event that nobody produced")
    trial.ledger.sent(event)
    trial.ledger.acknowledged(event)
    lost = {**event, "event_id": "lost"}
    tally = trial.auditor.begin()
    trial.ledger.sent(lost)
    trial.ledger.acknowledged(lost)
    trial.wait(lambda: bool(tally.wrong), "the auditor to notice an event that is missing")
    trial.stream.smuggle(lost)
    trial.stand_still()
    trial.stream.paused.clear()


def test_the_speed_job_is_killed_between_its_writes(trial: Trial) -> None:
    with trial.fault("SIGKILL of the speed job") as row:
        row.since = trial.kill_at("speed.fields.within")


def test_redis_comes_back_empty(trial: Trial) -> None:
    with trial.fault("Redis back empty"):
        trial.platform.stop("redis")
        shutil.rmtree(trial.settings.data_dir / "redis")
        trial.platform.start("redis")


def test_the_batch_job_is_killed_between_two_views(trial: Trial) -> None:
    with trial.fault("SIGKILL of the batch job") as row:
        row.since = trial.kill_at("view.commit.after")


def test_the_archiver_is_killed_behind_a_commit(trial: Trial) -> None:
    with trial.fault("SIGKILL of the archiver") as row:
        row.since = trial.kill_at("archive.commit.after", "--archive-only", "--follow")


def test_an_api_worker_is_killed(trial: Trial) -> None:
    with trial.fault("SIGKILL of an API worker") as row:
        row.since = trial.kill_at("api.answer")


@pytest.mark.parametrize("point", points("batch"))
def test_the_batch_job_dies_at(trial: Trial, point: str) -> None:
    with trial.fault(f"abort at {point}") as row:
        trial.plant(point, Action.ABORT)
        assert trial.publish() != 0
        row.since = trial.wait_struck(point, 0)


@pytest.mark.parametrize("point", ["index.shard.middle", "manifest.before"])
def test_the_disk_is_full_at_a_publish(trial: Trial, point: str) -> None:
    with trial.fault(f"disk full at {point}") as row:
        trial.plant(point, Action.FULL)
        before = trial.log_length("batch")
        assert trial.publish() != 0
        assert "No space left on device" in trial.said("batch", before)
        row.since = trial.wait_struck(point, 0)


def test_after_all_its_deaths_the_batch_job_publishes(trial: Trial) -> None:
    before = trial.version()
    with trial.fault("none, a publish after all these") as row:
        assert trial.publish() == 0
        row.since = time.time()
    assert trial.version() > before


@pytest.mark.parametrize("point", points("speed"))
def test_the_speed_job_dies_at(trial: Trial, point: str) -> None:
    trial.warm("speed")
    with trial.fault(f"abort at {point}") as row:
        trial.plant(point, Action.ABORT)
        if point in AFTER_A_PUBLISH:
            trial.let_segments_go()
        row.since = trial.wait_struck(point)


def test_an_api_worker_dies(trial: Trial) -> None:
    with trial.fault("abort at api.answer") as row:
        trial.plant("api.answer", Action.ABORT)
        row.since = trial.wait_struck("api.answer")


def test_redis_is_killed_and_comes_back_with_its_data(trial: Trial) -> None:
    trial.redis.config_set("appendfsync", "always")
    with trial.fault("Redis killed, back with its data"):
        trial.platform.kill("redis")


def test_redis_comes_back_with_an_older_snapshot(trial: Trial) -> None:
    kept, redis = trial.settings.data_dir / "redis", trial.settings.data_dir / "redis-older"
    shutil.copytree(kept, redis)
    assert trial.auditor.wait_fresh(time.time() + 4, PATIENCE) is not None
    with trial.fault("Redis back with an older snapshot"):
        trial.platform.stop("redis")
        shutil.rmtree(kept)
        redis.rename(kept)
        trial.platform.start("redis")


def test_redis_stands_still(trial: Trial) -> None:
    with trial.fault("Redis frozen for 20 s") as row:
        trial.platform.signal("redis", signal.SIGSTOP)
        time.sleep(20)
        trial.platform.signal("redis", signal.SIGCONT)
        row.since = time.time()


def test_redis_is_full(trial: Trial) -> None:
    before = trial.log_length("speed")
    with trial.fault("Redis full for 10 s") as row:
        trial.redis.config_set("maxmemory", "1mb")
        trial.wait(lambda: "redis_full" in trial.said("speed", before), "the speed job to say so")
        time.sleep(8)
        trial.redis.config_set("maxmemory", "1gb")
        row.since = time.time()


def test_kafka_is_killed(trial: Trial) -> None:
    with trial.fault("Kafka killed and back"):
        trial.platform.kill("kafka")


@pytest.mark.soak
@pytest.mark.parametrize("point", list(POINTS))
def test_sigkill_at(trial: Trial, point: str) -> None:
    with trial.fault(f"SIGKILL at {point}") as row:
        row.since = trial.kill_at(point)
    if POINTS[point].process == "batch":
        assert trial.publish() == 0


@pytest.mark.parametrize("kind", ["torn", "missing"])
def test_the_checkpoint_is_damaged(trial: Trial, kind: str) -> None:
    with trial.fault(f"checkpoint {kind}"):
        trial.platform.stop("speed")
        checkpoint = newest(trial.folders.checkpoint("x").parent)
        if kind == "torn":
            entry = max(checkpoint.glob("offsets/[0-9]*"), key=lambda path: int(path.name))
            entry.write_text(entry.read_text()[:-9])
        else:
            shutil.rmtree(checkpoint)
        trial.platform.start("speed")


def newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime)


def test_a_manifest_is_torn(trial: Trial) -> None:
    path = trial.settings.registry_dir / EDITS.name / "manifests" / f"{trial.version():020d}.json"
    whole, before = path.read_bytes(), trial.log_length("batch")
    with trial.fault("manifest torn, until it is restored") as row:
        path.write_bytes(whole[: len(whole) // 2])
        trial.plant("api.answer", Action.ABORT)  # the next worker has to read it
        trial.wait_struck("api.answer")
        assert trial.publish() != 0
        assert "FormatRefused" in trial.said("batch", before)
        path.write_bytes(whole)
        row.since = time.time()


def test_an_index_file_is_missing(trial: Trial) -> None:
    path = trial.folders.index_file(trial.version(), "wiki", 0)
    with trial.fault("index file missing, until the next publish") as row:
        path.unlink()
        trial.plant("api.answer", Action.ABORT)
        trial.wait_struck("api.answer")
        assert trial.publish() == 0
        row.since = time.time()


def test_a_partition_is_added(trial: Trial) -> None:
    with trial.fault("a partition added") as row:
        trial.admin.create_partitions({EDITS.topic: 3})
        trial.wait(lambda: end_offsets(trial.admin, EDITS.topic).get(2, 0) > 20, "records in it")
        row.since = time.time()
    with trial.fault("none, a publish with the new partition") as row:
        assert trial.publish() == 0
        row.since = time.time()


def test_after_all_of_it_every_measure_is_what_plain_python_says(trial: Trial) -> None:
    trial.stand_still()
    oracle = WIKIPEDIA.oracle
    truth = oracle.truth(trial.ledger.events.values())
    for probe in PROBES:
        answer = trial.auditor.answer(probe)
        verdicts = judge(answer["rows"][0]["measures"], oracle.facts(probe, truth), oracle.measures)
        assert [verdict for verdict in verdicts if not verdict.right] == []
    trial.stream.paused.clear()


def test_the_log_dropped_what_was_not_archived(trial: Trial) -> None:
    version, before = trial.version(), trial.log_length("batch")
    with trial.fault("log retention ate what batch does not cover"):
        assert trial.auditor.wait_fresh(time.time() + 2, PATIENCE) is not None
        ends = end_offsets(trial.admin, EDITS.topic)
        trial.stand_still()
        trial.admin.delete_records({TopicPartition(EDITS.topic, p): end for p, end in ends.items()})
        trial.stream.paused.clear()
        assert trial.publish() != 0
        assert "RecordsLost" in trial.said("batch", before)
    assert trial.version() == version


def test_another_log_stands_under_the_same_name(trial: Trial) -> None:
    before = trial.log_length("batch")
    with trial.fault("topic made anew under the same name", recovers=False) as row:
        trial.admin.delete_topics([EDITS.topic])
        trial.wait(lambda: EDITS.topic not in trial.admin.list_topics(), "the topic's end")
        ensure_topic(trial.admin, EDITS.topic, 3)
        trial.wait(lambda: row.tally.incomplete > 0, "an answer that says so")
        time.sleep(20)
        assert trial.publish() != 0
        assert "ForeignLog" in trial.said("batch", before)
