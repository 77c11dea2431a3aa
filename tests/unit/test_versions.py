"""Versions on real files: which there are, moving readers back and forth, and what must stay for it."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import UnknownVersion, VersionGone, VersionRefused
from core.folders import Folders
from core.manifest import Manifest, Pointer
from core.versions import Versions

NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, "orders")


@pytest.fixture
def versions(folders: Folders) -> Versions:
    for number in range(1, 6):
        publish(folders, number)
    return Versions(folders)


def publish(folders: Folders, version: int, kind: str = "publish") -> Pointer:
    publications = folders.publications()
    index = {"by_page/0.mdb": "sum"}
    manifest = Manifest(version, "orders", version * 2, {0: version}, "c", "t", 1, "hash", NOW, index=index)
    path = folders.index_file(version, "by_page", 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"index")
    publications.manifests.append(version, manifest.entry())
    return publications.publish(manifest, publications.current(), kind, NOW)


def remove(folders: Folders, *gone: int) -> None:
    for version in gone:
        shutil.rmtree(folders.index(version))


def current(folders: Folders) -> int:
    pointer = folders.publications().current()
    assert pointer is not None
    return pointer.version


def test_versions_are_listed_newest_first_with_what_became_of_them(
    folders: Folders, versions: Versions
) -> None:
    remove(folders, 1, 2)
    versions.roll_back(4, NOW)
    told = [version.report() for version in versions.all()]
    assert [one["version"] for one in told] == [5, 4, 3, 2, 1]
    assert [one["retained"] for one in told] == [True, True, True, False, False]
    assert [one["current"] for one in told] == [False, True, False, False, False]
    assert (told[1]["boundary"], told[1]["offsets"], told[1]["mode"]) == (8, {"0": 4}, "full")


def test_an_old_version_that_readers_use_is_listed_beside_the_newest(
    folders: Folders, versions: Versions
) -> None:
    versions.roll_back(1, NOW)
    remove(folders, 2, 3)
    assert [version.first.version for version in versions.all(limit=1)] == [5, 4, 1]


def test_a_torn_manifest_is_listed_as_such_and_readers_can_leave_it(
    folders: Folders, versions: Versions
) -> None:
    (folders.publications().manifests.folder / f"{5:020d}.json").write_text("{")
    assert versions.all()[0].report()["trouble"] == "its manifest is torn"
    assert versions.roll_back(4, NOW).version == 4
    with pytest.raises(VersionGone):
        versions.roll_forward(None, NOW)


def test_readers_go_back_and_forward_and_back_again(folders: Folders, versions: Versions) -> None:
    back = versions.roll_back(2, NOW)
    assert (back.number, back.version, back.boundary, back.previous_boundary) == (6, 2, 4, 10)
    assert (back.kind, back.floor) == ("rollback", 4)
    assert versions.roll_forward(3, NOW).kind == "rollforward" and current(folders) == 3
    assert versions.roll_forward(None, NOW).version == 5
    assert versions.roll_back(4, NOW).previous_boundary == 10


def test_readers_are_held_until_they_use_the_newest_version_again(
    folders: Folders, versions: Versions
) -> None:
    assert versions.held() is None
    versions.roll_back(3, NOW)
    assert versions.held() == 5
    versions.roll_forward(4, NOW)
    assert versions.held() == 5
    versions.roll_forward(None, NOW)
    assert versions.held() is None
    versions.roll_back(1, NOW)
    publish(folders, 6)
    assert versions.held() is None


@pytest.mark.parametrize(
    ("move", "version", "error", "about"),
    [
        ("back", 9, UnknownVersion, "there is no version 9. Retained are: 2, 3, 4, 5"),
        ("back", 0, UnknownVersion, "there is no version 0"),
        ("back", 1, VersionGone, "version 1 is not retained any more; .* Retained are: 2, 3, 4, 5"),
        ("back", 5, VersionRefused, "version 5 is not older than 4"),
        ("back", 4, VersionRefused, "version 4 is not older than 4"),
        ("forward", 3, VersionRefused, "readers use version 4 already"),
        ("forward", 9, UnknownVersion, "there is no version 9"),
    ],
)
def test_a_move_that_cannot_be_names_what_can_and_changes_nothing(
    folders: Folders, versions: Versions, move: str, version: int, error: type[VersionRefused], about: str
) -> None:
    versions.roll_back(4, NOW)
    remove(folders, 1)
    with pytest.raises(error, match=about) as caught:
        versions.roll_back(version, NOW) if move == "back" else versions.roll_forward(version, NOW)
    assert (caught.value.version, caught.value.retained) == (version, [2, 3, 4, 5])
    assert current(folders) == 4


def test_there_is_nothing_to_roll_back_before_the_first_publish(folders: Folders) -> None:
    versions = Versions(folders)
    assert versions.all() == [] and versions.held() is None and versions.needed(5) == set()
    with pytest.raises(UnknownVersion, match="Retained are: none"):
        versions.roll_back(1, NOW)
    with pytest.raises(UnknownVersion):
        versions.roll_forward(None, NOW)


def test_readers_that_use_the_newest_version_cannot_go_forward(versions: Versions) -> None:
    with pytest.raises(VersionRefused, match="version 5 already"):
        versions.roll_forward(None, NOW)


def test_a_version_that_was_built_and_not_published_is_no_target(
    folders: Folders, versions: Versions
) -> None:
    publications = folders.publications()
    publications.manifests.append(6, replace(publications.manifest(5), version=6).entry())
    folders.index_file(6, "by_page", 0).parent.mkdir(parents=True)
    folders.index_file(6, "by_page", 0).write_bytes(b"index")
    with pytest.raises(UnknownVersion):
        versions.roll_forward(6, NOW)
    assert versions.retained() == [1, 2, 3, 4, 5]


def test_a_version_that_lost_a_file_is_no_target(folders: Folders, versions: Versions) -> None:
    folders.index_file(3, "by_page", 0).unlink()
    with pytest.raises(VersionGone):
        versions.roll_back(3, NOW)


def test_readers_are_not_moved_while_files_are_removed(folders: Folders, versions: Versions) -> None:
    moved = threading.Thread(target=versions.roll_back, args=(4, NOW))
    with versions.lease():
        moved.start()
        moved.join(0.2)
        assert current(folders) == 5
    moved.join(10)
    assert current(folders) == 4


def naive_needed(pointers: list[Pointer], kept: int) -> set[int]:
    """From the whole pointer log: the newest published versions, and those of the last two entries."""
    published = [pointer.version for pointer in pointers if pointer.kind == "publish"]
    return set(published[-kept:]) | {pointer.version for pointer in pointers[-2:]}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.integers(0, 6), max_size=14), kept=st.integers(2, 4))
def test_whatever_moves_came_before_what_readers_may_go_to_stays(
    tmp_path_factory: pytest.TempPathFactory, moves: list[int], kept: int
) -> None:
    folders = Folders(tmp_path_factory.mktemp("versions"), "orders")
    versions, publications = Versions(folders), folders.publications()
    publish(folders, 1)
    for move in moves:
        came_from = current(folders)
        try:
            publish(folders, publications.next_version()) if move == 0 else versions.roll_back(move, NOW)
        except VersionRefused:
            continue
        needed = versions.needed(kept)
        pointers = [publications.pointer(number) for number in publications.pointers.numbers()]
        assert needed == naive_needed(pointers, kept)
        remove(folders, *(set(versions.retained()) - needed))
        assert {current(folders), came_from} <= set(versions.retained()) and set(
            versions.retained()
        ) == needed
        held = versions.held()
        assert held is None or held in needed
