"""Manifest, then pointer; and which index folders stay."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_layer.publish import clean, publish
from core.errors import EntryTaken
from core.folders import Folders
from core.logs import get_logger
from core.manifest import Manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def manifest(version: int, boundary: int = 0) -> Manifest:
    return Manifest(version, "s", boundary, {}, "cluster", "topic", 0, "hash", NOW.isoformat())


def publish_next(folders: Folders) -> None:
    publications = folders.publications()
    version = publications.next_version()
    folders.index(version).mkdir(parents=True)
    publish(publications, manifest(version), publications.current(), NOW)


def kept(folders: Folders) -> list[int]:
    return sorted(int(path.name) for path in folders.index(0).parent.iterdir() if path.name.isdigit())


def test_readers_see_a_manifest_once_the_pointer_names_it(tmp_path: Path) -> None:
    publications = Folders(tmp_path, "s").publications()
    publications.manifests.append(1, manifest(1).entry())
    assert publications.resolve() is None
    publish(publications, manifest(2), None, NOW)
    assert publications.resolve() == manifest(2)


def test_of_two_publishers_with_one_parent_the_second_changes_nothing(tmp_path: Path) -> None:
    publications = Folders(tmp_path, "s").publications()
    publish(publications, manifest(1), None, NOW)
    with pytest.raises(EntryTaken):
        publish(publications, manifest(2), None, NOW)
    assert publications.resolve() == manifest(1)


def test_the_newest_indexes_stay_and_older_ones_go(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "s")
    for _ in range(6):
        publish_next(folders)
    clean(folders, 3, get_logger("test"))
    assert kept(folders) == [4, 5, 6]


def test_the_index_that_readers_rolled_back_to_stays(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "s")
    for _ in range(4):
        publish_next(folders)
    publications = folders.publications()
    publications.publish(manifest(1), publications.current(), "rollback", NOW.isoformat())
    clean(folders, 2, get_logger("test"))
    assert kept(folders) == [1, 3, 4]


def test_what_crashed_runs_left_is_removed(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "s")
    publish_next(folders)
    folders.index(7).mkdir()
    (folders.index(0).parent / ".building-7-abc").mkdir()
    clean(folders, 2, get_logger("test"))
    assert [path.name for path in folders.index(0).parent.iterdir()] == [folders.index(1).name]
