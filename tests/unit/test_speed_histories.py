"""Which version tells corrections of the events that the speed state does not hold."""

import hashlib
import json
import shutil
from io import StringIO
from pathlib import Path

import pytest

from batch_layer.event_index import write_file
from core.chains import CHAINS_FOLDER, Link, chain_digest, chain_file, chain_part
from core.folders import Folders
from core.logs import Logger
from core.manifest import Manifest
from speed_layer.event_chains import History
from speed_layer.histories import Histories

FILES, OWN = 2, "own"


@pytest.fixture
def said() -> StringIO:
    return StringIO()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, "orders")


@pytest.fixture
def histories(folders: Folders, said: StringIO) -> Histories:
    return Histories(folders, OWN, Logger("speed", stream=said))


def publish(folders: Folders, boundary: int, semantics: str = OWN, kind: str = "publish") -> Manifest:
    """A version whose chains say at which boundary it was made."""
    publications = folders.publications()
    version, event = publications.next_version(), chain_digest(0, "a")
    folder = folders.index(version) / CHAINS_FOLDER
    folder.mkdir(parents=True)
    link = Link(boundary, event, None, False, b"").pack()
    rows = {chain_part(event, FILES): [(event, False, link)]}
    files = {
        f"{CHAINS_FOLDER}/{chain_file(part)}": write_file(folder / chain_file(part), rows.get(part, ()))
        for part in range(FILES)
    }
    manifest = Manifest(version, "orders", boundary, {}, "c", "t", 0, semantics, "now", index=files)
    publications.manifests.append(version, manifest.entry())
    publications.publish(manifest, publications.current(), kind, "now")
    return manifest


def seen(found: History | None) -> int | None:
    """The boundary of the version that was found."""
    if found is None:
        return None
    link = found.look([chain_digest(0, "a"), chain_digest(1, "a")])[chain_digest(0, "a")].link
    return link.offset if link else None


def test_before_the_first_publish_there_is_none(histories: Histories) -> None:
    assert histories.covering(1) is None


def test_the_version_that_readers_use_is_taken_if_it_reaches_far_enough(
    folders: Folders, histories: Histories
) -> None:
    publish(folders, 3)
    assert seen(histories.covering(3)) == 3 and histories.covering(4) is None
    publish(folders, 5)
    assert seen(histories.covering(4)) == 5


def test_after_a_roll_back_the_older_one_is_taken(folders: Folders, histories: Histories) -> None:
    first = publish(folders, 3)
    publish(folders, 5)
    assert seen(histories.covering(3)) == 5
    publications = folders.publications()
    publications.publish(first, publications.current(), "rollback", "now")
    assert seen(histories.covering(3)) == 3


def test_a_version_of_other_definitions_leaves_the_last_one_in_use(
    folders: Folders, histories: Histories
) -> None:
    publish(folders, 3)
    assert seen(histories.covering(3)) == 3
    publish(folders, 5, "other")
    assert seen(histories.covering(3)) == 3 and histories.covering(5) is None
    shutil.rmtree(folders.index(1))
    assert histories.covering(3) is None


def test_a_damaged_version_is_not_used_and_that_is_said(
    folders: Folders, histories: Histories, said: StringIO
) -> None:
    publish(folders, 3)
    assert seen(histories.covering(3)) == 3
    damaged = publish(folders, 5)
    path = folders.index(damaged.version) / CHAINS_FOLDER / chain_file(0)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert hashlib.sha256(path.read_bytes()).hexdigest() not in damaged.index.values()
    assert seen(histories.covering(3)) == 3
    path.unlink()
    assert seen(histories.covering(3)) == 3
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert {line["event"] for line in lines} == {"history_damaged"}
    assert lines[0]["files"] == [f"{CHAINS_FOLDER}/{chain_file(0)}"]
