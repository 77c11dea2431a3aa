"""Keys: injective texts, a stable shard, and a place in the index whose order is the order of ranges."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import keys
from core.buckets import DAY, HOUR, MINUTE

parts = st.lists(st.none() | st.text() | st.sampled_from(["", "-", "1:a", ":", "日" * 200]), max_size=4)
widths = st.sampled_from([MINUTE, HOUR, DAY])
buckets = st.integers(-(10**11), 10**11)
MANY = settings(max_examples=300, deadline=None)


@MANY
@given(parts)
def test_a_key_is_read_back_from_its_text(given_parts: list[str | None]) -> None:
    assert keys.parse_key(keys.key_text(given_parts)) == given_parts


@MANY
@given(parts, parts)
def test_two_keys_share_a_text_only_if_they_are_equal(left: list[Any], right: list[Any]) -> None:
    assert (keys.key_text(left) == keys.key_text(right)) == (left == right)


@given(parts, parts)
def test_the_text_of_the_first_parts_is_a_prefix_of_the_whole(first: list[Any], rest: list[Any]) -> None:
    assert keys.key_text([*first, *rest]) == keys.key_text(first) + keys.key_text(rest)


@pytest.mark.parametrize("given_parts", [[None], [""], ["-"], ["1:a"], ["a", None], ["a-"]])
def test_null_the_empty_text_and_a_dash_differ(given_parts: list[str | None]) -> None:
    others: list[list[str | None]] = [[None], [""], ["-"], ["1:a"], ["a", None], ["a-"]]
    assert sum(keys.key_text(given_parts) == keys.key_text(other) for other in others) == 1


def test_a_shard_is_stable_across_processes_and_releases() -> None:
    assert [keys.shard_of("edits", "3:#en", 16), keys.index_partition("3:#en", 4)] == [14, 2]


def pairs(size: int) -> st.SearchStrategy[list[str | None]]:
    return st.lists(st.none() | st.text(max_size=6) | st.just("x" * 450), min_size=size, max_size=size)


@MANY
@given(pairs(2), widths, buckets, pairs(2), widths, buckets)
def test_index_keys_sort_by_key_then_width_then_bucket(
    left: list[Any], width: int, bucket: int, right: list[Any], other_width: int, other_bucket: int
) -> None:
    """Keys of one view have the same number of parts: no text is a proper prefix of another."""
    one, two = keys.key_text(left), keys.key_text(right)
    first = (keys.index_text(one), width, bucket)
    second = (keys.index_text(two), other_width, other_bucket)
    found = keys.index_key(one, width, bucket) < keys.index_key(two, other_width, other_bucket)
    assert found == (first < second)


@given(st.text(max_size=50), widths, buckets)
def test_an_index_key_ends_with_its_bucket(text: str, width: int, bucket: int) -> None:
    assert keys.index_bucket(keys.index_key(text, width, bucket)) == bucket


def test_long_keys_fit_into_the_index_and_stay_apart() -> None:
    long, longer = keys.key_text(["x" * 5000]), keys.key_text(["x" * 4999 + "y"])
    for text in (long, longer):
        assert len(keys.index_text(text)) == keys.INDEX_TEXT_LIMIT
        assert len(keys.index_key(text, DAY, 0)) <= 511
    assert keys.index_text(long) != keys.index_text(longer)
    short = keys.key_text(["x" * 390])
    assert keys.index_text(short) == short.encode()
