"""Live answers about persons: whoever listens by one id hears of all, and of pairs that come or go."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.state import Fields, manifest_of, speed_commands
from core.cuts import Cut
from core.folders import Folders
from core.groups import resolution, standing, word
from core.handoff import Generation
from core.identity import pairs_name
from core.keys import key_text
from core.layout import Layout
from core.manifest import Manifest
from core.measures import Partial
from core.resolutions import Resolution, Resolved
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.changes import RedisChanges
from serving_layer.interests import Interest, interest_of
from serving_layer.listeners import Given
from serving_layer.live import Live, Watched
from serving_layer.live_pairs import LivePairs
from serving_layer.ports import Snapshot
from serving_layer.questions import Question, parse_question
from serving_layer.speed_state import RedisSpeedStore
from tests.identity_kit import AT, views_of
from tests.serving_kit import FakePipe, FakeVersions, lease, progress, silent_logger
from tests.unit.test_identity import PEOPLE, bound
from tests.unit.test_serving_live import Ear, data, identity
from tests.unit.test_serving_persons import Rowed

SEMANTICS, LAYOUT = "hash", Layout("t", PEOPLE.name)
BOUND = bound(PEOPLE, *views_of(PEOPLE))
IDS = ["a", "b", "c", "d"]
ids = st.sampled_from(IDS)
ASKED: list[tuple[str, Given]] = [
    *(("by_person", (("person", id_),)) for id_ in IDS),
    ("by_person", (("person.null", "true"),)),
    ("everybody", ()),
]
Row = tuple[str, str]


class Pairs(LivePairs):
    """With resolutions by their content, in place of files."""

    def __init__(self, world: "World", store: RedisSpeedStore) -> None:
        super().__init__(BOUND, store, Folders(Path("/nowhere"), PEOPLE.name))
        self._world = world

    def _counted(self, content: str) -> Resolution | None:
        return Resolved(self._world.resolutions[content])


class World:
    """A speed state in Redis and publishes, as the layers make them, and somebody who listens."""

    def __init__(self) -> None:
        self.events: list[tuple[str | None, int]] = []  # id, segment
        self.words: list[tuple[int, str, str, str]] = []  # segment, two ids, what is said of them
        self.cuts, self.batch, self.version, self.boundary, self.lives, self.newest = 0, 0, 0, 0, 1, 0
        self.resolutions: dict[str, dict[str, str]] = {"": {}}
        self.counted = self.published = ""
        self.former = (0, 0, "", Snapshot())  # what readers used before the newest publish
        self.pipe, self.versions = FakePipe(), FakeVersions([Snapshot()])
        store = RedisSpeedStore(LAYOUT, self.pipe, SEMANTICS, self._known_cuts)
        self.desk = Desk(BOUND, SEMANTICS, self.versions, store, Pairs(self, store))
        watched = {PEOPLE.name: Watched(self.versions, RedisChanges(LAYOUT, self.pipe, SEMANTICS))}
        self.asked: list[Given] = []
        self.live = Live(self._ask, self._concern, watched, 100, 1e9, lambda: 0.0, silent_logger())

    def _known_cuts(self) -> list[Cut]:
        return [Cut(number, {0: number}) for number in range(1, self.cuts + 1)]

    async def _ask(self, view: str, given: Given) -> Mapping[str, Any]:
        self.asked.append(given)
        return await self.answer(view, given)

    async def answer(self, view: str, given: Given) -> Mapping[str, Any]:
        question = self._question(view, given)
        return compose(question, await self.desk.ask(question))

    def _concern(self, view: str, given: Given) -> Interest:
        return interest_of(self._question(view, given), self.desk.pairs)

    def _question(self, view: str, given: Given) -> Question:
        return parse_question(BOUND.view(view), given, lambda: float(AT))

    def play(self, step: Any) -> None:
        if step == "cut":
            self.cuts += 1
        elif step == "publish":
            self._publish()
        elif step == "roll back":
            self.version, self.boundary, self.published, self.versions.snapshots[0] = self.former
        elif step == "rebuild":
            self.counted, self.lives = self.published, self.lives + 1
        else:
            self.write(step)
        self.commit()

    def write(self, steps: list[Any]) -> None:
        for one, *rest in steps:
            self.events.append((one, self.cuts))
            if rest and rest[0] != one:
                said = word(self.cuts, 0, len(self.words), undone=rest[1])
                self.words.append((self.cuts, min(one, rest[0]), max(one, rest[0]), said))

    def _publish(self) -> None:
        self.former = self.version, self.boundary, self.published, self.versions.current()
        self.version, self.boundary, self.newest = self.newest + 1, self.cuts, self.newest + 1
        persons = self.persons(0, self.cuts)
        self.published = str(sorted(persons.items())) if persons else ""
        self.resolutions[self.published] = persons
        manifest = manifest_of(PEOPLE.name, SEMANTICS, self.cuts, self.version)
        told = Manifest(**{**vars(manifest), "identity": {"hash": self.published}})
        rows: dict[Row, list[Partial]] = {}
        for view, key, segment, partial in self._lifted(persons):
            if segment < self.cuts:
                rows.setdefault((view, key), []).append(partial)
        self.versions.snapshots = [Snapshot(manifest=told, index=Rowed(rows, Resolved(persons)))]

    def commit(self) -> None:
        self.batch += 1
        held: dict[str, dict[tuple[str, int, int], list[Partial]]] = {name: {} for name in BOUND.views}
        for view, key, segment, partial in self._lifted(self.resolutions[self.counted]):
            held[view].setdefault((key, segment, AT), []).append(partial)
        name = pairs_name(PEOPLE)
        for segment, one, other, said in self.words:
            pair = BOUND.view(name).lift({"newest": said})
            held[name].setdefault((key_text([one, other]), segment, AT), []).append(pair)
        fields: list[tuple[Any, Fields]] = [
            (BOUND.view(name), {at: BOUND.view(name).merge_all(some) for at, some in found.items()})
            for name, found in held.items()
        ]
        life = Generation(
            f"g{self.lives}", PEOPLE.name, 0, {}, SEMANTICS, 4, "cluster", "topic", resolution=self.counted
        )
        done = progress(self.cuts, self.batch)
        self.pipe.apply(speed_commands(LAYOUT, life, done, lease(self.batch), fields))

    def _lifted(self, persons: Mapping[str, str]) -> list[tuple[str, str, int, Partial]]:
        """View, key, segment and partial of every event."""
        found = []
        for id_, segment in self.events:
            person = None if id_ is None else persons.get(id_, id_)
            one = BOUND.view("by_person").lift({"n": 1, "size": 2, "pages": "p"})
            found.append(("by_person", key_text([person]), segment, one))
            all_ = BOUND.view("everybody").lift({"n": 1, "people": person})
            found.append(("everybody", "", segment, all_))
        return found

    def persons(self, first: int, end: int) -> dict[str, str]:
        return resolution(self._standing(first, end))

    def _standing(self, first: int, end: int) -> list[tuple[str, str]]:
        return standing((one, other, said) for at, one, other, said in self.words if first <= at < end)

    def count(self, id_: str) -> int:
        """Events of the person of an id, to readers of now."""
        published = list(self.resolutions[self.published].items())
        persons = resolution(
            [*(one for one in published if one[0] != one[1]), *self._standing(self.boundary, 99)]
        )
        whole = persons.get(id_, id_)
        return sum(1 for one, _ in self.events if one is not None and persons.get(one, one) == whole)


def edits(text: str) -> int:
    shown: int = data(text)["rows"][0]["measures"]["n"]
    return shown


def run(play: Callable[[World], Any]) -> None:
    asyncio.run(play(World()))


def test_who_listens_by_one_id_hears_of_events_of_the_others() -> None:
    async def play(world: World) -> None:
        world.play([("a", "b", False)])
        ear = Ear(await world.live.join(PEOPLE.name, "by_person", (("person", "b"),), None))
        await world.live.round()
        assert list(map(edits, await ear.hear())) == [1]
        world.play([("a",)])
        await world.live.round()
        assert list(map(edits, await ear.hear())) == [2]
        world.play("publish")
        await world.live.round()
        await ear.hear()
        world.play([("a",), (None,)])
        await world.live.round()
        assert list(map(edits, await ear.hear())) == [3]

    run(play)


def test_who_listens_hears_of_pairs_that_join_and_part() -> None:
    async def play(world: World) -> None:
        world.play([("a",), ("b",), ("b",)])
        ear = Ear(await world.live.join(PEOPLE.name, "by_person", (("person", "b"),), None))
        await world.live.round()
        world.play([("c", "d", False)])
        await world.live.round()
        world.play([("c", "a", False)])
        await world.live.round()
        await ear.hear()
        world.play([("d", "b", False)])  # joins four, of whom b had no part but its own
        await world.live.round()
        assert list(map(edits, await ear.hear())) == [6]
        world.play([("b", "d", True)])  # undone since: parts b at once, for no version joins them
        await world.live.round()
        assert list(map(edits, await ear.hear())) == [3]

    run(play)


def test_events_of_others_ask_nobody_anew_and_pairs_ask_everybody() -> None:
    async def play(world: World) -> None:
        world.play([("a", "b", False), ("c",)])
        for asked in ASKED[:4]:
            await world.live.join(PEOPLE.name, *asked, None)
        for first in ([], "cut", [("c",)], "cut", []):
            world.play(first)
            await world.live.round()
        world.asked.clear()  # the segment that had the pair is over
        more: list[tuple[Any, str]] = [
            ([("c",)], "c"),
            ("cut", "c"),
            ([("a",)], "ab"),
            ([("d", "a", False)], "abcd"),
        ]
        for step, anew in more:
            world.play(step)
            await world.live.round()
            assert sorted(dict(asked)["person"] for asked in world.asked) == list(anew), step
            world.asked.clear()

    run(play)


events = st.tuples(ids | st.none())
pairs = st.tuples(ids, ids, st.booleans())
steps = st.lists(events | pairs, max_size=3) | st.sampled_from(["cut", "publish", "rebuild", "roll back"])
JOINED: list[Any] = ["cut", "publish", [("a", "b", False)], "cut", "publish"]


@settings(deadline=None, max_examples=100)
@example([(step, True) for step in (*JOINED, [("a", "b", True)], "cut", "publish", "cut", [("b",)])])
@example([(step, True) for step in (*JOINED, "cut", [("b",)])])
@example([(step, True) for step in (*JOINED, "rebuild", "roll back", "cut", "rebuild", "cut", [("b",)])])
@given(st.lists(st.tuples(steps, st.booleans()), min_size=1, max_size=12))
def test_each_listener_was_told_last_what_asking_gives_now(script: list[tuple[Any, bool]]) -> None:
    async def play(world: World) -> None:
        world.play([])
        ears = [Ear(await world.live.join(PEOPLE.name, *asked, None)) for asked in ASKED]
        told: list[list[str]] = [[] for _ in ears]
        for step, looked in [*script, ([], True)]:
            world.play(step)
            if looked:
                await world.live.round()
            for texts, ear in zip(told, ears, strict=True):
                texts += await ear.hear()
        for texts, asked in zip(told, ASKED, strict=True):
            now, last, person = await world.answer(*asked), data(texts[-1]), dict(asked[1]).get("person")
            assert last["complete"] == now["complete"] and last["identity"] == now["identity"]
            assert last["rows"][0]["measures"] == now["rows"][0]["measures"]
            if now["complete"] and person:
                assert edits(texts[-1]) == world.count(person)
            said = [identity(text) for text in texts]
            assert all(one != other for one, other in pairwise(said))

    run(play)
