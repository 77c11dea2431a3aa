"""The check of a publish on a real log, speed state and archive: what it finds, and when it cannot look."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from batch_layer.boundary import NoRedis
from batch_layer.clients import RedisAddress
from batch_layer.handoff_check import HandoffCheck
from batch_layer.log import open_log
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from batch_layer.speed_state import RedisSpeedState
from conf.settings import Settings
from core.equality import Cause, Difference
from core.errors import HandoffsLost, HandoffUnequal
from core.handoff import window_start
from core.handoffs import Handoff
from core.layout import parse_field, seal, unseal
from core.logs import get_logger
from core.manifest import Manifest, Pointer
from core.standing import Standing
from tests.speed_kit import World, events_of, hash_of, keys_of, open_world, publish, running, until

pytestmark = pytest.mark.timeout(240)

LOG = get_logger("test")
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[World]:
    with open_world(spark, settings, redis_client, topic) as made:
        yield made


def state_of(world: World) -> RedisSpeedState:
    return RedisSpeedState(RedisAddress.of(world.settings), world.layout)


def check(
    world: World, start: int, boundary: int, state: RedisSpeedState | None = None, **changed: Any
) -> Handoff:
    """What the publish of a version would find that goes from `start` to `boundary`."""
    settings = world.settings.model_copy(update=changed)
    cuts, publications = world.folders.cuts(), world.folders.publications()
    session = build_session("test")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    with open_log(settings, world.name, LOG, seconds=10) as kafka:
        ledger = BatchRun(session, settings, world.bound, kafka, NoRedis(), LOG).archive_once()
    newest = world.folders.handoffs().newest()
    manifest = Manifest(
        (newest["version"] if newest else 0) + 1, world.name, boundary, cuts.get(boundary).offsets, "c", "t",
        ledger.version, world.bound.semantics(settings.dedupe_window), AT.isoformat(),
    )  # fmt: skip
    parent = Pointer(1, 1, start, 0, "publish", AT.isoformat())
    assert publications.current() is None
    made = HandoffCheck(
        session, settings, world.bound, world.folders, state or state_of(world), LOG, lambda: AT
    )
    return made.before(manifest, parent)


def fill(world: World) -> int:
    """Events in both partitions and many segments, some with copies nearby, some without a value."""
    events = events_of(120)
    world.send(0, *events[:60], None, *events[50:60], events[3])
    world.send(1, *events[60:], events[70], None)
    world.catch_up(max_offsets_per_trigger=40, cut_interval=0.001)
    return len(world.folders.cuts().all())


def test_an_untouched_state_is_equal_in_every_segment_and_the_table_says_so(world: World) -> None:
    last = fill(world)
    for start, boundary in ((0, last), (1, last - 1)):
        found = check(world, start, boundary)
        assert (found.verdict, found.reason) == ("equal", None)
        totals = {(f.view, f.measure): (f.expected, f.found) for f in found.findings}
        assert all(expected == got for expected, got in totals.values()), totals
        counted = sum(
            shown["n"] for (view, _, at, _), shown in world.truth().items()
            if view == "by_page" and start <= at < boundary
        )  # fmt: skip
        assert totals["by_page", "n"] == (counted, counted)
        assert found.shards == [0, 1, 2, 3]
    rows = world.spark.read.format("delta").load(str(world.folders.handoff_table))
    measures = sum(len(view.measures) for view in world.bound.views.values())
    assert rows.count() == 2 * measures and rows.where("cause IS NULL").count() == 2 * measures
    assert {row.version for row in rows.select("version").distinct().collect()} == {1, 2}
    shutil.rmtree(world.folders.data / "registry" / world.bound.source.name / "handoffs")
    for _ in range(3):  # not once alone: a refused check leaves no record that would fill the gap
        with pytest.raises(HandoffsLost, match="has hand-off checks up to 2, the registry only up to 0"):
            check(world, 0, last)


def test_damage_of_any_kind_is_found_at_its_place_and_condemns(world: World) -> None:
    last = fill(world)
    generation = world.current()
    for damage in (_changed, _deleted, _unlisted, _torn, _invented):
        place, mend = damage(world)
        found = check(world, 0, last)
        assert found.verdict == "unknown", damage.__name__
        wrong = {f.measure: f for f in found.unknown if f.view == "by_page"}
        first = wrong["n"].keys[0]
        assert (first.key, first.segment, first.bucket) == place, damage.__name__
        assert {f.view for f in found.unknown} == {"by_page"}
        reason = world.redis.get(world.layout.of(generation, "condemned"))
        assert isinstance(reason, bytes) and place[0] in reason.decode()
        request = world.redis.get(world.layout.rebuild())
        assert isinstance(request, bytes) and json.loads(request)["replace"] == generation
        mend()
        world.redis.delete(world.layout.of(generation, "condemned"), world.layout.rebuild())
    assert check(world, 0, last).verdict == "equal"
    newest = world.folders.handoffs().newest()
    assert newest and newest["alarms"] == 5


Place = tuple[str, int, int]
Damage = tuple[Place, Callable[[], Any]]


def _field(world: World) -> tuple[str, bytes, bytes, Place]:
    """Some field of a view: its hash, name, value and place."""
    key = min(key.decode() for key in keys_of(world, "f") if b":f:by_page:" in key)
    name, value = min(hash_of(world.redis, key).items())
    return key, name, value, (key.split(":f:", 1)[1].split(":", 2)[2], *parse_field(name))


def _changed(world: World) -> Damage:
    key, name, value, place = _field(world)
    codec = world.bound.views["by_page"].codec
    batch, packed = unseal(value)
    count, *rest = codec.unpack(packed)
    world.redis.hset(key, name, seal(batch, codec.pack((count + 1, *rest))))
    return place, lambda: world.redis.hset(key, name, value)


def _deleted(world: World) -> Damage:
    key, name, value, place = _field(world)
    world.redis.hdel(key, name.decode())
    return place, lambda: world.redis.hset(key, name, value)


def _unlisted(world: World) -> Damage:
    """Its entry in the list of touched hashes is lost: nothing would ever drop it."""
    key, _, _, place = _field(world)
    head, listed = key.split(":f:", 1)
    world.redis.srem(f"{head}:t:{place[1]}", listed)
    return place, lambda: world.redis.sadd(f"{head}:t:{place[1]}", listed)


def _torn(world: World) -> Damage:
    key, name, value, place = _field(world)
    world.redis.hset(key, name, value[:20])
    return place, lambda: world.redis.hset(key, name, value)


def _invented(world: World) -> Damage:
    """A hash that no event explains, as a replay that was not recognised would leave it."""
    key, name, value, (text, segment, bucket) = _field(world)
    head, listed = key.split(":f:", 1)
    view, container, _ = listed.split(":", 2)
    other = f"{view}:{container}:{text}x"
    world.redis.hset(f"{head}:f:{other}", name, value)
    world.redis.sadd(f"{head}:t:{segment}", other)
    return (f"{text}x", segment, bucket), lambda: world.redis.srem(f"{head}:t:{segment}", other)


def test_copies_beyond_the_window_are_told_and_those_within_are_not_even_there(world: World) -> None:
    world.settings = world.settings.model_copy(update={"dedupe_window": 1, "cut_interval": 0.001})
    events = events_of(12)
    again = {0: [events[0]], 1: [events[1]], 2: [], 3: [], 4: [events[2]]}
    for segment, copies in again.items():
        fresh = events if segment == 0 else events_of(3, f"s{segment}-")
        world.send(0, *fresh, *copies)  # segment 0: in the same micro-batch; 1: in the next segment
        world.catch_up()
    assert len(world.folders.cuts().all()) == 5
    assert check(world, 0, 4).verdict == "equal"
    found = check(world, 1, 5)
    assert found.verdict == "explained" and not found.unknown
    late = {(f.view, f.measure): f for f in found.findings if f.cause == Cause.DUPLICATE}
    n = late["by_page", "n"]
    assert (n.expected, n.found, n.difference, n.differing) == (13 - 1, 13, 1, 1)
    assert [key.segment for key in n.keys] == [4]
    assert late["by_page", "size"].difference == events[2]["size"]
    assert all(f.cause in (None, Cause.DUPLICATE) for f in found.findings)


def test_copies_on_two_partitions_are_a_matter_of_order_and_condemn_nothing(world: World) -> None:
    events = events_of(10)
    world.send(0, *events)
    world.catch_up(cut_interval=0.001)
    world.send(0, events_of(1, "other")[0])
    world.send(1, {**events[1], "event_id": "other0", "page": "elsewhere"}, {**events[2], "event_id": "x"})
    world.send(0, {**events[3], "event_id": "x"})
    world.catch_up(cut_interval=0.001)
    found = check(world, 0, 2)
    assert found.verdict in ("equal", "explained") and not found.unknown


def test_a_generation_that_was_begun_later_knows_what_it_has_read(world: World) -> None:
    world.settings = world.settings.model_copy(update={"dedupe_window": 1, "cut_interval": 0.001})
    events = events_of(9)
    copies = {
        2: [events[4], events[0]]
    }  # of an event it reads for its mark alone, and of one before it reads
    for at in range(3):
        world.send(0, *events[at * 3 : at * 3 + 3], *copies.get(at, ()))
        world.catch_up()
    publish(world, 2)
    world.redis.flushall()
    world.send(0, events[8])
    world.catch_up()
    assert window_start(2, 1) == 1
    for path in world.settings.registry_dir.glob(f"{world.name}/pointer/*"):
        path.unlink()
    found = check(world, 2, 4)
    assert found.verdict == "explained"
    n = next(f for f in found.findings if (f.view, f.measure, f.cause) == ("by_page", "n", Cause.DUPLICATE))
    assert (n.expected, n.found) == (3, 4)


class Overtaken(RedisSpeedState):
    """Something happens to the state after its first look."""

    def __init__(self, world: World, what: Callable[[World], None]) -> None:
        super().__init__(RedisAddress.of(world.settings), world.layout)
        self.world, self.what, self.looks = world, what, 0

    def standing(self) -> Standing:
        self.looks += 1
        if self.looks == 2:
            self.what(self.world)
        return super().standing()


def _drop(world: World) -> None:
    for shard in range(world.settings.shards):
        world.redis.hset(world.layout.stamp(world.current(), shard), "floor", "2")
    world.redis.delete(*keys_of(world, "f"))


def _lose(world: World) -> None:
    world.redis.delete(world.layout.stamp(world.current(), 1), *keys_of(world, "f")[:1])


def test_what_cannot_be_checked_is_recorded_with_its_reason_and_raises_no_alarm(world: World) -> None:
    nothing = check(world, 0, 0)
    assert nothing.verdict == "not possible" and "has no state" in str(nothing.reason)
    last = fill(world)
    generation = world.current()
    assert "runs other definitions" in str(check(world, 0, last, dedupe_window=7).reason)
    assert "there are no segments" in str(check(world, last, last).reason)
    world.send(0, *events_of(5, "more"))
    world.folders.cuts().make({0: 77, 1: 62}, "test")
    assert "has not passed boundary" in str(check(world, 0, last + 1).reason)
    lost = check(world, 0, last, Overtaken(world, _lose))
    assert "changed while it was read: the speed state is older" in str(lost.reason)
    world.redis.hset(world.layout.stamp(generation, 1), "batch", world.progress()["batch"])
    dropped = check(world, 0, last, Overtaken(world, _drop))
    assert "changed while it was read: the speed layer dropped segments below 2" in str(dropped.reason)
    assert not dropped.findings and not world.redis.exists(world.layout.of(generation, "condemned"))
    away = RedisSpeedState(
        replace(RedisAddress.of(world.settings), url="redis://127.0.0.1:1/0"), world.layout
    )
    assert "Connection refused" in str(check(world, 0, last, away).reason)
    rows = world.spark.read.format("delta").load(str(world.folders.handoff_table))
    assert rows.count() == 7 and rows.where("reason IS NULL").count() == 0


def test_a_setting_lets_an_unknown_difference_block_until_the_generation_is_rebuilt(world: World) -> None:
    last = fill(world)
    _changed(world)
    for _ in range(2):
        with pytest.raises(HandoffUnequal, match="LAMBDA_HANDOFF_BLOCKS=false"):
            check(world, 0, last, handoff_blocks=True)
    assert [entry["verdict"] for entry in world.folders.handoffs().last(9)] == ["not possible", "unknown"]
    first = world.current()
    with running(replace(world.job(), until_caught_up=False)):
        until(lambda: world.current() != first)
    assert check(world, 0, last, handoff_blocks=True).verdict == "equal"


def test_of_many_records_whole_shards_are_checked_in_turn_and_the_record_says_which(world: World) -> None:
    last = fill(world)
    seen = set[int]()
    for _ in range(4):
        found = check(world, 0, last, handoff_records=50)
        assert found.verdict == "equal" and 0 < len(found.shards) < found.of == 4
        seen |= set(found.shards)
    assert seen == {0, 1, 2, 3}


def test_differences_are_shown_at_their_first_places(world: World) -> None:
    last = fill(world)
    for key in keys_of(world, "f"):
        world.redis.delete(key)
    found = check(world, 0, last)
    n = next(f for f in found.findings if (f.view, f.measure) == ("by_page", "n"))
    assert len(n.keys) == 10 and n.differing == n.places
    assert n.keys[0] == min(n.keys) and isinstance(n.keys[0], Difference) and n.keys[0].found is None
