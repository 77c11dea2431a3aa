"""What is lost and not accepted, from a ledger, a registry and a log."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from batch_layer.ledger import Chunk
from batch_layer.log import KafkaLog
from batch_layer.losses import pending
from core.errors import ForeignLog
from core.folders import Folders
from core.losses import Gap
from core.topics import LogIdentity

IDENTITY = LogIdentity("cluster", "orders", "topic")


class FakeLog(KafkaLog):
    def __init__(self, begin: dict[int, int], identity: LogIdentity = IDENTITY) -> None:
        self.topic, self._begin, self._identity = identity.topic, begin, identity

    def identity(self) -> LogIdentity:
        return self._identity

    def begin(self) -> dict[int, int]:
        return self._begin


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """A log that began at 3 and 0, and was archived up to 5 and 2."""
    folders = Folders(tmp_path, "orders")
    folders.losses().origin(IDENTITY, {0: 3, 1: 0})
    chunk = Chunk(
        "orders", 1, {0: 3, 1: 0}, {0: 5, 1: 2}, {0: 2, 1: 2}, {0: 2, 1: 2}, "cluster", "topic", "contract"
    )
    (folders.master / "_delta_log").mkdir(parents=True)
    commit = {"commitInfo": {"userMetadata": chunk.to_json()}}
    (folders.master / "_delta_log" / f"{0:020d}.json").write_text(json.dumps(commit))
    return folders


def test_what_was_archived_before_it_was_dropped_is_not_lost(folders: Folders) -> None:
    assert pending(folders, FakeLog({0: 5, 1: 2})) == []


def test_what_was_never_archived_is_lost_until_it_is_accepted(folders: Folders) -> None:
    log = FakeLog({0: 9, 1: 2, 2: 4})
    assert pending(folders, log) == [Gap(0, 5, 9), Gap(2, 0, 4)]
    folders.losses().accept(pending(folders, log), "now", "")
    assert pending(folders, log) == []
    assert pending(folders, FakeLog({0: 11, 1: 3, 2: 4})) == [Gap(0, 9, 11), Gap(1, 2, 3)]


def test_what_another_log_lacks_is_not_accepted(folders: Folders) -> None:
    with pytest.raises(ForeignLog):
        pending(folders, FakeLog({0: 9}, replace(IDENTITY, topic_id="new")))
