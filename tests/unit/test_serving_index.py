"""The index as it is read, and the watch over publishes."""

import asyncio
import gc
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.state import manifest_of, publish
from core.buckets import Run
from core.folders import Folders
from core.manifest import Manifest
from serving_layer.ports import IndexBroken
from serving_layer.snapshots import Watch
from tests.serving_kit import BOUND, DAY, SEMANTICS, buckets_of, edit, place, silent_logger

VIEWS = list(BOUND.views.values())
PAGE = BOUND.view("edits_by_page")
HOURS = [Run(3600, DAY, DAY + 86_400)]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, BOUND.source.name)


@pytest.fixture
def watch(folders: Folders) -> Watch:
    return Watch(folders, SEMANTICS, silent_logger())


def put(
    folders: Folders, version: int, events: list[dict[str, Any]], boundary: int = 1, **changes: Any
) -> Manifest:
    manifest = replace(manifest_of(BOUND.source.name, SEMANTICS, boundary, version), **changes)
    publish(folders, manifest, [(view, buckets_of(view, events)) for view in VIEWS])
    return folders.publications().manifest(version)


def edits(watch: Watch, event: dict[str, Any]) -> int:
    index = watch.current().index
    assert index is not None
    tiles = index.read(PAGE, place(PAGE, event)[0], HOURS)
    return sum(PAGE.present(partial)["edits"] for _, partial in tiles)


def test_a_long_key_is_found_and_told_from_another_with_its_beginning(folders: Folders, watch: Watch) -> None:
    long, longer = edit(1, page="x" * 500), edit(2, page="x" * 499 + "y")
    put(folders, 1, [long, longer, longer])
    watch.look()
    assert (edits(watch, long), edits(watch, longer), edits(watch, edit(3))) == (1, 2, 0)


def test_before_the_first_publish_there_is_no_version(watch: Watch) -> None:
    watch.look()
    assert watch.current().manifest is None and watch.current().boundary == 0


def test_a_publish_is_swapped_in_and_the_old_version_closed(folders: Folders, watch: Watch) -> None:
    put(folders, 1, [edit(1)])
    watch.look()
    held = watch.current()
    put(folders, 2, [edit(1), edit(2)], boundary=2)
    watch.look()
    assert (edits(watch, edit(1)), watch.current().boundary) == (2, 2)
    assert len(held.index.read(PAGE, place(PAGE, edit(1))[0], HOURS)) == 1  # type: ignore[union-attr]
    assert mapped(folders.index(1)) > 0
    del held
    gc.collect()
    assert mapped(folders.index(1)) == 0


def mapped(folder: Path) -> int:
    return Path("/proc/self/maps").read_text().count(str(folder))


def test_a_roll_back_is_followed(folders: Folders, watch: Watch) -> None:
    first = put(folders, 1, [edit(1)])
    put(folders, 2, [edit(1), edit(2)], boundary=2)
    watch.look()
    publications = folders.publications()
    publications.publish(first, publications.current(), "rollback", "2015-09-13T00:00:00+00:00")
    assert asyncio.run(watch.renew()).boundary == 1
    assert edits(watch, edit(1)) == 1


def test_a_version_of_other_definitions_is_not_read(folders: Folders, watch: Watch) -> None:
    put(folders, 1, [edit(1)], semantics="other")
    watch.look()
    assert watch.current().index is None
    assert "other definitions" in watch.current().notes[0]


@pytest.mark.parametrize("restarted", [False, True])
def test_readers_of_replaced_definitions_keep_their_last_version(
    folders: Folders, watch: Watch, restarted: bool
) -> None:
    put(folders, 1, [edit(1)])
    if not restarted:
        watch.look()
    put(folders, 2, [edit(1), edit(2)], semantics="promoted", superseded=(SEMANTICS,))
    watch.look()
    put(folders, 3, [edit(1), edit(2)], boundary=2, semantics="promoted", superseded=(SEMANTICS,))
    watch.look()
    assert (edits(watch, edit(1)), watch.current().boundary) == (1, 1)
    assert "took the place of these definitions" in watch.current().notes[0]


def test_once_the_files_of_replaced_definitions_are_gone_there_is_no_batch_part(
    folders: Folders, watch: Watch
) -> None:
    put(folders, 1, [edit(1)])
    put(folders, 2, [edit(1)], semantics="promoted", superseded=(SEMANTICS,))
    shutil.rmtree(folders.index(1))
    watch.look()
    assert watch.current().manifest is None and "restart" in watch.current().notes[0]


@pytest.mark.parametrize("fault", ["missing", "changed", "cut short"])
def test_a_damaged_file_is_refused_until_it_is_restored(folders: Folders, watch: Watch, fault: str) -> None:
    put(folders, 1, [edit(1)])
    path = folders.index_file(1, "wiki", 0)
    whole = path.read_bytes()
    damaged = {"missing": None, "changed": whole[:-1] + b"?", "cut short": whole[:5000]}[fault]
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    watch.look()
    with pytest.raises(IndexBroken, match=r"wiki/0\.mdb"):
        watch.current()
    path.unlink(missing_ok=True)
    path.write_bytes(whole)
    watch.look()
    assert edits(watch, edit(1)) == 1 and watch.trouble is None


def test_a_damaged_new_version_leaves_the_former_in_use(folders: Folders, watch: Watch) -> None:
    put(folders, 1, [edit(1)])
    watch.look()
    put(folders, 2, [edit(1), edit(2)], boundary=2)
    folders.index_file(2, "wiki", 0).unlink()
    watch.look()
    assert edits(watch, edit(1)) == 1
    assert watch.trouble and "wiki/0.mdb is missing" in watch.trouble


def test_a_view_that_a_version_does_not_hold_is_refused(folders: Folders, watch: Watch) -> None:
    manifest = manifest_of(BOUND.source.name, SEMANTICS, 1)
    publish(folders, manifest, [(BOUND.view("wiki"), {})])
    watch.look()
    with pytest.raises(IndexBroken, match="holds no view 'edits_by_page'"):
        edits(watch, edit(1))
