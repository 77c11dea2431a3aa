"""Which archive of classes a driver maps, and where Spark's jars stand."""

from pathlib import Path

import pytest

from conf.settings import Settings
from local import class_archive, class_training
from local.class_archive import archive_of, archive_options
from local.class_training import ArchiveFailed, make
from local.spark import CLASS_PATH, spark_conf

JARS = ("delta.jar", "kafka.jar")


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings whose cache holds two jars of Spark."""
    settings = Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    folder = settings.jars_dir / "spark"
    folder.mkdir(parents=True)
    for name in JARS:
        (folder / name).write_text(name)
    for module in ("local.class_archive", "local.spark"):
        monkeypatch.setattr(f"{module}.jars", lambda *_: [folder / name for name in JARS])
    return settings


def archived(settings: Settings) -> Path:
    archive = archive_of(settings)
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.touch()
    return archive


def test_without_an_archive_a_driver_is_told_of_none(set_up: Settings) -> None:
    assert archive_options(set_up) == []
    assert "SharedArchiveFile" not in spark_conf(set_up, "1g")["spark.driver.extraJavaOptions"]


def test_a_driver_maps_the_archive_of_its_jars_and_says_nothing_where_it_does_not_fit(
    set_up: Settings,
) -> None:
    archive = archived(set_up)
    assert archive_options(set_up) == [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:cds*=off"]
    assert f"-XX:SharedArchiveFile={archive}" in spark_conf(set_up, "1g")["spark.driver.extraJavaOptions"]


def test_an_archive_of_other_jars_is_not_mapped(set_up: Settings) -> None:
    archived(set_up)
    (set_up.jars_dir / "spark" / JARS[0]).write_text("another release")
    assert archive_options(set_up) == []


def test_an_archive_of_another_java_is_not_mapped(set_up: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    archived(set_up)
    another = set_up.cache_dir / "java"
    another.touch()
    monkeypatch.setattr(class_archive, "java", lambda: str(another))
    assert archive_options(set_up) == []


def test_jars_are_on_the_class_path_of_a_local_driver(set_up: Settings) -> None:
    conf = spark_conf(set_up, "1g")
    assert conf[CLASS_PATH].split(":") == [str(set_up.jars_dir / "spark" / name) for name in JARS]
    assert conf["spark.jars"] == ""


def test_jars_are_shipped_to_the_executors_of_a_cluster(set_up: Settings) -> None:
    conf = spark_conf(set_up.model_copy(update={"spark_master": "spark://host:7077"}), "1g")
    assert conf["spark.jars"].split(",") == [str(set_up.jars_dir / "spark" / name) for name in JARS]
    assert CLASS_PATH not in conf


def test_an_archive_is_made_once_and_takes_the_place_of_older_ones(
    set_up: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = archived(set_up)
    (set_up.jars_dir / "spark" / JARS[0]).write_text("another release")
    monkeypatch.setattr(class_training, "_train", lambda _, archive: archive.touch())
    assert make(set_up)
    assert list(older.parent.iterdir()) == [archive_of(set_up)]
    assert not make(set_up)


def test_a_java_that_makes_no_archive_is_named_and_leaves_none(
    set_up: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_training, "_train", lambda *_: None)
    with pytest.raises(ArchiveFailed, match="Spark starts without it"):
        make(set_up)
    assert archive_options(set_up) == []
