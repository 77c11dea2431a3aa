"""Wikipedia's editors as persons: a real day, cut at every hour, through publishes, against plain Python.

An account of one language and that of another become one person when both have edited. What Python says
follows from names alone: of who has a log-in the name is the person.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from conf.definitions import wikipedia_editors
from conf.settings import Settings
from core.application import BoundSource
from core.contracts import Contract
from core.equality import Cause
from core.groups import resolution
from core.instants import parse_instant
from core.keys import key_text, shard_of
from core.manifest import Manifest
from core.measures import Partial
from demo.dataset import edits
from tests.identity_kit import Asking, Event, People, open_people
from tests.speed_kit import meta_of, running, until
from tests.visits import told

pytestmark = pytest.mark.timeout(900)

PATIENCE = 300  # seconds: a machine may have other work
GAP = 30 * 60_000
PUBLISHED = (8, 16)  # after so many hours
SHARE = 4  # one name in so many, and all who wrote in several languages


def bound_to(settings: Settings) -> Callable[[str], BoundSource]:
    def bind(topic: str) -> BoundSource:
        source = replace(wikipedia_editors.EDITS, name=topic, topic=topic)
        views = {view.name: replace(view, source=source) for view in wikipedia_editors.VIEWS}
        contract = Contract.load(settings.contracts_dir / "wikipedia_edits.yaml")
        return BoundSource.of(source, contract, views)

    return bind


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[People]:
    with open_people(spark, settings, redis_client, topic, bound_to(settings), partitions=1) as opened:
        yield opened


def some_of(day: list[Event]) -> list[Event]:
    """All edits of some editors, with their times as milliseconds."""
    wrote: dict[str, set[str]] = {}
    for one in day:
        wrote.setdefault(one["user"], set()).add(one["channel"])
    chosen = {user for user, in_ in wrote.items() if len(in_) > 1 or not shard_of("of", user, SHARE)}
    found = [one for one in day if one["user"] in chosen]
    return [one | {"event_time": parse_instant(one["event_time"]) // 1000} for one in found]


def account(one: Event) -> str:
    return f"{one['channel']}:{one['user']}"


def persons(known: list[Event]) -> dict[str, str]:
    """Accounts and names by what these edits say, and the person of each."""
    return resolution((account(one), one["user"]) for one in known if not one["isAnonymous"])


@dataclass
class Truth:
    """What plain Python says of edits, by the persons of a resolution."""

    world: People
    sent: list[Event]
    of: Mapping[str, str]
    roles: Mapping[str, tuple[str, int, Mapping[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        placed = [(0, n, one | {"user": self.person(one)}) for n, one in enumerate(self.sent)]
        self.roles = told(placed, GAP, 1000)

    def person(self, one: Event) -> str:
        return self.of.get(account(one), account(one))

    def sittings(self) -> dict[str, dict[str, Any]]:
        found: dict[str, list[Partial]] = {}
        view = self.world.bound.views["sittings_by_channel"]
        for role, step, first in self.roles.values():
            start, bounce = int(role == "start"), {"start": 1, "second": -1}.get(role, 0)
            values = {
                "edits": 1, "sittings": start, "bounces": bounce,
                "bounce_rate": {"numerator": bounce, "denominator": start},
                "length": {"numerator": step, "denominator": start},
            }  # fmt: skip
            found.setdefault(first["channel"], []).append(view.lift(values))
        return {channel: view.present(view.merge_all(some)) for channel, some in found.items()}

    def editors(self) -> dict[str, tuple[int, int]]:
        """Edits and visits of each person."""
        found: dict[str, tuple[int, int]] = {}
        for one in self.sent:
            edits, visits = found.get(self.person(one), (0, 0))
            start = int(self.roles[one["event_id"]][0] == "start")
            found[self.person(one)] = edits + 1, visits + start
        return found


def test_editors_are_persons_at_every_hour_of_a_day_and_through_publishes(
    world: People, settings: Settings
) -> None:
    day, asking = some_of(edits(settings)), world.asking()
    hours = [[one for one in day if one["event_time"] // 3_600_000 % 24 == hour] for hour in range(24)]
    assert all(hours) and sum(map(len, hours)) == len(day)
    sent, published, corrected = list[Event](), list[Event](), 0
    with running(replace(world.job(cut_interval=0.1), until_caught_up=False)):
        until(lambda: world.redis.get(world.layout.current()), PATIENCE)
        for number, hour in enumerate(hours, 1):
            sent += hour
            world.send(0, *hour)
            settle(world, len(sent))
            corrected += check_hour(world, asking, sent, published)
            if number in PUBLISHED:
                check_publish(world, world.publish(), sent, published)
                published = list(sent)
                until(lambda: meta_of(world)["resolution"] == newest(world).resolution, PATIENCE)
                assert not check_hour(world, asking, sent, published)
    assert corrected  # some hour saw sittings that a later pair joined


def settle(world: People, count: int) -> None:
    """All that was sent is counted, and a cut lies behind it."""
    until(lambda: world.folders.cuts().latest().offset(0) >= count, PATIENCE)


def newest(world: People) -> Manifest:
    manifest = world.folders.publications().resolve()
    assert manifest is not None
    return manifest


def check_hour(world: People, asking: Asking, sent: list[Event], published: list[Event]) -> int:
    """Answers by key are those of now; sittings are those of the published persons, and say so. By how many
    sittings the newer pairs will correct them."""
    now, then = Truth(world, sent, persons(sent)), Truth(world, sent, persons(published))
    joins = persons(sent) != persons(published)
    answer = asking.top("sittings_by_channel", by="sittings", n="100")
    assert answer["complete"] != joins and bool(answer["reasons"]) == joins, answer["reasons"]
    assert all("counts by persons as they were" in reason for reason in answer["reasons"])
    truth, known = now.sittings(), then.sittings()
    late = 0
    for channel in sorted(known):
        one = asking.one("sittings_by_channel", channel=channel)
        assert one["rows"][0]["measures"] == known[channel], (channel, one)
        assert one["complete"] != joins
    for name in ("sittings", "bounces"):
        there, will = (sum(shown[name] for shown in all_.values()) for all_ in (known, truth))
        assert there >= will  # what turns out to be one person had no fewer of them apart
        late += there - will
    check_editors(world, asking, now, then)
    return late


def check_editors(world: People, asking: Asking, now: Truth, then: Truth) -> None:
    """Any account of a person is answered with all edits of the person."""
    counts, joined = now.editors(), [one for one in now.sent if now.person(one) != then.person(one)]
    some = {account(one): now.person(one) for one in [*joined[-40:], *now.sent[-40:]]}
    found = asking.many("edits_by_editor", [{"person": id_} for id_ in some])
    got = {one["key"]["person"]: one["rows"][0]["measures"] for one in found["results"]}
    assert {id_: shown["edits"] for id_, shown in got.items()} == {
        id_: counts[person][0] for id_, person in some.items()
    }
    assert all(got[id_]["visits"] >= counts[person][1] for id_, person in some.items())
    for channel in ("#en.wikipedia", "#vi.wikipedia"):
        editors = len({now.person(one) for one in now.sent if one["channel"] == channel})
        shown = asking.one("editors_by_channel", channel=channel)["rows"][0]["measures"]["editors"]
        assert shown["lower"] <= editors <= shown["upper"], (channel, shown, editors)


def check_publish(world: People, manifest: Manifest, sent: list[Event], before: list[Event]) -> None:
    """The version is exact, and how far it corrects what the speed layer had is on record."""
    truth, former = Truth(world, sent, persons(sent)), Truth(world, sent, persons(before))
    table = world.folders.table("edits_by_editor")
    rows = world.spark.read.format("delta").option(
        "versionAsOf", manifest.views["edits_by_editor"]["version"]
    )
    held = rows.load(str(table)).where("tile = 86400").collect()
    assert {row["key_text"]: (row["edits"], row["visits"]) for row in held} == {
        key_text([person]): counts for person, counts in truth.editors().items()
    }
    record = world.folders.handoffs().newest()
    assert record is not None and record["verdict"] == "explained", record
    causes = {one["cause"] for one in record["findings"]} - {None}
    assert causes == {Cause.IDENTITY}, record
    of = {(one["view"], one["measure"]): one for one in record["findings"] if one["cause"]}
    new = [one["event_id"] for one in sent[len(before) :]]
    starts = [sum(says.roles[id_][0] == "start" for id_ in new) for says in (truth, former)]
    sittings = of["sittings_by_channel", "sittings"]
    assert [sittings["expected"], sittings["found"]] == starts and starts[0] < starts[1]
    assert of["sittings_by_channel", "edits"]["difference"] == 0
