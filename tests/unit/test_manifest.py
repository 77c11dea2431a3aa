"""Manifests and the pointer log: one publisher wins, and the boundary falls only by a roll-back."""

from pathlib import Path

import pytest

from core.entries import EntryLog
from core.errors import BoundaryError, EntryTaken
from core.manifest import Manifest, Pointer, Publications


@pytest.fixture
def publications(tmp_path: Path) -> Publications:
    return Publications(EntryLog(tmp_path / "manifests"), EntryLog(tmp_path / "pointer"))


def manifest(version: int, boundary: int) -> Manifest:
    return Manifest(
        version=version,
        source="orders",
        boundary=boundary,
        offsets={0: boundary * 10, 1: 0},
        cluster_id="cluster",
        topic_id="topic",
        archive_version=version,
        semantics="hash",
        created_at="2024-02-29T12:00:00Z",
        views={"v": {"rows": 3}},
        index={"v/0.mdb": "abc"},
        counts={"read": 3},
        losses=({"partition": 0, "from": 1, "to": 2},),
    )


def written(publications: Publications, version: int, boundary: int) -> Manifest:
    publications.manifests.append(version, manifest(version, boundary).entry())
    return manifest(version, boundary)


def publish(publications: Publications, version: int, boundary: int, kind: str = "publish") -> Pointer:
    return publications.publish(written(publications, version, boundary), publications.current(), kind, "now")


def test_readers_resolve_what_was_published_last(publications: Publications) -> None:
    assert publications.current() is None and publications.resolve() is None
    assert publications.next_version() == 1
    publish(publications, 1, 4)
    assert publications.resolve() == manifest(1, 4)
    publish(publications, 2, 6)
    assert publications.resolve() == manifest(2, 6)
    assert publications.current() == Pointer(2, 2, 6, 4, "publish", "now")
    assert publications.next_version() == 3


def test_a_manifest_that_nobody_points_at_is_not_read(publications: Publications) -> None:
    publish(publications, 1, 4)
    written(publications, 2, 6)
    assert publications.resolve() == manifest(1, 4)
    assert publications.next_version() == 3


@pytest.mark.parametrize("first", [False, True])
def test_of_two_publishers_that_read_the_same_parent_one_wins(
    publications: Publications, first: bool
) -> None:
    if not first:
        publish(publications, 1, 2)
    parent = publications.current()
    publications.publish(written(publications, 2, 6), parent, "publish", "now")
    with pytest.raises(EntryTaken):
        publications.publish(written(publications, 3, 5), parent, "publish", "now")
    assert publications.resolve() == manifest(2, 6)


def test_the_boundary_never_falls_but_by_a_roll_back(publications: Publications) -> None:
    publish(publications, 1, 4)
    publish(publications, 2, 6)
    with pytest.raises(BoundaryError, match="version 3 ends at cut 5, readers use 6"):
        publish(publications, 3, 5)
    assert publications.resolve() == manifest(2, 6)
    pointer = publications.publish(publications.manifest(1), publications.current(), "rollback", "now")
    assert (pointer.number, pointer.version, pointer.boundary) == (3, 1, 4)
    publish(publications, 4, 4)


def test_the_floor_is_the_smaller_boundary_of_two_neighbouring_entries(publications: Publications) -> None:
    assert publish(publications, 1, 4).floor == 0
    assert publish(publications, 2, 6).floor == 4
    back = publications.publish(publications.manifest(1), publications.current(), "rollback", "now")
    assert back.floor == 4
    assert publish(publications, 3, 9).floor == 4
    assert publish(publications, 4, 9).floor == 9
