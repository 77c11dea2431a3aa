"""Live answers: what counts as a change, who is asked anew, and what each listener gets."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.state import manifest_of, speed_commands
from conf.settings import Settings
from core.layout import Layout
from core.manifest import Manifest
from serving_layer.app import create_app
from serving_layer.changes import Changes, Look, RedisChanges
from serving_layer.interests import Interest, interest_of
from serving_layer.listeners import Given, Listener, answer_event
from serving_layer.live import Live, Watched
from serving_layer.ports import IndexBroken, Snapshot, SpeedSilent
from serving_layer.problems import Problem
from serving_layer.questions import Question, parse_question
from serving_layer.services import Services
from tests.serving_kit import (
    BOUND,
    SEMANTICS,
    AppClient,
    FakeLog,
    FakePipe,
    FakeSpeed,
    FakeVersions,
    edit,
    fields_of,
    generation,
    lease,
    progress,
    services,
    silent_logger,
    snapshot,
)  # fmt: skip

SOURCE = BOUND.source.name
LAYOUT = Layout("t", SOURCE)
AT = "2015-09-12T12:00:00Z"


class FakeChanges(Changes):
    """Says what it is told to; `silence` is raised instead."""

    def __init__(self) -> None:
        self.now = Look("well", as_of=1_442_059_200.0)
        self.silence: str | None = None
        self.asked: list[set[Interest]] = []

    async def look(self, interests: Collection[Interest], manifest: Manifest | None) -> Look:
        self.asked.append(set(interests))
        if self.silence:
            raise SpeedSilent(self.silence)
        return self.now

    def touch(self, *interests: Interest) -> None:
        self.now = Look(self.now.standing, self.now.as_of, frozenset(interests))


class Hall:
    """A Live over fakes. `numbers` are the answers by user; `asked` who was asked for."""

    def __init__(self, limit: int = 100) -> None:
        self.numbers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.clock = 0.0
        self.changes = FakeChanges()
        self.versions = FakeVersions([snapshot(manifest_of(SOURCE, SEMANTICS, 2), {})])
        watched = {SOURCE: Watched(self.versions, self.changes)}
        self.live = Live(self._ask, self._concern, watched, limit, 15.0, lambda: self.clock, silent_logger())

    async def _ask(self, view: str, given: Given) -> Mapping[str, Any]:
        user = dict(given)["user"]
        self.asked.append(user)
        held = self.numbers.get(user, 0)
        if isinstance(held, Exception):
            raise held
        return {"rows": [held], "as_of": AT, "complete": True, "read": {"fields": len(self.asked)}}

    def _concern(self, view: str, given: Given) -> Interest:
        return interest_of(parse_question(BOUND.view(view), given, lambda: 1_442_016_000 + self.clock))

    async def join(self, user: str, last: str | None = None, more: Given = ()) -> "Ear":
        asked = (("user", user), *more)
        return Ear(await self.live.join(SOURCE, "edits_by_user", asked, last))

    async def rounds(self, count: int = 1) -> None:
        for _ in range(count):
            await self.live.round()
            self.changes.touch()

    async def settled(self) -> None:
        """The look that each new question is asked anew at, to miss nothing; then as if nothing was asked."""
        await self.rounds()
        self.asked.clear()


class Ear:
    """Reads one listener's stream without ever waiting for it."""

    def __init__(self, listener: Listener) -> None:
        self.listener, self.stream = listener, listener.pieces()
        self._next: asyncio.Task[bytes] | None = None

    async def hear(self) -> list[str]:
        """What was sent since the last call, but for the first line of a stream."""
        found = []
        while (piece := await self._piece()) is not None:
            found.append(piece.decode())
        return [text for text in found if not text.startswith("retry")]

    async def answers(self) -> list[Any]:
        return [data(text)["rows"][0] for text in await self.hear() if text.startswith("event: answer")]

    async def _piece(self) -> bytes | None:
        self._next = self._next or asyncio.ensure_future(_first(self.stream))
        for _ in range(5):
            await asyncio.sleep(0)
        if not self._next.done():
            return None
        done, self._next = self._next, None
        try:
            return done.result()
        except StopAsyncIteration:
            return None

    async def ended(self) -> bool:
        await self.hear()
        return self._next is None


async def _first(stream: AsyncIterator[bytes]) -> bytes:
    return await anext(stream)


def data(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.partition("data: ")[2])
    return found


def identity(text: str) -> str:
    return text.partition("id: ")[2].partition("\n")[0]


def question(user: str) -> Question:
    return parse_question(BOUND.view("edits_by_user"), [("user", user)])


def interest(user: str) -> Interest:
    return interest_of(question(user))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_the_first_answer_comes_at_once_and_the_next_when_it_changes() -> None:
    async def play(hall: Hall) -> None:
        mary = await hall.join("mary")
        assert await mary.answers() == [0]
        hall.numbers["mary"] = 1
        hall.changes.touch(interest("mary"))
        await hall.rounds(3)
        assert await mary.answers() == [1]

    run(play(Hall()))


def test_only_questions_whose_keys_were_touched_are_asked_anew() -> None:
    async def play(hall: Hall) -> None:
        for user in ("mary", "bob", "eve"):
            await hall.join(user)
        await hall.settled()
        hall.changes.touch(interest("bob"))
        await hall.rounds(5)
        assert hall.asked == ["bob"]

    run(play(Hall()))


def test_a_question_is_asked_once_however_many_listen_to_it() -> None:
    async def play(hall: Hall) -> None:
        ears = [await hall.join("mary") for _ in range(50)]
        assert hall.asked == ["mary"]
        await hall.settled()
        hall.numbers["mary"] = 7
        hall.changes.touch(interest("mary"))
        await hall.rounds()
        assert hall.asked == ["mary"]
        assert [await ear.answers() for ear in ears] == [[7]] * 50

    run(play(Hall()))


def test_what_changed_while_a_question_was_asked_for_the_first_time_is_not_missed() -> None:
    async def play(hall: Hall) -> None:
        mary = await hall.join("mary")
        hall.numbers["mary"] = 1  # committed before the first look that knows of her
        await hall.rounds()
        assert await mary.answers() == [1]

    run(play(Hall()))


def test_as_of_moving_on_is_no_change() -> None:
    told = {"rows": [1], "as_of": AT, "complete": True, "read": {"fields": 1}}
    later = told | {"as_of": "2015-09-12T13:00:00Z", "read": {"fields": 2}}
    assert answer_event(told).id == answer_event(later).id
    assert answer_event(told).id != answer_event(told | {"complete": False}).id


def test_quantiles_that_were_merged_once_more_are_no_change_and_one_more_value_is() -> None:
    size = {
        "count": 3,
        "min": 1.0,
        "max": 9.0,
        "rank_error": 0.01,
        "quantiles": [{"rank": 0.5, "value": 4.0}],
    }
    first, again = ({"rows": [{"size": size | {"quantiles": [{"value": v}]}}]} for v in (4.0, 5.0))
    more = {"rows": [{"size": size | {"count": 4}}]}
    assert answer_event(first).id == answer_event(again).id != answer_event(more).id


def test_a_slow_listener_gets_the_newest_answer_and_none_before_it() -> None:
    async def play(hall: Hall) -> None:
        slow, quick = await hall.join("mary"), await hall.join("mary")
        assert await slow.answers() == await quick.answers() == [0]
        heard = []
        for number in range(1, 6):
            hall.numbers["mary"] = number
            hall.changes.touch(interest("mary"))
            await hall.rounds()
            heard += await quick.answers()
        assert heard == [1, 2, 3, 4, 5]
        assert await slow.answers() == [1, 5]  # the one it was being sent, and the newest

    run(play(Hall()))


def test_an_answer_that_went_and_came_back_is_not_sent_again() -> None:
    async def play(hall: Hall) -> None:
        slow = await hall.join("mary")
        assert await slow.answers() == [0]
        for number in (1, 2, 1):
            hall.numbers["mary"] = number
            hall.changes.touch(interest("mary"))
            await hall.rounds()
        assert await slow.answers() == [1]

    run(play(Hall()))


def test_after_a_reconnect_the_same_answer_is_not_sent_again() -> None:
    async def play(hall: Hall) -> None:
        (text,) = await (await hall.join("mary")).hear()
        again = await hall.join("mary", last=identity(text))
        assert await again.answers() == []
        hall.numbers["mary"] = 1
        third = await Hall().join("mary", last="another")
        assert await third.answers() == [0]

    run(play(Hall()))


@pytest.mark.parametrize("change", ["publish", "doubt", "silence", "broken"])
def test_whatever_concerns_all_answers_has_all_of_them_asked_anew(change: str) -> None:
    async def play(hall: Hall) -> None:
        for user in ("mary", "bob"):
            await hall.join(user)
        await hall.settled()
        await hall.rounds()
        assert hall.asked == []
        if change == "publish":
            hall.versions.snapshots = [snapshot(manifest_of(SOURCE, SEMANTICS, 3, version=2), {})]
        elif change == "doubt":
            hall.changes.now = Look("its job is down")
        elif change == "silence":
            hall.changes.silence = "Redis is away"
        else:
            hall.versions.broken = "a file is missing"
        await hall.rounds(3)
        assert sorted(hall.asked) == ["bob", "mary"]

    run(play(Hall()))


def test_a_range_that_counts_back_from_now_is_asked_anew_when_it_moved() -> None:
    async def play(hall: Hall) -> None:
        await hall.join("mary", more=(("last", "2h"),))
        await hall.join("bob", more=(("from", "2015-09-12"),))
        await hall.settled()
        hall.clock = 3599.0
        await hall.rounds()
        assert hall.asked == []
        hall.clock = 3600.0
        await hall.rounds(2)
        assert hall.asked == ["mary"]

    run(play(Hall()))


def test_a_heartbeat_says_that_the_answer_still_holds() -> None:
    async def play(hall: Hall) -> None:
        mary = await hall.join("mary")
        (first,) = await mary.hear()
        await hall.settled()
        hall.clock = 14.0
        await hall.rounds()
        assert await mary.hear() == []
        hall.clock = 15.0
        hall.changes.now = Look("well", as_of=1_442_059_210.0)
        await hall.rounds()
        (beat,) = await mary.hear()
        assert beat.startswith("event: progress\n")
        assert data(beat) == {"id": identity(first), "as_of": "2015-09-12T12:00:10Z"}
        hall.changes.now = Look("well", as_of=None)
        hall.clock = 31.0
        await hall.rounds()
        assert await mary.hear() == [": nothing new\n\n"]

    run(play(Hall()))


def test_one_more_than_the_limit_is_refused_and_comes_in_when_one_goes() -> None:
    async def play(hall: Hall) -> None:
        mary, _ = await hall.join("mary"), await hall.join("bob")
        with pytest.raises(Problem, match="2 listen to this process already") as refused:
            await hall.join("eve")
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
        hall.live.leave(mary.listener)
        hall.live.leave(mary.listener)
        assert hall.live.listeners == 1
        await hall.join("eve")

    run(play(Hall(limit=2)))


def test_a_question_that_cannot_be_answered_is_refused_and_leaves_nothing() -> None:
    async def play(hall: Hall) -> None:
        hall.numbers["mary"] = IndexBroken("a file is missing")
        with pytest.raises(IndexBroken):
            await hall.join("mary")
        assert hall.live.listeners == 0
        await hall.rounds()
        assert hall.changes.asked == []

    run(play(Hall()))


def test_a_question_that_can_no_longer_be_answered_says_so_and_goes_on() -> None:
    async def play(hall: Hall) -> None:
        mary = await hall.join("mary")
        await mary.hear()
        for number in (IndexBroken("a file is missing"), 0):
            hall.numbers["mary"] = number
            hall.changes.touch(interest("mary"))
            await hall.rounds()
            (text,) = await mary.hear()
            name = "problem" if isinstance(number, Exception) else "answer"
            assert text.startswith(f"event: {name}\n"), text
        hall.numbers["mary"] = IndexBroken("a file is missing")
        await hall.rounds()

    run(play(Hall()))


def test_a_stop_ends_every_stream_and_lets_nobody_in() -> None:
    async def play(hall: Hall) -> None:
        ears = [await hall.join("mary"), await hall.join("bob")]
        assert not any([await ear.ended() for ear in ears])
        hall.live.end()
        assert all([await ear.ended() for ear in ears])
        with pytest.raises(Problem, match="this process stops"):
            await hall.join("eve")

    run(play(Hall()))


def test_the_watcher_rests_while_nobody_listens_and_survives_a_bug() -> None:
    async def play(hall: Hall) -> None:
        hall.live.start()
        await asyncio.sleep(0)
        assert hall.changes.asked == []
        mary = await hall.join("mary")
        hall.numbers["mary"] = ZeroDivisionError("a bug")
        while not await mary.ended():
            await asyncio.sleep(0.01)
        hall.live.leave(mary.listener)
        hall.numbers["bob"] = 3
        bob = await hall.join("bob")
        assert await bob.answers() == [3]
        await hall.live.stop()
        assert await bob.ended()

    run(play(Hall()))


def test_the_watcher_starts_again_in_another_event_loop() -> None:
    live = Hall().live

    async def start_and_stop() -> None:
        live.start()
        await asyncio.sleep(0)  # it waits for a listener now
        await live.stop()

    for _ in range(2):
        asyncio.run(start_and_stop())


def test_a_large_answer_is_handed_over_in_pieces() -> None:
    async def play(hall: Hall) -> None:
        hall.numbers["mary"] = "x" * 100_000
        mary = await hall.join("mary")
        pieces = await mary.hear()
        assert len(pieces) == 4 and max(map(len, pieces)) <= 32 << 10
        assert data("".join(pieces))["rows"] == ["x" * 100_000]

    run(play(Hall()))


USERS = ["mary", "bob", "eve", "a:b"]
EDITS = st.builds(
    lambda user, hour: {"user": user, "event_time": f"2015-09-12T{hour:02}:30:00Z"},
    st.sampled_from(USERS), st.integers(0, 23),
)  # fmt: skip
QUESTIONS = [
    *([("user", user)] for user in USERS),
    [("user", "mary"), ("from", "2015-09-12T06:00:00Z"), ("to", "2015-09-12T12:00:00Z")],
    [("user", "bob"), ("to", "2015-09-12T03:00:00Z")],
]


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(EDITS, max_size=4), st.booleans()), min_size=1, max_size=6))
def test_a_look_names_every_question_that_a_micro_batch_changed(
    batches: list[tuple[list[dict[str, Any]], bool]],
) -> None:
    """The oracle is the answer itself: whose number of edits is another one, was touched."""

    async def play() -> None:
        view, pipe, written, cuts = BOUND.view("edits_by_user"), FakePipe(), list[Any](), 0
        asked = [parse_question(view, given) for given in QUESTIONS]
        changes, before = RedisChanges(LAYOUT, pipe, SEMANTICS), [0] * len(asked)
        for number, (edits, cut) in enumerate([([], False), *batches]):
            written += [(cuts, edit(10 * number + n, **values)) for n, values in enumerate(edits)]
            done = progress(cuts, batch=number)
            fields = [(view, fields_of(view, written))]
            pipe.apply(speed_commands(LAYOUT, generation(), done, lease(number), fields))
            look = await changes.look({interest_of(each) for each in asked}, None)
            after = [_edits(each, written) for each in asked]
            for each, former, newer in zip(asked, before, after, strict=True):
                assert former == newer or interest_of(each) in look.touched
            assert look.standing == ("g1",) and look.as_of == lease().as_of
            before, cuts = after, cuts + cut

    run(play())


def _edits(asked: Question, written: list[Any]) -> int:
    view = asked.view
    found = fields_of(view, written)
    return sum(
        view.present(partial)["edits"]
        for (key, _, bucket), partial in found.items()
        if key == asked.key_text and asked.first <= bucket < asked.last
    )


def test_a_key_that_nothing_touched_is_not_named() -> None:
    async def play() -> None:
        view, pipe = BOUND.view("edits_by_user"), FakePipe()
        changes, both = RedisChanges(LAYOUT, pipe, SEMANTICS), {interest("mary"), interest("bob")}
        written = [(0, edit(1, user="mary")), (0, edit(2, user="bob"))]
        apply(pipe, view, written, progress(0, 1))
        assert (await changes.look(both, None)).touched == both  # at the first look
        assert (await changes.look(both, None)).touched == frozenset()
        apply(pipe, view, [*written, (1, edit(3, user="bob"))], progress(1, 2))
        assert (await changes.look(both, None)).touched == both  # the segment that ended had both
        apply(pipe, view, [*written, (1, edit(3, user="bob"))], progress(1, 3))
        assert (await changes.look(both, None)).touched == {interest("bob")}

    run(play())


def apply(pipe: FakePipe, view: Any, written: list[Any], done: Any) -> None:
    fields = [(view, fields_of(view, written))]
    pipe.apply(speed_commands(LAYOUT, generation(), done, lease(done.batch), fields))


def test_another_generation_a_lost_lease_and_no_state_concern_all() -> None:
    async def play() -> None:
        view, pipe = BOUND.view("edits_by_user"), FakePipe()
        changes, one = RedisChanges(LAYOUT, pipe, SEMANTICS), {interest("mary")}
        standings = [(await changes.look(one, None)).standing]
        apply(pipe, view, [(0, edit(1))], progress(0, 1))
        standings.append((await changes.look(one, None)).standing)
        pipe.apply([("DEL", LAYOUT.of("g1", "lease"))])
        look = await changes.look(one, None)
        assert look.as_of is None
        standings.append(look.standing)
        again = generation(name="g2")
        pipe.apply(speed_commands(LAYOUT, again, progress(0, 1), lease(1), []))
        look = await changes.look(one, None)
        assert look.touched == one
        standings.append(look.standing)
        assert len(set(standings)) == 4

    run(play())


def test_a_shard_that_lost_writes_concerns_all() -> None:
    async def play() -> None:
        view, pipe = BOUND.view("edits_by_user"), FakePipe()
        changes, one = RedisChanges(LAYOUT, pipe, SEMANTICS), {interest("mary")}
        apply(pipe, view, [(0, edit(1))], progress(0, 5))
        before = await changes.look(one, None)
        for shard in range(generation().shards):
            pipe.apply([("HSET", LAYOUT.stamp("g1", shard), "batch", 4)])
        after = await changes.look(one, None)
        assert before.standing != after.standing and after.as_of is None

    run(play())


@pytest.fixture
def app(tmp_path: Path) -> Iterator[AppClient]:
    settings = Settings(data_dir=tmp_path, live_listeners=1)
    made = services(FakeVersions([Snapshot()]), FakeSpeed(), FakeLog(), settings)
    with AppClient(
        create_app(settings, Services(**{**vars(made), "changes": {SOURCE: FakeChanges()}}))
    ) as app:
        yield app


LIVE = "/v1/views/edits_by_user/live"


async def first_message(app: AppClient, query: bytes, headers: list[Any]) -> list[Mapping[str, Any]]:
    """What is sent to a client that goes once it has two pieces of the body."""
    sent, gone = list[Mapping[str, Any]](), asyncio.Event()

    async def receive() -> Mapping[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)
        if len(sent) == 3:
            gone.set()

    scope = {
        "type": "http", "method": "GET", "path": LIVE, "raw_path": LIVE.encode(), "query_string": query,
        "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("api", 80), "root_path": "",
    }  # fmt: skip
    await app.app(scope, receive, send)  # type: ignore[arg-type]
    return sent


def test_the_route_streams_events_and_forgets_a_client_that_goes(app: AppClient) -> None:
    start, _, event = app.do(first_message(app, b"user=mary", []))
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    told = data(event["body"].decode())
    assert told == app.get("/v1/views/edits_by_user", user="mary").json()
    assert app.app.state.live.listeners == 0


def test_head_ends_and_faults_are_problems_as_without_live(app: AppClient) -> None:
    head = app.request("HEAD", LIVE, params={"user": "mary"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert app.get(LIVE).json()["type"] == "/problems#missing-key-part"
    past = app.get(LIVE, user="mary", version="3").json()
    assert (past["type"], past["field"]) == ("/problems#bad-past", "version")
    assert app.get("/v1/views/nothing/live").json()["type"] == "/problems#unknown-view"


def test_the_limit_is_a_problem_with_a_time_to_come_back(app: AppClient) -> None:
    live: Live = app.app.state.live
    held = app.do(live.join(SOURCE, "edits_by_user", (("user", "bob"),), None))
    answer = app.get(LIVE, user="mary")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "/problems#too-many-listeners"
    live.leave(held)
