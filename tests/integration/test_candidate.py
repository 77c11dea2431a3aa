"""Changed definitions stand beside those of readers until they are promoted or dropped."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from batch_layer.candidate import report
from batch_layer.candidates import Candidate, candidates, drop
from batch_layer.comparison import compare
from conf.settings import Settings
from core import Count, Sum, Top, View
from core.errors import CandidateError, Superseded
from core.manifest import Manifest
from core.modes import Mode
from demo.dataset import Event, edits
from demo.truth import Truth
from tests.batch_kit import Bench, bench, differing

ROBOTS, COUNTRIES = "robot_edits", "edits_by_country"


@pytest.fixture(scope="module")
def real(server_settings: Settings) -> list[Event]:
    return edits(server_settings)[::60]


@pytest.fixture
def published(spark: SparkSession, settings: Settings, real: list[Event]) -> tuple[Bench, Manifest]:
    made = bench(spark, settings, ROBOTS, COUNTRIES)
    made.archive(real[:200], real[200:400])
    manifest = made.run.run()
    assert manifest
    return made, manifest


def changed(made: Bench) -> Bench:
    """Robots' edits of articles only, another view in place of one, a measure more and one less."""
    robots, countries = made.bound.definitions[ROBOTS], made.bound.definitions[COUNTRIES]
    measures = {"edits": Count(), "robots": robots.measures["robots"], "pages": Top("page")}
    articles = replace(robots, where="isRobot AND namespace = 'Main'", measures=measures)
    return made.of([articles, replace(countries, name="countries")])


def test_readers_keep_the_old_definitions_while_new_ones_are_built_and_compared(
    published: tuple[Bench, Manifest], real: list[Event]
) -> None:
    made, before = published
    candidate = Candidate(changed(made).run)
    built = candidate.build()
    assert (built.boundary, built.origin["beside"]) == (before.boundary, before.version)
    assert made.run.folders.publications().resolve() == before
    assert candidates(made.run.folders) == {built.semantics: built}
    lines = list(report(candidate))
    truth, articles = of_robots(real[:400]), of_robots(real[:400], "Main")
    changes = {key: articles.get(key, 0) for key in truth if articles.get(key) != truth[key]}
    lost, fewer = [key for key, count in changes.items() if not count], [k for k, n in changes.items() if n]
    assert lost and fewer
    (head,) = [line for line in lines if line.startswith("view robot_edits")]
    assert f"{len(lost)} only in the old, 0 only in the new" in head
    assert f"  edits: {len(fewer)} rows differ" in lines
    assert {"view edits_by_country: gone", "view countries: new"} <= set(lines)
    assert {"  delta: gone", "  pages: new"} <= set(lines)


def of_robots(events: Sequence[Event], namespace: str | None = None) -> dict[tuple[str, str], int]:
    """Robots' edits by channel and hour, in plain Python."""
    found: dict[tuple[str, str], int] = {}
    chosen = Truth(events).answer(where=lambda e: e["isRobot"] and namespace in (None, e["namespace"]))
    for event in chosen:
        place = event["channel"], event["event_time"][:13]
        found[place] = found.get(place, 0) + 1
    return found


def test_the_largest_differences_come_first_with_their_keys(published: tuple[Bench, Manifest]) -> None:
    made, _ = published
    robots = made.bound.definitions[ROBOTS]
    doubled = replace(robots, measures={**robots.measures, "delta": Sum("delta * 2")})
    candidate = Candidate(made.of([doubled, made.bound.definitions[COUNTRIES]]).run)
    candidate.build()
    view = candidate.run.bound.view(ROBOTS)
    found = compare(candidate.beside().table(ROBOTS), candidate.base().table(ROBOTS), view, 2)
    rows = made.rows(candidate.beside().manifest, ROBOTS)
    sums = {place: abs(int(partial[2])) for place, partial in rows.items() if place[1] == 3_600}
    count, largest = found.changes["delta"]
    assert (found.both, found.old, found.new) == (len(sums), 0, 0)
    assert count == sum(1 for value in sums.values() if value)
    assert [change.size for change in largest] == sorted(sums.values(), reverse=True)[:2]
    assert largest[0].key in {place[0] for place, value in sums.items() if value == largest[0].size}
    assert found.changes["edits"] == (0, []) and found.changes["robots"] == (0, [])
    same = compare(candidate.beside().table(COUNTRIES), candidate.base().table(COUNTRIES),
                   candidate.run.bound.view(COUNTRIES), 2)  # fmt: skip
    assert same.same and not found.same


def test_a_promoted_candidate_is_brought_up_to_what_readers_use_now_and_replaces_it(
    published: tuple[Bench, Manifest], real: list[Event]
) -> None:
    made, _ = published
    new = changed(made)
    built = Candidate(new.run).build()
    made.archive(real[390:500])
    newer = made.run.run()
    assert newer and newer.boundary > built.boundary
    promoted = Candidate(new.run).promote()
    assert (promoted.mode, promoted.boundary, promoted.semantics) == (
        Mode.PROMOTED,
        newer.boundary,
        built.semantics,
    )
    assert promoted.origin == {"candidate": built.semantics, "replaces": newer.version}
    pointer = new.run.folders.publications().current()
    assert pointer and (pointer.kind, pointer.version) == ("promote", promoted.version)
    assert candidates(made.run.folders) == {}
    added, full = new.run.run(force=True, incremental=True), new.run.run(force=True)
    assert added and full and added.mode == Mode.INCREMENTAL
    for name, view in new.bound.views.items():
        for version in (promoted, added):
            assert differing(view, new.rows(version, name), new.rows(full, name)) == []
    assert promoted.counts == full.counts
    with pytest.raises(Superseded, match="LAMBDA_APPLICATION"):
        made.run.run(force=True)


def test_definitions_that_were_replaced_come_back_by_being_promoted_themselves(
    published: tuple[Bench, Manifest],
) -> None:
    made, before = published
    new = changed(made)
    Candidate(new.run).build()
    Candidate(new.run).promote()
    Candidate(made.run).build()
    back = Candidate(made.run).promote()
    assert back.semantics == before.semantics and made.run.run() is None
    assert differing(made.bound.view(ROBOTS), made.rows(back, ROBOTS), made.rows(before, ROBOTS)) == []
    with pytest.raises(Superseded):
        new.run.run(force=True)


def test_building_again_takes_what_is_new(published: tuple[Bench, Manifest], real: list[Event]) -> None:
    made, _ = published
    candidate = Candidate(changed(made).run)
    assert candidate.build().mode == Mode.FULL
    made.archive(real[400:450])
    newer = made.run.run()
    again = candidate.build()
    assert newer and (again.mode, again.boundary) == (Mode.INCREMENTAL, newer.boundary)
    assert again.counts == newer.counts and again.origin["beside"] == newer.version


def test_a_dropped_candidate_leaves_nothing_and_cannot_be_promoted(published: tuple[Bench, Manifest]) -> None:
    made, before = published
    candidate = Candidate(changed(made).run)
    built = candidate.build()
    drop(made.run.folders, built.semantics)
    assert not candidate.folders.data.exists()
    for command in (candidate.promote, candidate.manifest, lambda: drop(made.run.folders, "../..")):
        with pytest.raises(CandidateError, match="there is no candidate"):
            command()
    assert made.run.folders.publications().resolve() == before and made.run.run() is None


def test_there_is_no_candidate_of_what_readers_use_already(
    spark: SparkSession, settings: Settings, published: tuple[Bench, Manifest]
) -> None:
    made, _ = published
    with pytest.raises(CandidateError, match="has these definitions"):
        Candidate(made.run).build()
    other = View("other", made.bound.source, measures={"edits": Count()})
    empty = bench(spark, settings.model_copy(update={"data_dir": settings.data_dir / "empty"})).of([other])
    with pytest.raises(CandidateError, match="has no version yet"):
        Candidate(empty.run).build()
