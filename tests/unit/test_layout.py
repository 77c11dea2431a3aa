"""Names in Redis: keys of one script share a hash tag, and a range of time is a range of hashes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.buckets import DAY, HOUR, MINUTE
from core.keys import key_text
from core.layout import (
    Layout,
    container_width,
    containers,
    event_digest,
    field_name,
    mark_shard,
    parse_field,
    seal,
    unseal,
)

LAYOUT = Layout("lambda", "wikipedia.edits")


def tag(key: str) -> str:
    """What decides a key's slot in a cluster: what stands between the first braces."""
    return re.search(r"\{(.*?)\}", key).group(1)  # type: ignore[union-attr]


@given(st.text())
def test_all_keys_of_a_shard_share_its_hash_tag(part: str) -> None:
    names = [
        LAYOUT.stamp("g1", 3),
        LAYOUT.fields("g1", 3, "v", 0, key_text([part])),
        LAYOUT.touched("g1", 3, 17),
        LAYOUT.marks("g1", 3, 2),
    ]
    assert {tag(name) for name in names} == {"g1.3"}
    assert len(set(names)) == len(names)


def test_shards_and_generations_differ_in_their_tag() -> None:
    tags = [tag(LAYOUT.stamp(generation, shard)) for generation in ("g1", "g2") for shard in (0, 1)]
    assert len(set(tags)) == 4


def test_sources_and_generations_have_keys_of_their_own() -> None:
    other = Layout("lambda", "orders")
    assert LAYOUT.current() != other.current() != other.writing()
    assert LAYOUT.of("g1", "progress") == "lambda:{wikipedia.edits}:g1:progress"
    named = [LAYOUT.current(), LAYOUT.writing(), LAYOUT.following(), LAYOUT.rebuild()]
    assert len({*named, LAYOUT.containers("g1", "v")}) == 5
    assert {tag(name) for name in named} == {"wikipedia.edits"}


@pytest.mark.parametrize(
    ("width", "container"),
    [(MINUTE, HOUR), (15 * MINUTE, HOUR), (HOUR, DAY), (6 * HOUR, DAY), (DAY, 32 * DAY)],
)
def test_a_hash_holds_a_bounded_number_of_buckets(width: int, container: int) -> None:
    assert container_width(width) == container
    assert container // width <= 60


@given(st.integers(-(10**9), 10**9), st.integers(1, 50))
def test_the_hashes_of_a_range_hold_each_of_its_buckets(first: int, count: int) -> None:
    start, end = first * HOUR, (first + count) * HOUR
    held = set(containers(HOUR, start, end))
    needed = {bucket - bucket % DAY for bucket in range(start, end, HOUR)}
    assert held == needed


@given(st.integers(0, 10**9), st.integers(-(10**11), 10**11))
def test_a_field_is_read_back_from_its_name(segment: int, bucket: int) -> None:
    assert parse_field(field_name(segment, bucket)) == (segment, bucket)


@given(st.integers(-1, 2**62), st.binary())
def test_a_value_holds_the_micro_batch_that_wrote_it(batch: int, packed: bytes) -> None:
    assert unseal(seal(batch, packed)) == (batch, packed)


def test_a_mark_falls_in_the_same_shard_in_every_process() -> None:
    digest = event_digest("event-1")
    assert len(digest) == 16
    assert digest != event_digest("event-2")
    assert mark_shard(digest, 16) == int.from_bytes(digest[:4], "little") % 16
