"""Visits on the real engines: both layers, and what is merged of them, against lists of visits in Python."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from batch_layer.boundary import RedisSpeed
from batch_layer.clients import RedisAddress
from batch_layer.log import open_log
from batch_layer.positions import POSITION
from batch_layer.run import BatchRun
from batch_layer.session import build_session
from batch_layer.speed_state import RedisSpeedState
from batch_layer.visits import index_visits, roles
from conf.settings import Settings
from core import Count, Source, View, Visits
from core.cuts import Cut
from core.folders import Folders
from core.instants import parse_instant
from core.layout import VISITS, parse_field, unseal
from core.logs import get_logger
from core.manifest import Manifest
from core.measures import Partial
from core.visits import Visit, bounce_rate, bounces, visit_length, visits
from demo.dataset import edits
from speed_layer.faults import RedisAway
from speed_layer.janitor import Janitor
from speed_layer.state import SpeedState
from speed_layer.visit_index import VisitIndex, choose
from speed_layer.visit_step import unknown_before
from tests.speed_kit import Event, World, hash_of, keys_of, meta_of, open_world
from tests.visits import first_copies, told, visits_of

pytestmark = pytest.mark.timeout(420)

LOG = get_logger("test")
MINUTE = 60_000
GAP = 30 * MINUTE


def _views(source: Source) -> list[View]:
    measures = {"n": Count(), "visits": visits(), "bounces": bounces(), "long": visit_length()}
    return [
        View("by_page", source, key=("page",), measures={**measures, "rate": bounce_rate()}),
        View("by_entry", source, key={"entry": "visit_page"}, measures=measures),
        View("plain", source, key=("page",), measures={"n": Count()}),
    ]


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[World]:
    with open_world(spark, settings, redis_client, topic, _views, [Visits(carry=["page"])]) as made:
        yield made


class Crowd:
    """Users who come and go; each sends to one partition, and time goes on for all of them."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.draw, self.now, self.count = world, random.Random(seed), 0, 0

    def send(self, events: int, late: int = 0) -> None:
        """Some events are sent twice, some have no user; the last `late` are of a time long before."""
        parts: list[list[Event]] = [[], []]
        for number in range(events):
            self.now += self.draw.randrange(2 * MINUTE)
            user = self.draw.randrange(12)
            event = self._event(None if user == 11 else f"u{user}", self.now)
            if number >= events - late:
                event["event_time"] -= self.draw.randrange(3 * GAP)
            parts[user % 2] += [event] * (2 if self.draw.random() < 0.1 else 1)
        for partition, part in enumerate(parts):
            self.world.send(partition, *part)

    def _event(self, user: str | None, at: int) -> Event:
        self.count += 1
        page = self.draw.choice(["home", "news", "shop", None])
        return {
            "event_id": f"e{self.count}", "event_time": at, "page": page, "user": user,
            "size": self.count, "robot": False,
        }  # fmt: skip


def truth(world: World) -> dict[tuple[str, str], dict[str, Any]]:
    """(view, key's text) -> measures over all time, from lists of visits."""
    sent = [(p, o, e) for p, events in world.sent.items() for o, e in enumerate(events) if e is not None]
    found, lifted = told(first_copies(sent), GAP, 1000), dict[tuple[str, str], list[Partial]]()
    for _, _, event in first_copies(sent):
        role, step, first = found.get(event["event_id"], (None, None, {"page": None}))
        start = int(role == "start")
        bounce = {"start": 1, "second": -1}.get(role or "", 0)
        values = {
            "n": 1, "visits": start, "bounces": bounce,
            "long": {"numerator": step, "denominator": start},
            "rate": {"numerator": bounce, "denominator": start},
        }  # fmt: skip
        for name, part in (("by_page", event["page"]), ("by_entry", first["page"]), ("plain", event["page"])):
            view = world.bound.views[name]
            key = view.key_of({next(iter(view.key)): part})
            lifted.setdefault((name, key), []).append(view.lift(values))
    return {place: _shown(world, place[0], partials) for place, partials in lifted.items()}


def _shown(world: World, view: str, partials: Sequence[Partial]) -> dict[str, Any]:
    return world.bound.views[view].present(world.bound.views[view].merge_all(partials))


def answered(world: World, manifest: Manifest | None) -> dict[tuple[str, str], dict[str, Any]]:
    """What readers merge: a version, and the speed state from its boundary on."""
    found: dict[tuple[str, str], list[Partial]] = {}
    for name, view in world.bound.views.items():
        if manifest is None:
            break
        reader = world.spark.read.format("delta").option("versionAsOf", manifest.views[name]["version"])
        rows = reader.load(str(world.folders.table(name))).where(f"tile = {view.width}")
        for key, *slots in rows.selectExpr("key_text", *[f"`{c}`" for c in view.columns]).collect():
            found.setdefault((name, key), []).append(tuple(slots))
    for raw in keys_of(world, "f"):
        name, _, key = raw.decode().partition("}:f:")[2].split(":", 2)
        for field, value in hash_of(world.redis, raw).items():
            if parse_field(field)[0] >= (manifest.boundary if manifest else 0):
                partial = world.bound.views[name].codec.unpack(unseal(value)[1])
                found.setdefault((name, key), []).append(partial)
    return {place: _shown(world, place[0], partials) for place, partials in found.items()}


def publish(world: World) -> Manifest:
    session = build_session("test")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    state = RedisSpeedState(RedisAddress.of(world.settings), world.layout)
    with open_log(world.settings, world.name, LOG, seconds=10) as kafka:
        speed = RedisSpeed(world.redis, world.layout, LOG)
        made = BatchRun(session, world.settings, world.bound, kafka, speed, LOG, state=state).run()
    assert made is not None
    return made


def catch_up(world: World) -> None:
    world.catch_up(max_offsets_per_trigger=25, cut_interval=0.001)


def verdict(world: World) -> dict[str, Any]:
    newest = world.folders.handoffs().newest()
    assert newest is not None
    return dict(newest)


def test_a_day_of_wikipedia_by_spark_is_what_plain_python_says(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    day = [event | {"event_time": _millis(event)} for event in edits(settings)]
    placed = [(n % 3, n // 3, event) for n, event in enumerate(day)]
    rows = [(p << 48 | o, e["event_id"], e["event_time"], e["user"], e["channel"]) for p, o, e in placed]
    frame = spark.createDataFrame(
        rows, f"`{POSITION}` bigint, event_id string, ms bigint, user string, channel string"
    ).selectExpr(f"`{POSITION}`", "event_id", "timestamp_millis(ms) AS event_time", "user", "channel")
    declared = Visits(carry=["channel"]).bind({"user": "string", "channel": "string"})
    derived = roles(frame, declared, "event_time", POSITION).persist()
    found = {row.event_id: (row.visit_role, row.visit_step, row.visit_channel) for row in derived.collect()}
    wanted = {key: (r, step, e["channel"]) for key, (r, step, e) in told(placed, GAP, 1000).items()}
    assert found == wanted
    folders = Folders(tmp_path, "wiki")
    staged = folders.index(1)
    staged.mkdir(parents=True)
    files = index_visits(derived, declared, "event_time", 4, staged, tmp_path / "scratch")
    last = {visit[0][2]["user"]: visit for visit in visits_of(placed, GAP)}
    names = {f"{VISITS}/{file.number}.mdb": file.sha256 for file in files}
    manifest = Manifest(1, "wiki", 7, Cut(7, {}).offsets, "c", "t", 0, "abc", "", index=names)
    index = VisitIndex.of(folders, manifest)
    assert index is not None and not (tmp_path / "scratch").exists()
    looked = index.look_up(declared, [*last, "nobody"])
    assert looked == {
        user: Visit(
            visit[0][2]["event_time"] * 1000, visit[-1][2]["event_time"] * 1000, len(visit) == 1,
            (visit[0][2]["channel"],),
        )
        for user, visit in last.items()
    }  # fmt: skip
    folders.publications().manifests.append(1, manifest.entry())
    assert choose(folders, "abc", 5, 7) == index
    assert unknown_before(folders, "abc", 7) is None and unknown_before(folders, "abc", 0) is None
    assert "visits that are under way at cut 6" in str(unknown_before(folders, "abc", 6))
    for semantics, count_from, consumed in (("other", 5, 7), ("abc", 8, 9), ("abc", 5, 6)):
        assert choose(folders, semantics, count_from, consumed) is None


def _millis(event: dict[str, Any]) -> int:
    return int(parse_instant(event["event_time"]) // 1000)


def test_a_visit_counts_once_over_cuts_publishes_replays_and_a_new_generation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replayed(monkeypatch)
    crowd = Crowd(world, 1)
    crowd.send(60)
    catch_up(world)
    assert answered(world, None) == truth(world)
    first = publish(world)
    assert (verdict(world)["verdict"], verdict(world)["reason"]) == ("equal", None)
    assert sorted(name for name in first.index if name.startswith(VISITS))
    crowd.send(60)
    catch_up(world)
    assert answered(world, first) == truth(world)
    second = publish(world)
    assert (verdict(world)["verdict"], verdict(world)["reason"]) == ("equal", None)
    assert second.mode == "full" and answered(world, second) == truth(world)
    began = world.current()
    world.redis.delete(world.layout.stamp(began, 0))
    crowd.send(60)
    catch_up(world)
    assert world.current() != began and meta_of(world)["start_cut"] == second.boundary
    assert answered(world, second) == truth(world)
    crowd.send(60)
    catch_up(world)
    third = publish(world)
    assert (verdict(world)["verdict"], verdict(world)["reason"]) == ("equal", None)
    crowd.send(60, late=20)
    catch_up(world)
    publish(world)
    found = verdict(world)
    assert (found["verdict"], found["reason"], third.version) == ("explained", None, 3)
    causes = {(f["view"], f["cause"]) for f in found["findings"] if f["cause"] is not None}
    assert {cause for _, cause in causes} == {"out-of-order"} and ("plain", "out-of-order") not in causes
    assert answered(world, world.folders.publications().resolve()) == truth(world)


def _replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every micro-batch is written, and then written once more, as after a crash before its stamps."""
    stamp, tried = SpeedState.stamp, set[tuple[str, int]]()

    def once(state: SpeedState, generation: Any, batch: int) -> None:
        if (generation.id, batch) not in tried:
            tried.add((generation.id, batch))
            raise RedisAway("before the stamps")
        stamp(state, generation, batch)

    monkeypatch.setattr(SpeedState, "stamp", once)


def test_users_of_whom_nothing_is_needed_are_forgotten_and_found_in_the_index(world: World) -> None:
    crowd = Crowd(world, 2)
    for _ in range(2):
        crowd.send(40)
        catch_up(world)
        publish(world)
    crowd.send(40)
    catch_up(world)
    manifest = world.folders.publications().resolve()
    floor = world.progress()["floor"]
    assert manifest is not None and 0 < floor < manifest.boundary
    state = SpeedState(world.redis, world.layout)
    generation = state.meta(world.current())
    assert generation is not None
    Janitor(state, world.folders.checkpoint("x").parent, LOG).drop_segments(generation, floor)
    held = [value for key in keys_of_visits(world) for value in hash_of(world.redis, key).values()]
    assert held and all(int.from_bytes(value[16:24], "little") >= floor for value in held)
    assert answered(world, manifest) == truth(world)
    crowd.send(40)
    catch_up(world)
    assert world.current() == generation.id and answered(world, manifest) == truth(world)


def keys_of_visits(world: World) -> list[str]:
    return [world.layout.visits(world.current(), shard) for shard in range(world.settings.shards)]
