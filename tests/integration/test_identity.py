"""Persons through two publishes and a rebuild, on real servers, against plain Python over what was sent."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from conf.settings import Settings
from core.equality import Cause
from core.groups import resolution
from core.keys import index_text, key_text
from core.manifest import Manifest
from core.resolutions import FILE, open_resolution
from serving_layer.past import Past
from tests.identity_kit import Asking, Event, People, chain, event, names, open_people, said
from tests.speed_kit import meta_of, running, until

pytestmark = pytest.mark.timeout(900)

PATIENCE = 300  # seconds: a machine may have other work
GROUP = names("g", 12)
OTHER = names("h", 12)


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[People]:
    with open_people(spark, settings, redis_client, topic) as opened:
        yield opened


def seen(prefix: str) -> list[Event]:
    """Something of everybody, and of somebody without an id."""
    ids = ["a", "b", "c", "d", "e", "f", "x", "y", "alone", None, *GROUP, *OTHER]
    return [event(f"{prefix}{n}", id_, hour=n % 5, size=n, page=f"p{n % 3}") for n, id_ in enumerate(ids)]


def send(world: People, events: list[Event]) -> None:
    for n, one in enumerate(events):
        world.send(n % 2, one)


def settle(world: People, asking: Asking) -> None:
    """All that was sent is counted, and a cut lies behind it."""
    time.sleep(1.5)  # the interval between two cuts
    world.send(0, event(f"settled{len(world.sent[0])}", "settled"))
    everything = len(list(world.events()))
    until(lambda: world.folders.cuts().latest().offset(0) >= len(world.sent[0]), PATIENCE)
    until(lambda: asking.one("everybody")["rows"][0]["measures"]["n"] == everything, PATIENCE)


def check_version(world: People, manifest: Manifest) -> dict[str, str]:
    """The version's file and tables are what walking from id to id gives."""
    persons = world.persons(below=manifest.boundary)
    found = open_resolution(world.folders.index(manifest.version) / FILE)
    assert dict(found) == persons
    assert all(found.person(id_) == person for id_, person in persons.items())
    assert manifest.identity["ids"] == len(persons)
    assert manifest.identity["persons"] == len(set(persons.values()))
    counted: dict[str, int] = {}
    for segment, _, _, one in world.events():
        if segment < manifest.boundary:
            key = key_text([persons.get(one["user"], one["user"])])
            counted[key] = counted.get(key, 0) + 1
    table = world.spark.read.format("delta").option("versionAsOf", manifest.views["by_person"]["version"])
    rows = table.load(str(world.folders.table("by_person"))).where("tile = 86400")
    assert {row["key_text"]: row["n"] for row in rows.collect()} == counted
    return persons


def check_answers(world: People, asking: Asking, persons: dict[str, str]) -> None:
    """Every id is answered for its person, one by one, all at once, and in lists; bounds hold."""
    counts = world.counts(persons)
    ids = sorted({one["user"] for *_, one in world.events() if one["user"] is not None})
    for id_ in ("a", "c", "f", "h11", "g0", "x", "y", "alone"):
        answer = asking.one("by_person", person=id_)
        expected = counts[persons.get(id_, id_)]
        assert answer["complete"], answer["reasons"]
        assert answer["rows"][0]["measures"]["n"] == expected, (id_, answer)
    many = asking.many("by_person", [{"person": id_} for id_ in ids] + [{"person": None}])
    assert many["complete"], many["reasons"]
    found = {one["key"]["person"]: one["rows"][0]["measures"]["n"] for one in many["results"]}
    assert found == {id_: counts[persons.get(id_, id_)] for id_ in ids} | {None: counts[None]}
    for id_ in ("c", "h5"):
        (listed,) = asking.page("by_person", person=id_)["results"]
        assert listed["rows"][0]["measures"]["n"] == counts[persons.get(id_, id_)]
    top = asking.top("by_person", by="n", n="100")
    assert {row["key"]["person"]: row["measures"]["n"] for row in top["rows"]} == counts
    assert listed_in_pages(asking) == sorted(counts.items(), key=lambda each: index_text(key_text([each[0]])))
    people = asking.one("everybody")["rows"][0]["measures"]
    assert people["people"]["lower"] <= len(counts.keys() - {None}) <= people["people"]["upper"]
    assert people["n"] == sum(counts.values())


def listed_in_pages(asking: Asking) -> list[tuple[str | None, int]]:
    """Persons and their events, by pages of seven."""
    found, more = list[tuple[str | None, int]](), dict[str, str]()
    while True:
        page = asking.page("by_person", limit="7", **more)
        assert page["complete"], page["reasons"]
        found += [(one["key"]["person"], one["rows"][0]["measures"]["n"]) for one in page["results"]]
        if page["cursor"] is None:
            return found
        more = {"cursor": page["cursor"]}


def test_persons_through_two_publishes_and_a_rebuild(world: People) -> None:
    send(world, [*chain("1", ["b", "a", "c"]), said("1x", "x", "y"), *seen("1.")])
    send(world, [said("1d", "d", "e"), said("1e", "e", "f"), said("1f", "f", "d"), said("1s", "d", "d")])
    send(world, [*chain("1g", GROUP), *chain("1h", OTHER)])
    asking = world.asking()
    with running(replace(world.job(), until_caught_up=False)):
        until(lambda: world.redis.get(world.layout.current()))
        settle(world, asking)
        check_answers(world, asking, world.persons())  # before the first publish pairs alone tell

        first = world.publish()
        persons = check_version(world, first)
        assert persons["c"] == persons["b"] == "a" and persons["f"] == "d" and persons["h11"] == "h0"
        check_answers(world, asking, world.persons())  # the speed state counts by no resolution yet
        until(lambda: meta_of(world)["resolution"] == first.resolution, PATIENCE)
        check_answers(world, asking, world.persons())

        # one late pair joins both groups; the speed state knows it before the next publish does
        send(world, [said("2gh", "h11", "g3"), *seen("2.")])
        settle(world, asking)
        check_answers(world, asking, world.persons())
        assert asking.one("by_person", person="h5")["identity"] == {
            "resolution": 1, "pairs_since": 1, "undone_since": 0,
        }  # fmt: skip

        # what is undone stays joined until the next publish, and answers say so
        before = world.persons()
        send(world, [said("3x", "y", "x", undone=True), *seen("3.")])
        settle(world, asking)
        check_answers(world, asking, before)
        assert asking.one("by_person", person="x")["identity"]["undone_since"] == 1
        people = asking.one("everybody")["rows"][0]["measures"]["people"]
        assert people["lower"] <= len(world.counts(world.persons()).keys() - {None}) <= people["upper"]

        second = world.publish()
        persons = check_version(world, second)
        assert persons["h11"] == "g0" and "x" not in persons
        check_correction(world, first, second)
        check_past(world, first, second)
        until(lambda: meta_of(world)["resolution"] == second.resolution, PATIENCE)
        check_answers(world, asking, world.persons())


def check_past(world: People, first: Manifest, second: Manifest) -> None:
    """As of a version its persons are asked, by any of their ids; between versions pairs since join them."""
    published = world.persons(below=first.boundary)
    moments = [(first.boundary, Past(version=first.version))]
    moments += [(cut, Past(cut=cut)) for cut in range(first.boundary + 1, second.boundary)]
    assert len(moments) > 2
    for cut, moment in moments:
        persons = resolution([*published.items(), *world.persons(below=cut).items()])
        for id_ in ("h11", "c", "y", "alone"):
            mine = [
                one for segment, *_, one in world.events()
                if segment < cut and one["user"] is not None
                if persons.get(one["user"], one["user"]) == persons.get(id_, id_)
            ]  # fmt: skip
            answer = world.as_of(moment, "by_person", person=id_)
            assert answer["rows"][0]["measures"]["n"] == len(mine) and answer["complete"]
            assert answer["identity"]["resolution"] == first.version


def check_correction(world: People, first: Manifest, second: Manifest) -> None:
    """How far the second publish corrects the past is in its manifest, and in the record of its check."""
    told = {name: second.identity[name] for name in ("from", "changed", "parted")}
    assert told == {"from": first.resolution, "changed": len(OTHER) + 1, "parted": 1}
    record = world.folders.handoffs().newest()
    assert record is not None and record["verdict"] == "explained", record
    causes = {(one["view"], one["measure"]): one for one in record["findings"] if one["cause"]}
    assert {one["cause"] for one in causes.values()} == {Cause.IDENTITY}
    people = causes["everybody", "people"]
    assert people["places"] == len(OTHER) + 1 and people["expected"] and people["found"]
    assert causes["by_person", "n"]["difference"] == 0
