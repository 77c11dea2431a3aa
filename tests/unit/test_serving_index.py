"""The index as it is read, and the watch over publishes."""

import asyncio
import gc
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batch_layer.event_index import write_file
from bench.state import manifest_of, publish, write_view
from core.buckets import Run
from core.chains import CHAINS_FOLDER, Chain, Link, chain_digest, chain_file, chain_part
from core.folders import Folders
from core.layout import VISITS
from core.manifest import Manifest
from core.visits import Visit, Visits, user_key
from serving_layer.index import open_index
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


def test_a_version_tells_of_users_and_of_events_what_was_indexed(folders: Folders) -> None:
    pages = Visits(carry=["page"]).bind({"user": "string", "page": "string"})
    held = {f"u{n}": Visit(n, n + 5, n % 2 == 0, (f"page {n}",)) for n in range(20)}
    rows = [(user_key(user), 0, 0, pages.pack(visit)) for user, visit in held.items()]
    digests = [chain_digest(0, f"e{n}") for n in range(20)]
    links = {each: Link(n, each, None, False, b"v") for n, each in enumerate(digests)}
    folder = folders.index(1)
    index = write_view(folder, VISITS, rows)
    (folder / CHAINS_FOLDER).mkdir()
    for part in range(3):
        mine = [each for each in digests if chain_part(each, 3) == part]
        entries = sorted((each, False, links[each].pack()) for each in mine)
        name = f"{CHAINS_FOLDER}/{chain_file(part)}"
        index[name] = write_file(folder / name, entries)
    manifest = replace(manifest_of(BOUND.source.name, SEMANTICS, 1, 1), index=index)
    opened = open_index(folder, manifest)
    assert opened.visits(pages, [*held, "nobody"]) == held
    assert opened.chains([*digests, chain_digest(1, "e0")]) == {each: Chain(links[each]) for each in digests}


def test_chains_that_are_not_the_manifests_or_not_there_are_not_read(folders: Folders) -> None:
    folder, name = folders.index(1), f"{CHAINS_FOLDER}/{chain_file(0)}"
    (folder / CHAINS_FOLDER).mkdir(parents=True)
    write_file(folder / name, ())
    wrong = replace(manifest_of(BOUND.source.name, SEMANTICS, 1, 1), index={name: "0" * 64})
    with pytest.raises(IndexBroken, match="has checksum"):
        open_index(folder, wrong).chains([b"x" * 16])
    without = replace(wrong, version=2, index={})
    with pytest.raises(IndexBroken, match="version 2 holds no chains of events: publish again"):
        open_index(folders.index(2), without).chains([b"x" * 16])
    with pytest.raises(IndexBroken, match="holds no view '_visits': publish again"):
        open_index(folders.index(2), without).visits(Visits().bind({"user": "string"}), ["u"])
