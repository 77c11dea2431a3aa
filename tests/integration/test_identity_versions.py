"""Readers move between versions whose persons are others: answers are right, or say why they are not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import SparkSession
from redis import Redis

from batch_layer.candidate import report
from batch_layer.candidates import Candidate, candidates
from conf.settings import Settings
from core import Sum
from core.application import BoundSource
from core.manifest import Manifest
from core.modes import Mode
from core.versions import Versions
from tests.identity_kit import Asking, People, chain, open_people, said
from tests.integration.test_identity import (
    OTHER,
    PATIENCE,
    check_answers,
    check_version,
    listed_in_pages,
    seen,
    send,
    settle,
)
from tests.speed_kit import meta_of, running, until

pytestmark = pytest.mark.timeout(900)
NOW = "2026-01-01T00:00:00+00:00"
ASKED = ("a", "c", "h0", "h11", "x", "y", "alone")


@pytest.fixture
def world(
    spark: SparkSession, settings: Settings, redis_client: Redis, topic: Callable[..., str]
) -> Iterator[People]:
    with open_people(spark, settings, redis_client, topic) as opened:
        yield opened


def check_labelled(world: People, asking: Asking, version: Manifest) -> bool:
    """Whether all is complete; what is, is right by the persons of a version and the pairs since."""
    counts, persons = world.counts(world.known(version.boundary)), world.known(version.boundary)
    every = [checked(asking.one("by_person", person=id_), counts[persons.get(id_, id_)]) for id_ in ASKED]
    many = asking.many("by_person", [{"person": id_} for id_ in ASKED])
    page, top = asking.page("by_person", limit="1000"), asking.top("by_person", by="n", n="1000")
    if many["complete"]:
        found = [one["rows"][0]["measures"]["n"] for one in many["results"]]
        assert found == [counts[persons.get(id_, id_)] for id_ in ASKED]
    for told in (page, top):
        rows = [{**one, **one["rows"][0]} for one in told["results"]] if told is page else told["rows"]
        if told["complete"]:
            assert {one["key"]["person"]: one["measures"]["n"] for one in rows} == counts
    people = asking.one("everybody")
    bounds = people["rows"][0]["measures"]["people"]
    truth = len(world.counts(world.persons()).keys() - {None})
    assert not people["complete"] or bounds["lower"] <= truth <= bounds["upper"]
    answers = [many, page, top, people]
    assert {answer["manifest"]["version"] for answer in answers} == {version.version}
    return all(every) and all(answer["complete"] for answer in answers)


def checked(answer: dict[str, Any], expected: int) -> bool:
    """Whether it is complete: then it is right, else it says why it need not be."""
    assert answer["reasons"] if not answer["complete"] else answer["rows"][0]["measures"]["n"] == expected
    complete: bool = answer["complete"]
    return complete


def moved(world: People, asking: Asking, version: Manifest) -> None:
    """Readers use another version: labelled at once, and right when the speed layer has followed."""
    check_labelled(world, asking, version)
    until(lambda: meta_of(world)["resolution"] == version.resolution, PATIENCE)
    until(lambda: check_labelled(world, asking, version), PATIENCE)
    check_answers(world, asking, world.known(version.boundary))


def test_readers_move_back_and_forward_between_versions_of_other_persons(world: People) -> None:
    send(world, [*chain("1", ["b", "a", "c"]), said("1x", "x", "y"), *chain("1h", OTHER), *seen("1.")])
    asking = world.asking()
    with running(replace(world.job(), until_caught_up=False)):
        until(lambda: world.redis.get(world.layout.current()))
        settle(world, asking)
        first = world.publish()
        send(world, [said("2ah", "h3", "c"), said("2x", "y", "x", undone=True), *seen("2.")])
        settle(world, asking)
        second = world.publish()
        assert first.resolution != second.resolution and second.identity["parted"] == 1
        moved(world, asking, second)

        Versions(world.folders).roll_back(first.version, NOW)
        moved(world, asking, first)
        send(world, [said("3d", "d", "e"), *seen("3.")])  # nothing is published while readers are held
        settle(world, asking)
        assert world.run.run() is None
        assert asking.one("by_person", person="x")["identity"]["undone_since"] == 1
        moved(world, asking, first)

        Versions(world.folders).roll_forward(None, NOW)
        moved(world, asking, second)
        assert asking.one("by_person", person="x")["identity"]["undone_since"] == 0
        assert dict(listed_in_pages(asking)).keys() >= {"a", "d", "x", "y", None}


def test_a_candidate_of_views_of_persons_is_built_again_and_promoted_whatever_came_since(
    world: People,
) -> None:
    send(world, [*chain("1", ["b", "a", "c"]), said("1x", "x", "y"), *seen("1.")])
    world.publish()
    candidate = Candidate(changed(world).run)
    assert candidate.build().resolution == world.folders.publications().resolve().resolution  # type: ignore[union-attr]
    assert "  pages: gone" in list(report(candidate, ["by_person"]))
    send(world, [said("2ah", "x", "c"), *seen("2.")])
    second = world.publish()
    again = candidate.build()
    assert (again.mode, again.boundary, again.resolution) == (Mode.FULL, second.boundary, second.resolution)
    send(world, [said("3", "x", "y", undone=True), *seen("3.")])
    third = world.publish()
    promoted = candidate.promote()
    assert (promoted.mode, promoted.resolution) == (Mode.PROMOTED, third.resolution)
    assert (promoted.identity["from"], promoted.identity["changed"]) == (third.resolution, 0)
    assert candidates(world.folders) == {}
    check_version(world, promoted)

    # one that nothing came after takes its rows and its persons along
    back = Candidate(world.run)
    back.build()
    returned = back.promote()
    assert returned.origin["candidate"] == third.semantics and returned.identity == promoted.identity
    check_version(world, returned)


def changed(world: People) -> People:
    """The same events with another measure of persons."""
    by_person = world.bound.definitions["by_person"]
    measures = {"n": by_person.measures["n"], "twice": Sum("size * 2")}
    definitions = {**world.bound.definitions, "by_person": replace(by_person, measures=measures)}
    bound = BoundSource.of(world.bound.source, world.bound.contract, definitions)
    return replace(world, bound=bound, run=replace(world.run, bound=bound))
