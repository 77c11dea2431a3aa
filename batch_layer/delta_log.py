"""What a Delta table's own log says of a commit, read without Spark: metadata, and the files it added."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from core.durability import sync

__all__ = ["AddedFile", "Commit", "commit", "make_durable", "versions"]


@dataclass(frozen=True)
class AddedFile:
    """A data file: its path, the folder values that its rows share, and how many rows it has."""

    path: Path
    values: dict[str, str | None]
    rows: int
    bytes: int


@dataclass(frozen=True)
class Commit:
    """One version of a table."""

    version: int
    metadata: str | None
    added: list[AddedFile] = field(default_factory=list)


def versions(table: Path) -> list[int]:
    """Versions whose commits are still there, in order; empty if there is no table."""
    names = (path.name for path in (table / "_delta_log").glob("*.json"))
    return sorted(int(name[:-5]) for name in names if name[:-5].isdigit())


def commit(table: Path, version: int) -> Commit:
    """Commit `version`; raises FileNotFoundError once Delta cleaned it up."""
    text = (table / "_delta_log" / f"{version:020d}.json").read_text()
    actions = [json.loads(line) for line in text.splitlines()]
    info: dict[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
    added = [_added(table, action["add"]) for action in actions if "add" in action]
    return Commit(version, info.get("userMetadata"), added)


def make_durable(table: Path, of: Commit) -> None:
    """Returns once a commit would outlive a loss of power: Spark leaves that to the operating system."""
    files = [file.path for file in of.added]
    folders = {folder for path in files for folder in path.parents if folder.is_relative_to(table)}
    log = table / "_delta_log"
    for path in (*files, *sorted(folders), log / f"{of.version:020d}.json", log, table.parent):
        sync(path)


def _added(table: Path, action: dict[str, Any]) -> AddedFile:
    rows = json.loads(action.get("stats") or "{}").get("numRecords", 0)
    return AddedFile(
        table / unquote(action["path"]), action["partitionValues"], int(rows), int(action["size"])
    )
