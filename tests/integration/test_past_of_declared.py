"""The past of what sources declare, without a JVM, against the versions that Spark made at those very cuts.

The API reads the first version's index, as Spark wrote it, and the records behind it.
"""

import asyncio
import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from conf.settings import Settings
from core.keys import parse_key
from core.manifest import Manifest
from core.measures import Partial
from core.repeatable import repeatable
from serving_layer.asking import Desk
from serving_layer.events_behind import Listing
from serving_layer.explaining import Explainer
from serving_layer.master_events import Limits
from serving_layer.past import Past
from serving_layer.past_desks import PastDesks
from serving_layer.ports import Snapshot
from serving_layer.questions import Question
from tests.batch_kit import Bench, bench_of
from tests.past_kit import CORRECTED, PEOPLE, SITE, Event, Kind, event
from tests.serving_kit import FakeFields, FakeSpeed, FakeVersions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.timeout(600)
ROUNDS, EVENTS = 4, 60
Parts = list[list[Event | bytes]]


def visiting(draw: random.Random) -> Iterator[Parts]:
    """Time goes on for all users; in the last round some events are of before the first cut."""
    minute, number = 0, 0
    for round_ in range(ROUNDS):
        parts: Parts = [[b"no json"], []]
        for _ in range(EVENTS):
            number, minute = number + 1, minute + draw.randrange(8)
            user, early = draw.randrange(7), round_ == ROUNDS - 1 and draw.random() < 0.1
            at = max(0, minute - 700) if early else minute
            page = draw.choice(["home", "news", None])
            one = event(number, f"u{user}" if user else None, at, page)
            parts[user % 2] += [one] * (1 + (draw.random() < 0.1))
        yield parts


def ordering(draw: random.Random) -> Iterator[Parts]:
    """Orders that are edited and cancelled, those of rounds before as well; copies of all ages."""
    known: Parts = [[], []]
    for round_ in range(ROUNDS):
        parts: Parts = [[b"no json"], []]
        for place in range(EVENTS):
            partition = draw.randrange(2)
            targets = [one["event_id"] for one in known[partition] if isinstance(one, dict)] or ["nobody"]
            target = draw.choice([None, None, draw.choice(targets)])
            action = "cancel" if draw.random() < 0.5 else None
            one = event(
                1000 * round_ + place, f"u{place % 5}", place, f"p{draw.randrange(3)}", corrects=target
            )
            again = known[partition] and draw.random() < 0.1
            given = draw.choice(known[partition]) if again else {**one, "action": action}
            parts[partition].append(given)
            known[partition].append(given)
        yield parts


def meeting(draw: random.Random) -> Iterator[Parts]:
    """Ids that turn out to be one person round by round; nothing is undone."""
    number = 0
    for round_ in range(ROUNDS):
        parts: Parts = [[b"no json"], []]
        for _ in range(EVENTS):
            number += 1
            user, same = (f"u{draw.randrange(20):02}" for _ in range(2))
            said = same if draw.random() < 0.04 * (1 + round_) else None
            one = event(number, user if draw.random() < 0.95 else None, number % 90, "p", same_as=said)
            parts[draw.randrange(2)] += [one] * (1 + (draw.random() < 0.1))
        yield parts


class Asked:
    """What the API says of a bench's past."""

    def __init__(self, made: Bench) -> None:
        self.bound, semantics = made.bound, made.run.semantics
        self.past = PastDesks(
            self.bound, semantics, made.run.folders, Limits(10_000, 10_000), 300, lambda: 0.0
        )
        desk = Desk(self.bound, semantics, FakeVersions([Snapshot()]), FakeSpeed())
        self.explainer = Explainer(desk, self.past, FakeFields(FakeSpeed()), 20)

    def answer(self, name: str, key: str, past: Past) -> dict[str, Any]:
        return asyncio.run(self.past.answer(past, self.question(name, key)))

    def explain(self, name: str, key: str, past: Past) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            moment = await self.past.moment(past)
            return await self.explainer.explain_past(moment, self.question(name, key), Listing(1000))

        return asyncio.run(ask())

    def question(self, name: str, key: str) -> Question:
        view = self.bound.view(name)
        return Question(repeatable(view), dict(zip(view.key, parse_key(key), strict=True)))


def held(made: Bench, manifest: Manifest, name: str) -> dict[str, dict[str, Any]]:
    """What a version shows of every key, over all time."""
    view, found = made.bound.view(name), defaultdict[str, list[Partial]](list)
    for (key, tile, _), partial in made.rows(manifest, name).items():
        if tile == 86_400:
            found[key].append(partial)
    return {key: view.present(view.merge_all(partials)) for key, partials in found.items()}


@pytest.mark.parametrize(
    ("kind", "rounds"), [(SITE, visiting), (CORRECTED, ordering), (PEOPLE, meeting)],
    ids=["visits", "corrections", "persons"],
)  # fmt: skip
def test_cuts_behind_a_version_give_what_spark_published_there(
    spark: "SparkSession",
    settings: Settings,
    kind: Kind,
    rounds: Callable[[random.Random], Iterator[Parts]],
) -> None:
    made = bench_of(spark, settings.model_copy(update={"versions_kept": 10}), kind.bound)
    versions = list[Manifest]()
    for parts in rounds(random.Random(11)):
        made.archive(*parts)
        manifest = made.run.run()
        assert manifest is not None
        versions.append(manifest)
    tables = {
        (manifest.boundary, name): held(made, manifest, name) for manifest in versions for name in kind.inputs
    }
    for manifest in versions[1:]:
        shutil.rmtree(made.run.folders.index(manifest.version))
    asked, exact, named = Asked(made), 0, 0
    for (cut, name), wanted in tables.items():
        for key, measures in wanted.items():
            answer = asked.answer(name, key, Past(cut=cut))
            row, kept = answer["rows"][0], set(answer["rows"][0].get("uncorrected", {}))
            assert answer["past"]["version"] == versions[0].version
            if kind is SITE and answer["reasons"]:  # of events that come before some of the version
                assert (cut, name) == (versions[-1].boundary, "by_entry")
                kept = {"users"}
            assert answer["complete"] is not bool(kept) and kept <= {"users", "largest"}
            right = {m: shown for m, shown in measures.items() if m not in {*kept, "people"}}
            assert {m: row["measures"][m] for m in right} == right, (cut, name, key)
            if "people" in measures:
                people = row["measures"]["people"]
                assert people["lower"] <= measures["people"]["estimate"] + 0.01 <= people["upper"] + 0.02
            exact, named = exact + 1, named + len(kept)
            explained = asked.explain(name, key, Past(cut=cut))
            assert explained["rows"] == answer["rows"]
            assert explained["found"]["counted"] == row["measures"]["n"] == measures["n"]
    assert exact > 10 and (named > 0) is (kind is not PEOPLE)
