"""Retained versions beside the one that readers use: opened once, closed when they are gone."""

import gc
from pathlib import Path
from shutil import rmtree

import pytest

from core.buckets import Run
from serving_layer.index import open_index
from serving_layer.ports import Snapshot
from serving_layer.problems import Problem
from serving_layer.retained import Retained
from serving_layer.snapshots import Watch
from tests.master_kit import Master
from tests.serving_kit import BOUND, SEMANTICS, edit, silent_logger

VIEW = BOUND.view("edits_by_channel")
KEY = VIEW.key_of({"channel": "#en.wikipedia"})
DAY = [Run(86_400, 1_442_016_000, 1_442_016_000 + 86_400)]


@pytest.fixture
def master(tmp_path: Path) -> Master:
    """Versions at the first and the second cut."""
    made = Master(tmp_path)
    for number in range(2):
        made.append([edit(number)], [])
        made.publish(made.cut())
    return made


def edits(snapshot: Snapshot) -> int:
    assert snapshot.index is not None
    return sum(int(held[0]) for _, held in snapshot.index.read(VIEW, KEY, DAY))


def test_the_version_in_use_and_the_same_one_asked_for_are_one_index(master: Master) -> None:
    watch, retained = Watch(master.folders, SEMANTICS, silent_logger()), Retained(master.folders, SEMANTICS)
    watch.look()
    assert retained.version(2).index is watch.current().index
    assert [edits(retained.version(number)) for number in (1, 2)] == [1, 2]


def test_an_index_that_nobody_holds_is_opened_anew(master: Master) -> None:
    manifest = master.folders.publications().manifest(1)
    first = open_index(master.folders.index(1), manifest)
    assert open_index(master.folders.index(1), manifest) is first
    del first
    gc.collect()
    (master.folders.index(1) / next(iter(manifest.index))).write_bytes(b"damaged")
    retained = Retained(master.folders, SEMANTICS)
    assert retained.newest({0: 1}).index is None
    assert edits(retained.newest({0: 9})) == 2


def test_the_newest_version_below_a_position_is_taken(master: Master) -> None:
    retained = Retained(master.folders, SEMANTICS)
    found = [retained.newest({0: offset}).manifest for offset in range(4)]
    assert [each and each.version for each in found] == [None, 1, 2, 2]
    bounded = retained.newest({0: 9}, lambda manifest: manifest.boundary <= 1).manifest
    assert bounded is not None and bounded.version == 1


def test_a_version_that_is_gone_is_not_held_open(master: Master) -> None:
    retained = Retained(master.folders, SEMANTICS)
    assert retained.version(1).index is not None
    rmtree(master.folders.index(1))
    with pytest.raises(Problem) as caught:
        retained.version(1)
    assert (caught.value.status, caught.value.extensions["allowed"]) == (409, [2])
    assert list(retained._open) == []


def test_a_version_of_other_definitions_is_none_of_those_there_are(master: Master) -> None:
    other = Retained(master.folders, "other")
    assert other.newest({0: 9}).manifest is None
    with pytest.raises(Problem, match="made by other definitions"):
        other.version(1)
