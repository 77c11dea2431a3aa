"""Corrected orders on real engines: what both layers say together is what a loop over the log says."""

import json
import random
from collections.abc import Callable, Iterator

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from conf.settings import Settings
from core.losses import Gap
from tests.correcting_kit import Shop, cancel, open_shop, order, some_orders
from tests.log_kit import delete_before
from tests.speed_kit import keys_of

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def shop(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[Shop]:
    with open_shop(spark, settings, redis_client, topic) as made:
        yield made


def catch_up(shop: Shop, cut: bool = True) -> None:
    shop.world.catch_up(cut_interval=0.001 if cut else 3600.0, max_offsets_per_trigger=60)


def undo(shop: Shop) -> None:
    """As after a crash in the newest micro-batch: no stamp, no progress, no commit; all else stays."""
    world = shop.world
    generation, progress = world.current(), world.progress()
    batch = progress["batch"]
    checkpoint = world.folders.checkpoint(generation)
    (checkpoint / "commits" / str(batch)).unlink(missing_ok=True)
    (checkpoint / "commits" / f".{batch}.crc").unlink(missing_ok=True)
    before = checkpoint / "offsets" / str(batch - 1)
    end = json.loads(before.read_text().splitlines()[2])[world.name] if batch else {"0": 0, "1": 0}
    changed = progress | {"batch": batch - 1, "end": end}
    world.redis.set(world.layout.of(generation, "progress"), json.dumps(changed))
    for shard in range(world.settings.shards):
        world.redis.hset(world.layout.stamp(generation, shard), "batch", str(batch - 1))


def counts(shop: Shop, manifest: dict[str, int]) -> None:
    """Every record is accounted for."""
    assert manifest["read"] == sum(map(len, shop.world.sent.values()))
    assert manifest["valid"] == manifest["read"] - manifest["refused"]
    gone = manifest["duplicates"] + manifest["corrected"] + manifest["retractions"]
    assert manifest["counted"] == manifest["valid"] - gone == len(shop.counting())


def test_corrections_of_every_kind_across_micro_batches_segments_and_publishes(shop: Shop) -> None:
    # in one micro-batch: an edit, an edit of the edit by the first id, a cancellation; what never counted
    shop.send(0, order("a"), order("a2", "a"), order("a3", "a"), order("b"), cancel("b-", "b"), order("k"))
    shop.send(
        0, None, cancel("q-", "quarantined"), order("c"), order("c"), cancel("c-", "c"), cancel("c-", "c")
    )
    shop.send(1, order("d"), order("e"), order("f"), order("g"), cancel("u-", "unknown"))
    catch_up(shop)
    assert shop.compare() > 0
    # in later segments
    shop.send(1, order("d2", "d"), cancel("e-", "e"), order("h", "nobody"), cancel("h-", "nobody"))
    catch_up(shop)
    shop.compare()
    first = shop.publish()
    counts(shop, dict(first.counts))
    assert first.counts["unmatched"] == 3
    assert shop.check()["verdict"] == "explained"
    assert {line["cause"] for line in shop.check()["findings"]} == {None, "restatement"}
    assert shop.compare() == 0
    # of what lies below the boundary: the index tells it; edits of edits on both sides
    shop.send(1, order("d3", "d"), order("f2", "f"), order("f3", "f2"), cancel("g-", "g"), cancel("g--", "g"))
    shop.send(0, order("a4", "a3"), cancel("k-", "k"), cancel("a-", "a"))
    catch_up(shop)
    generation = shop.world.current()
    assert shop.compare() > 0
    undo(shop)
    shop.world.redis.delete(*keys_of(shop.world, "f"))
    catch_up(shop)
    assert shop.world.current() == generation
    assert shop.compare() > 0
    second = shop.publish()
    counts(shop, dict(second.counts))
    assert shop.check()["verdict"] == "explained", shop.check()
    assert shop.compare() == 0
    # a new life of the speed state knows from the index alone what lies before it
    shop.world.redis.flushall()
    shop.send(1, cancel("d-", "d3"), cancel("f-", "f"))
    shop.send(0, order("k2", "k-"), order("l"))
    catch_up(shop)
    assert shop.world.current() != generation and shop.world.progress()["lost"] is None
    shop.compare()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 6))])
def test_orders_drawn_at_random_through_publishes_replays_and_a_new_life(shop: Shop, seed: int) -> None:
    draw = random.Random(seed)
    known: dict[int, list[str]] = {0: [], 1: []}
    for step in range(7):
        for partition, names in known.items():
            shop.send(partition, *some_orders(draw, names, 40, f"p{partition}s{step}-"))
        catch_up(shop, cut=step % 3 != 1)
        shop.compare()
        if step in (2, 4):
            undo(shop)
            catch_up(shop)
            shop.compare()
        if step in (2, 3, 5):  # where a cut stands at the end, so that the state can be held against the log
            counts(shop, dict(shop.publish().counts))
            assert shop.check()["verdict"] in ("equal", "explained"), shop.check()
            shop.compare()
        if step == 4:
            shop.world.redis.flushall()


def test_a_generation_that_counted_what_is_lost_is_condemned_at_the_publish(shop: Shop) -> None:
    world = shop.world
    shop.send(0, order("a"))
    shop.send(1, order("b"))
    catch_up(shop)
    shop.publish()
    shop.send(0, order("x"))
    shop.send(1, order("c"))
    catch_up(shop)
    delete_before(world.settings, world.bound.source.topic, 0, 2)
    shop.folders.losses().accept([Gap(0, 1, 2)], "now", "a full disk")
    assert shop.publish().losses
    assert "are lost" in shop.check()["reason"]
    condemned = world.redis.get(world.layout.of(world.current(), "condemned"))
    assert isinstance(condemned, bytes) and b"may have counted what no version holds" in condemned
