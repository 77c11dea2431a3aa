"""`python -m local.fetch`: the jars of conf/ivy.xml into {cache_dir}/jars, by the Ivy that pyspark ships.

What is there already is not fetched again: a stamp holds the digest of conf/ivy.xml.
"""

import hashlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from conf.settings import ROOT, Settings, get_settings
from core.errors import LambdaError
from core.leases import hold
from local.errors import LocalError
from local.tools import java, spark_home

__all__ = ["FetchError", "fetch", "jars"]

IVY = ROOT / "conf" / "ivy.xml"
IVY_SETTINGS = ROOT / "conf" / "ivysettings.xml"
PATTERN = "[conf]/[artifact]-[revision](-[classifier]).[ext]"
ATTEMPTS = 4
CLASSIFIER = "{http://ant.apache.org/ivy/maven}classifier"


class FetchError(LocalError):
    """Ivy did not get everything. Keeps what is missing."""

    def __init__(self, missing: list[str], said: str) -> None:
        super().__init__(
            f"{len(missing)} jars could not be fetched, the first is {missing[0]}.\n{said}\n"
            "Check the network, or point conf/ivysettings.xml at a mirror, then try again: what came is kept."
        )
        self.missing = missing


def jars(settings: Settings, conf: str) -> list[Path]:
    """The jars of one configuration of conf/ivy.xml ("spark", "kafka", "data"). Raises FetchError."""
    wanted = [settings.jars_dir / name for name in _expected(IVY) if name.startswith(conf + "/")]
    missing = [str(path) for path in wanted if not path.is_file()]
    if missing:
        raise FetchError(missing, "Run `make setup` first.")
    return wanted


def fetch(settings: Settings) -> bool:
    """Fetches what is missing; False if nothing was. Safe to run twice at once. Raises FetchError."""
    with hold(settings.cache_dir / "jars.lock", "another set-up", patient=True):
        digest = _digest(IVY)
        stamp = settings.jars_dir / ".stamp"
        if not _missing(settings.jars_dir) and stamp.is_file() and stamp.read_text() == digest:
            return False
        _retrieve_patiently(settings)
        stamp.write_text(digest)
        return True


def _retrieve_patiently(settings: Settings) -> None:
    # a registry may answer "not found" for an artifact that it has not seen yet, and have it a minute later
    for attempt in range(ATTEMPTS):
        if attempt:
            print(f"jars: not all came, trying again ({attempt + 1} of {ATTEMPTS})", flush=True)
            time.sleep(5 * attempt)
        said = _retrieve(settings)
        missing = _missing(settings.jars_dir)
        if not missing:
            return
    raise FetchError(missing, said)


def _retrieve(settings: Settings) -> str:
    """One run of Ivy; gives the end of what it said."""
    command = [
        java(), "-cp", str(_ivy_jar()), "org.apache.ivy.Main",
        "-settings", str(IVY_SETTINGS), "-ivy", str(IVY), "-cache", str(settings.cache_dir / "ivy"),
        "-retrieve", str(settings.jars_dir / PATTERN), "-sync",
    ]  # fmt: skip
    total, done, lines = len(_expected(IVY)), 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if "[SUCCESSFUL ]" in line:
                done += 1
                print(f"jars: {done}/{total} {line.split(']', 1)[1].split('!')[-1].strip()}", flush=True)
    return "\n".join(line for line in lines if "::" in line)[-2000:]


def _expected(ivy: Path) -> list[str]:
    """The files that a complete folder holds, such as kafka/kafka_2.13-4.2.1.jar."""
    return list(_names(ElementTree.parse(ivy).getroot()))


def _names(root: ElementTree.Element) -> Iterator[str]:
    for dependency in root.iter("dependency"):
        conf = dependency.attrib["conf"].split("->")[0]
        artifact = dependency.find("artifact")
        classifier = "" if artifact is None else "-" + artifact.attrib[CLASSIFIER]
        yield f"{conf}/{dependency.attrib['name']}-{dependency.attrib['rev']}{classifier}.jar"


def _missing(folder: Path) -> list[str]:
    return [name for name in _expected(IVY) if not (folder / name).is_file()]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _ivy_jar() -> Path:
    return next((spark_home() / "jars").glob("ivy-*.jar"))


def main() -> int:
    try:
        settings = get_settings()
        fetched = fetch(settings)
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"jars: {'ready' if fetched else 'nothing to fetch'} ({settings.jars_dir})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
