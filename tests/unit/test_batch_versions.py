"""The commands about versions, as an operator runs them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_layer.versions import main
from conf.settings import Settings
from core.application import Application
from core.folders import Folders
from core.manifest import Manifest

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    bound = Application.load(settings.application, settings.contracts_dir).source()
    semantics, folders = bound.semantics(settings.dedupe_window), Folders(tmp_path, bound.source.name)
    publications = folders.publications()
    for version in (1, 2, 3):
        meaning = "other" if version == 1 else semantics
        manifest = Manifest(
            version, folders.source, version, {0: version}, "c", "t", 1, meaning, NOW.isoformat(),
            counts={"counted": version * 1000},
        )  # fmt: skip
        folders.index(version).mkdir(parents=True)
        publications.manifests.append(version, manifest.entry())
        publications.publish(manifest, publications.current(), "publish", NOW.isoformat())
    return settings


def run(settings: Settings, *arguments: str) -> int:
    return main(arguments, settings, lambda: NOW)


def words(text: str) -> list[Sequence[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_list_shows_every_version_and_which_one_readers_use(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(settings, "list") == 0
    assert words(capsys.readouterr().out) == [
        ["wikipedia.edits"],
        ["version", "boundary", "published", "mode", "events", "files", "definitions"],
        ["->", "3", "3", "2026-01-01T12:00:00", "full", "3000", "retained", "these"],
        ["2", "2", "2026-01-01T12:00:00", "full", "2000", "retained", "these"],
        ["1", "1", "2026-01-01T12:00:00", "full", "1000", "retained", "others"],
    ]
    assert run(settings, "list", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["source"] for one in told} == {"wikipedia.edits"}
    assert [(one["version"], one["current"]) for one in told] == [(3, True), (2, False), (1, False)]


def test_a_roll_back_says_what_follows_from_it(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(settings, "rollback", "2") == 0
    out = capsys.readouterr().out
    assert "readers of wikipedia.edits use version 2, up to cut 2" in out
    assert "scheduled runs publish nothing while readers use an older version than 3" in out
    assert run(settings, "rollback", "1") == 0
    assert "made by other definitions" in capsys.readouterr().out
    assert run(settings, "list") == 0
    assert "scheduled runs publish nothing" in capsys.readouterr().out
    assert run(settings, "rollforward") == 0
    assert capsys.readouterr().out == "readers of wikipedia.edits use version 3, up to cut 3\n"


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        (["rollback", "7"], "there is no version 7. Retained are: 1, 2, 3"),
        (["rollback", "3"], "roll forward"),
        (["rollforward"], "readers use version 3 already"),
        (["rollback", "1", "--source", "wikipedia.edit"], "did you mean 'wikipedia.edits'"),
    ],
)
def test_what_cannot_be_is_one_line_and_status_1(
    settings: Settings, capsys: pytest.CaptureFixture[str], arguments: list[str], about: str
) -> None:
    assert run(settings, *arguments) == 1
    told = capsys.readouterr()
    assert about in told.err and told.err.count("\n") == 1 and not told.out


def test_before_the_first_publish_the_list_says_where_it_looked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Settings(data_dir=tmp_path / "new"), "list") == 0
    assert f"nothing was published yet in {tmp_path / 'new'} (LAMBDA_DATA_DIR" in capsys.readouterr().out
