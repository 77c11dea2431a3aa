"""The versions API over real files: readers are moved, and moves that cannot be are problems."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.state import manifest_of, publish
from conf.settings import Settings
from core.folders import Folders
from serving_layer.app import create_app
from serving_layer.snapshots import Watch
from tests.serving_kit import (
    BOUND,
    KEY,
    SEMANTICS,
    AppClient,
    FakeLog,
    FakeSpeed,
    buckets_of,
    edit,
    services,
    silent_logger,
)  # fmt: skip

SOURCE = BOUND.source.name
PATH = f"/v1/versions/{SOURCE}"


class Stand:
    """An app over three published versions, each with one more edit, and a speed layer that says nothing."""

    def __init__(self, tmp_path: Path) -> None:
        self.folders = Folders(tmp_path, SOURCE)
        for version in (1, 2, 3):
            self.publish(version)
        self.watch = Watch(self.folders, SEMANTICS, silent_logger())
        settings = Settings(data_dir=tmp_path)
        self.client = AppClient(create_app(settings, services(self.watch, FakeSpeed(), FakeLog(), settings)))

    def publish(self, version: int, **changes: Any) -> None:
        edits = [edit(number) for number in range(version)]
        views = [(view, buckets_of(view, edits)) for view in BOUND.views.values()]
        manifest = replace(manifest_of(SOURCE, SEMANTICS, version, version), **changes)
        publish(self.folders, manifest, views)

    def post(self, path: str, key: str = KEY, **options: Any) -> tuple[int, dict[str, Any]]:
        answer = self.client.request("POST", path, headers={"X-Admin-Key": key}, **options)
        return answer.status_code, answer.json()

    def listed(self) -> dict[str, Any]:
        (source,) = self.client.get("/v1/versions").json()["sources"]
        found: dict[str, Any] = source
        return found

    def edits(self) -> int:
        self.watch.look()
        return int(self.client.get("/v1/views/wiki").json()["rows"][0]["batch"]["edits"])


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    with stand.client:
        yield stand


def test_versions_are_listed_with_the_one_that_readers_use(stand: Stand) -> None:
    told = stand.listed()
    assert (told["source"], told["held_back_from"]) == (SOURCE, None)
    assert [(one["version"], one["current"], one["retained"]) for one in told["versions"]] == [
        (3, True, True), (2, False, True), (1, False, True),
    ]  # fmt: skip


def test_answers_come_from_the_version_that_readers_were_moved_to(stand: Stand) -> None:
    assert stand.edits() == 3
    status, told = stand.post(f"{PATH}/rollback", json={"version": 1})
    assert (status, told["pointer"]["kind"], told["pointer"]["version"]) == (200, "rollback", 1)
    assert told["held_back_from"] == stand.listed()["held_back_from"] == 3
    assert stand.edits() == 1
    assert stand.post(f"{PATH}/rollforward", json={"version": 2})[1]["pointer"]["version"] == 2
    assert stand.edits() == 2
    status, told = stand.post(f"{PATH}/rollforward")
    assert (told["pointer"]["kind"], told["pointer"]["version"]) == ("rollforward", 3)
    assert told["held_back_from"] is None and stand.edits() == 3


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        (f"{PATH}/rollback", b'{"version": 7}', 404, "unknown-version"),
        (f"{PATH}/rollback", b'{"version": 3}', 409, "version-refused"),
        (f"{PATH}/rollforward", b"", 409, "version-refused"),
        (f"{PATH}/rollback", b"", 400, "bad-version"),
        (f"{PATH}/rollback", b'{"version": 0}', 400, "bad-version"),
        (f"{PATH}/rollback", b'{"version": true}', 400, "bad-version"),
        (f"{PATH}/rollback", b'{"version": 1, "force": 1}', 400, "bad-version"),
        (f"{PATH}/rollback", b"[1]", 400, "bad-version"),
        (f"{PATH}/rollback", b"{", 400, "bad-json"),
        (f"{PATH}/rollback", b" " * 2000, 413, "too-large"),
        ("/v1/versions/wikipedia.edit/rollback", b'{"version": 1}', 404, "unknown-source"),
    ],
)
def test_a_move_that_cannot_be_is_a_problem(
    stand: Stand, path: str, body: bytes, status: int, kind: str
) -> None:
    found, problem = stand.post(path, content=body)
    assert (found, problem["type"]) == (status, f"/problems#{kind}")
    assert [one["current"] for one in stand.listed()["versions"]] == [True, False, False]


def test_a_problem_names_the_versions_that_readers_can_be_moved_to(stand: Stand) -> None:
    stand.folders.index_file(1, "wiki", 0).unlink()
    status, problem = stand.post(f"{PATH}/rollback", json={"version": 1})
    assert (status, problem["value"], problem["allowed"]) == (409, 1, [2, 3])
    assert "LAMBDA_VERSIONS_KEPT" in problem["detail"]


def test_moving_readers_needs_the_admin_key(stand: Stand) -> None:
    for move in ("rollback", "rollforward"):
        status, problem = stand.post(f"{PATH}/{move}", key="guess", json={"version": 1})
        assert (status, problem["type"]) == (401, "/problems#admin-key-needed")


def test_a_version_of_other_definitions_is_not_read_and_answers_say_so(stand: Stand) -> None:
    stand.publish(4, semantics="former")
    stand.publish(5)
    assert stand.edits() == 5
    stand.post(f"{PATH}/rollback", json={"version": 4})
    stand.watch.look()
    told = stand.client.get("/v1/views/wiki").json()
    assert (told["rows"][0]["batch"], told["manifest"], told["complete"]) == (None, None, False)
    assert "version 4 was made by other definitions" in told["reasons"][0]


def test_answers_show_what_was_accepted_as_lost(stand: Stand) -> None:
    loss = {"partition": 0, "start": 5, "end": 9, "at": "2026-01-01T00:00:00Z", "note": "a full disk"}
    stand.publish(4, losses=(loss,))
    stand.watch.look()
    assert stand.client.get("/v1/views/wiki").json()["manifest"]["losses"] == [loss]
    assert stand.listed()["versions"][0]["losses"] == [loss]
