"""Which keys there are, in the index and in the speed state, and many of them read at once."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.state import manifest_of, speed_commands, write_index
from core.buckets import Run
from core.cuts import Cut
from core.instants import format_instant
from core.keys import index_text, key_text
from core.layout import Layout
from serving_layer.index import LmdbIndex
from serving_layer.pipes import Command
from serving_layer.ports import Index, ReadKeys, TooManyHashes
from serving_layer.speed_state import RedisSpeedStore
from serving_layer.touched import TouchedKeys, TouchedLists
from tests.serving_kit import (
    BOUND,
    DAY,
    SEMANTICS,
    FakePipe,
    buckets_of,
    edit,
    fields_of,
    generation,
    lease,
    place,
    progress,
)  # fmt: skip

PAGE = BOUND.view("edits_by_page")
LAYOUT = Layout("t", BOUND.source.name)
HOURS = [Run(3600, DAY, DAY + 86_400)]
SPAN = (DAY, DAY + 86_400)
NAMES = ("", "a", "b", "-", "x" * 390, "x" * 450, "x" * 451, "y" * 5000)
names = st.sampled_from(NAMES)
channels = st.sampled_from(["#en", "#e", "x" * 500])
pages = st.lists(st.tuples(channels, names), max_size=20)


def index_of(folder: Path, events: list[dict[str, Any]], partitions: int = 3) -> Index:
    index = write_index(folder, [(PAGE, buckets_of(PAGE, events))], partitions)
    manifest = manifest_of(BOUND.source.name, SEMANTICS, 1)
    return LmdbIndex(folder, manifest.__class__(**{**vars(manifest), "index": index}))


def all_keys(index: Index, prefix: str, page: int) -> list[str | None]:
    found: list[str | None] = []
    after = None
    while some := index.keys(PAGE, prefix, after, page):
        found += [key for _, key in some]
        after = some[-1][0]
    return found


def test_pages_of_the_index_hold_each_key_of_a_prefix_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    @settings(max_examples=60, deadline=None)
    @given(pages, channels, st.integers(1, 4))
    def hold(pairs: list[tuple[str, str]], channel: str, page: int) -> None:
        events = [edit(n, channel=first, page=second) for n, (first, second) in enumerate(pairs)]
        index, prefix = index_of(tmp_path_factory.mktemp("index"), events), key_text([channel])
        texts = {place(PAGE, event)[0] for event in events}
        told = all_keys(index, prefix, page)
        named = sorted(
            (text for text in texts if text.startswith(prefix) and len(text.encode()) <= 4096), key=index_text
        )
        assert [key for key in told if key is not None] == named
        assert told.count(None) == len(
            [text for text in texts if text.startswith(prefix[:384]) and len(text.encode()) > 4096]
        )
        one_by_one = {text: index.read(PAGE, text, HOURS) for text in texts}
        assert index.read_many(PAGE, texts, HOURS) == one_by_one

    hold()


def store(events: list[tuple[int, dict[str, Any]]], cuts: int = 3) -> tuple[RedisSpeedStore, FakePipe]:
    pipe = FakePipe(
        speed_commands(LAYOUT, generation(), progress(cuts), lease(), [(PAGE, fields_of(PAGE, events))])
    )
    closed = [Cut(number, {0: number * 10}) for number in range(1, cuts + 1)]
    return RedisSpeedStore(LAYOUT, pipe, SEMANTICS, lambda: closed), pipe


def listed(store: RedisSpeedStore, prefix: str, boundary: int) -> ReadKeys:
    def choose(keys: Collection[str]) -> Collection[str]:
        return keys

    return asyncio.run(store.read_listed(PAGE, prefix, SPAN, boundary, choose))


def test_the_speed_state_lists_the_keys_that_segments_from_the_boundary_on_touched() -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 3), channels, names), max_size=20), channels)
    def hold(drawn: list[tuple[int, str, str]], channel: str) -> None:
        events = [
            (segment, edit(n, channel=first, page=page)) for n, (segment, first, page) in enumerate(drawn)
        ]
        one, prefix = store(events)[0], key_text([channel])
        for boundary in (1, 0, 2, 3, 2):
            reading, found = listed(one, prefix, boundary)
            wanted = {
                place(PAGE, event)[0]
                for segment, event in events
                if segment >= boundary and event["channel"] == channel
            }
            assert found is not None and set(found) == wanted
            assert reading.stamps == (7, 7, 7, 7)
            for key in wanted:
                named, buckets = asyncio.run(one.read_many(PAGE, [key, "none"], SPAN, boundary))
                assert buckets is not None and len(named.stamps) <= 2
                merged = [
                    PAGE.merge_all([partial for _, partial in some]) for some in (found[key], buckets[key])
                ]
                assert merged[0] == merged[1]
                assert buckets["none"] == []

    hold()


def test_lists_of_closed_segments_are_read_once() -> None:
    one, pipe = store([(0, edit(1)), (2, edit(2, page="Bob")), (3, edit(3))])
    assert len(listed(one, "", 0)[1] or ()) == 2
    pipe.pipelines.clear()
    assert len(listed(one, "", 0)[1] or ()) == 2
    asked = [command[1] for pipeline in pipe.pipelines for command in pipeline if command[0] == "SMEMBERS"]
    assert asked == [LAYOUT.touched("g1", shard, 3) for shard in range(4)]


def test_a_key_that_is_touched_while_others_are_read_waits_for_the_next_answer() -> None:
    one, pipe = store([(3, edit(1))])

    def later(commands: list[Command]) -> None:
        if commands[0][0] == "HGETALL":
            pipe.before = None
            pipe.apply(speed_commands(
                LAYOUT, generation(), progress(3), lease(),
                [(PAGE, fields_of(PAGE, [(3, edit(1)), (3, edit(2, page="Bob"))]))],
            ))  # fmt: skip

    pipe.before = later
    assert len(listed(one, "", 0)[1] or ()) == 1
    assert len(listed(one, "", 0)[1] or ()) == 2


def test_a_generation_that_ends_while_keys_are_listed_is_read_anew() -> None:
    one, pipe = store([(2, edit(1)), (3, edit(2, page="Bob"))])
    assert len(listed(one, "", 0)[1] or ()) == 2

    def later(commands: list[Command]) -> None:
        if commands[0][0] == "SMEMBERS":
            pipe.before = None
            newer = [(PAGE, fields_of(PAGE, [(2, edit(3, page="Eve"))]))]
            pipe.apply(speed_commands(LAYOUT, generation(name="g2"), progress(3), lease(), newer))

    pipe.before = later
    reading, found = listed(one, "", 0)
    assert reading.generation == generation(name="g2")
    assert list(found or ()) == [place(PAGE, edit(3, page="Eve"))[0]]


def test_the_floor_and_the_stamps_of_every_shard_stand_with_a_list() -> None:
    one, pipe = store([(3, edit(1))])
    pipe.apply([("HSET", LAYOUT.stamp("g1", 2), "floor", 2), ("DEL", LAYOUT.stamp("g1", 1))])
    reading = listed(one, "", 0)[0]
    assert reading.floor == 2
    assert reading.stamps == (7, None, 7, 7)


def test_lists_asked_for_at_once_with_other_boundaries_do_not_disturb_each_other() -> None:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 3), names), max_size=12),
        st.lists(st.integers(0, 3), min_size=1, max_size=6),
    )
    def hold(drawn: list[tuple[int, str]], boundaries: list[int]) -> None:
        events = [(segment, edit(n, page=page)) for n, (segment, page) in enumerate(drawn)]
        one, pipe = store(events)
        execute = pipe.execute

        async def slowly(commands: Sequence[Command]) -> list[Any]:
            await asyncio.sleep(0)
            return await execute(commands)

        pipe.execute = slowly  # type: ignore[method-assign]

        async def all_of_them() -> list[ReadKeys]:
            asked = [one.read_listed(PAGE, "", SPAN, boundary, lambda keys: keys) for boundary in boundaries]
            return await asyncio.gather(*asked)

        for boundary, (_, found) in zip(boundaries, asyncio.run(all_of_them()), strict=True):
            wanted = {place(PAGE, event)[0] for segment, event in events if segment >= boundary}
            assert set(found or ()) == wanted

    hold()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 47)), max_size=40),
    st.lists(st.tuples(st.integers(0, 47), st.integers(1, 48)), min_size=2, max_size=8),
)
def test_ranges_that_end_inside_of_days_are_told_from_each_other(
    drawn: list[tuple[int, int]], ranges: list[tuple[int, int]]
) -> None:
    events = [
        (segment, edit(n, event_time=format_instant((DAY + hour * 3600) * 1_000_000)))
        for n, (segment, hour) in enumerate(drawn)
    ]
    one, key = store(events)[0], place(PAGE, edit(1))[0]
    for first, length in [*ranges, *ranges]:
        span = (DAY + first * 3600, DAY + (first + length) * 3600)
        _, found = asyncio.run(one.read_many(PAGE, [key], span, 1))
        merged = PAGE.merge_all([partial for _, partial in (found or {})[key]])
        wanted = [hour for segment, hour in drawn if segment >= 1 and first <= hour < first + length]
        assert PAGE.present(merged)["edits"] == len(wanted)


def test_a_speed_state_with_more_keys_than_a_process_lists_is_refused() -> None:
    _, pipe = store([(segment, edit(segment, page=str(segment))) for segment in range(3)])
    touched = TouchedKeys(PAGE.name, most=2)
    lists = TouchedLists(pipe, LAYOUT, generation())
    with pytest.raises(TooManyHashes, match="more than 2 hashes"):
        asyncio.run(touched.containers(lists, "", range(0, 4), 3))
    assert len(asyncio.run(touched.containers(lists, "", range(1, 4), 3))) == 2
