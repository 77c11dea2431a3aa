"""A resolution's file holds what the pairs say, whatever ids look like; and what changed is counted."""

from itertools import combinations
from pathlib import Path

import lmdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import FormatRefused
from core.groups import joined, resolution
from core.resolutions import (
    FRAME_IDS,
    Alone,
    Changes,
    LmdbResolution,
    Resolved,
    changes,
    group_entry,
    id_entry,
    open_resolution,
    persons_of,
)

LONG = "x" * 450
HUGE = "y" * 5000
IDS = ["a", "b", "c", "", "é", "a\0", "a\0\0\0\0", LONG + "1", LONG + "2", HUGE, HUGE + "z", "7:seven"]
pairs = st.lists(st.sampled_from(list(combinations(sorted(IDS), 2))), max_size=10)


def write(path: Path, persons: dict[str, str]) -> LmdbResolution:
    """As the batch layer does, without Spark."""
    entries = [id_entry(*one) for one in persons.items()]
    for person, of in joined(persons).items():
        for number, at in enumerate(range(0, len(of), FRAME_IDS)):
            entries.append(group_entry(person, number, of[at : at + FRAME_IDS]))
    path.unlink(missing_ok=True)
    with (
        lmdb.open(str(path), subdir=False, map_size=64 << 20, lock=False) as environment,
        environment.begin(write=True) as transaction,
        transaction.cursor() as cursor,
    ):
        cursor.putmulti(sorted(entries), append=True, overwrite=False)
    return LmdbResolution(path)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs)
def test_a_file_says_what_the_pairs_say(tmp_path: Path, given_pairs: list[tuple[str, str]]) -> None:
    persons = resolution(given_pairs)
    found, expected = write(tmp_path / "0.mdb", persons), Resolved(persons)
    assert dict(found) == persons
    for id_ in IDS:
        assert found.person(id_) == expected.person(id_)
        assert list(found.ids(id_)) == list(expected.ids(id_))
        assert list(found.group(id_)) == list(expected.group(id_))


def test_a_large_group_is_kept_in_several_values(tmp_path: Path) -> None:
    many = [f"{n:06d}" for n in range(3 * FRAME_IDS + 7)]
    found = write(tmp_path / "0.mdb", dict.fromkeys(many, many[0]))
    assert list(found.ids(many[0])) == many and len(dict(found)) == len(many)


def test_columns_of_ids_become_persons(tmp_path: Path) -> None:
    held = write(tmp_path / "0.mdb", {"a": "a", "b": "a"})
    del held  # LMDB opens no file twice
    column = pa.array(["b", None, "c", "b", "a"])
    assert persons_of(tmp_path / "0.mdb")(column).to_pylist() == ["a", None, "c", "a", "a"]


def test_a_file_is_opened_once_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "0.mdb", {"a": "a", "b": "a"})
    one = open_resolution(tmp_path / "0.mdb")
    assert open_resolution(tmp_path / "0.mdb") is one
    with pytest.raises(FormatRefused, match="publish again"):
        open_resolution(tmp_path / "absent.mdb")


@given(pairs, pairs)
def test_changes_are_the_ids_whose_person_is_another(
    old: list[tuple[str, str]], new: list[tuple[str, str]]
) -> None:
    before, after = Resolved(resolution(old)), Resolved(resolution(new))
    found = changes(before, after)
    assert found.changed == sum(before.person(id_) != after.person(id_) for id_ in IDS)
    apart = [id_ for id_ in IDS if not set(before.group(id_)) <= set(after.group(id_))]
    assert bool(found.parted) == bool(apart)


def test_nothing_changes_where_everybody_is_alone() -> None:
    assert changes(Alone(), Alone()) == Changes(0, 0)
    assert changes(Alone(), Resolved({"a": "a", "b": "a"})) == Changes(1, 0)
    assert changes(Resolved({"a": "a", "b": "a"}), Alone()) == Changes(1, 1)
