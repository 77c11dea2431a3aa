"""Live answers under drawn schedules: whatever happens, each listener was told last what asking gives now."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.state import manifest_of, speed_commands
from conf.settings import Settings
from core.cuts import Cut
from core.layout import Layout
from serving_layer import views
from serving_layer.changes import RedisChanges
from serving_layer.live import Live, Watched
from serving_layer.ports import Snapshot
from serving_layer.rendering import to_json
from serving_layer.services import Services
from serving_layer.speed_state import RedisSpeedStore
from tests.serving_kit import (
    BOUND,
    SEMANTICS,
    FakeLog,
    FakePipe,
    FakeVersions,
    buckets_of,
    edit,
    fields_of,
    generation,
    lease,
    progress,
    services,
    silent_logger,
    snapshot,
)  # fmt: skip
from tests.unit.test_serving_live import Ear, data, identity

SOURCE, LAYOUT = BOUND.source.name, Layout("t", BOUND.source.name)
ASKED = [
    ("edits_by_user", (("user", "mary"),)),
    ("edits_by_user", (("user", "bob"), ("from", "2015-09-12T06:00:00Z"), ("to", "2015-09-12T12:00:00Z"))),
    ("edits_by_channel", (("channel", "#en"), ("every", "hour"))),
    ("wiki", ()),
]
EDIT = st.builds(
    lambda user, channel, hour: {"user": user, "channel": channel, "event_time": hour},
    st.sampled_from(["mary", "bob", "eve"]), st.sampled_from(["#en", "#de"]),
    st.integers(4, 14).map(lambda hour: f"2015-09-12T{hour:02}:30:00Z"),
)  # fmt: skip
STEP = st.one_of(
    st.lists(EDIT, max_size=3),
    st.sampled_from(["cut", "publish", "roll back", "lose the lease", "new generation"]),
)


class World:
    """A speed state in Redis and publishes, as the layers make them; `written` are (segment, edit) pairs."""

    def __init__(self, folder: Path) -> None:
        self.written: list[tuple[int, Any]] = []
        self.cuts, self.batch, self.boundary, self.version, self.name = 0, 0, 0, 0, 1
        self.pipe, self.versions, self.leased = FakePipe(), FakeVersions([Snapshot()]), True
        self.former = Snapshot()
        store = RedisSpeedStore(LAYOUT, self.pipe, SEMANTICS, self._known_cuts)
        self.services: Services = services(self.versions, store, FakeLog(), Settings(data_dir=folder))
        watched = {SOURCE: Watched(self.versions, RedisChanges(LAYOUT, self.pipe, SEMANTICS))}
        self.ask: Callable[..., Any] = partial(views.answer, self.services)
        concern = partial(views.concern, self.services)
        self.live = Live(self.ask, concern, watched, 100, 1e9, lambda: 0.0, silent_logger())

    def _known_cuts(self) -> list[Cut]:
        return [Cut(number, {0: number}) for number in range(1, self.cuts + 1)]

    def play(self, step: Any) -> None:
        if isinstance(step, list):
            self.written += [(self.cuts, edit(len(self.written) + n, **one)) for n, one in enumerate(step)]
        elif step == "cut":
            self.cuts += 1
        elif step == "publish":
            self._publish()
        elif step == "roll back":
            self.versions.snapshots = [self.former]
        elif step == "new generation":
            self.name += 1
        self.leased = step != "lose the lease"
        self._commit()

    def _publish(self) -> None:
        self.version, self.former = self.version + 1, self.versions.snapshots[0]
        below = [one for segment, one in self.written if segment < self.cuts]
        made = manifest_of(SOURCE, SEMANTICS, self.cuts, self.version)
        batch = {view.name: buckets_of(view, below) for view in BOUND.views.values()}
        self.versions.snapshots = [snapshot(made, batch)]

    def _commit(self) -> None:
        self.batch += 1
        made, done = generation(name=f"g{self.name}"), progress(self.cuts, self.batch)
        fields = [(view, fields_of(view, self.written)) for view in BOUND.views.values()]
        held = lease(self.batch) if self.leased else None
        if held is None:
            self.pipe.apply([("DEL", LAYOUT.of(made.id, "lease"))])
        self.pipe.apply(speed_commands(LAYOUT, made, done, held, fields))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(STEP, st.booleans()), min_size=1, max_size=12), st.integers(0, 6))
def test_each_listener_was_told_last_what_asking_gives_now(steps: list[tuple[Any, bool]], late: int) -> None:
    """After some of the steps the watcher looks, and after the last one."""

    async def run(world: World) -> None:
        ears, told = list[Ear](), dict[int, list[str]]()
        world.play([])
        for number, (step, looked) in enumerate([*steps, ([], True)]):
            # some listen from the beginning, others come later
            for asked in ASKED[len(ears) : 2 if number < late else len(ASKED)]:
                ears.append(Ear(await world.live.join(SOURCE, *asked, None)))
            world.play(step)
            if looked:
                await world.live.round()
            for place, ear in enumerate(ears):
                told.setdefault(place, []).extend(await ear.hear())
        for place, texts in told.items():
            answers = [text for text in texts if text.startswith("event: answer")]
            now = await world.ask(*ASKED[place])
            last = data(answers[-1])
            assert last["rows"] == _plain(now)["rows"]
            assert (last["complete"], last["reasons"]) == (now["complete"], now["reasons"])
            assert last["manifest"] == _plain(now)["manifest"]
            ids = [identity(text) for text in answers]
            assert all(one != other for one, other in pairwise(ids))
        for ear in ears:
            world.live.leave(ear.listener)

    with TemporaryDirectory() as folder:
        asyncio.run(run(World(Path(folder))))


def _plain(answer: Any) -> Any:
    return json.loads(to_json(answer))
