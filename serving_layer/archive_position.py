"""How far the archive reaches, from the newest commit of the master dataset that says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from core.cuts import offsets_from

__all__ = ["archived"]

_LOOKED_AT = 20  # newest commits; those that add no rows say nothing


def archived(table: Path) -> Mapping[int, int] | None:
    """The first position of each partition that is not archived; None before the first commit."""
    commits = sorted((table / "_delta_log").glob("[0-9]*.json"), reverse=True)[:_LOOKED_AT]
    for commit in commits:
        entry = _said(commit)
        if "archive" in entry:
            return offsets_from(entry["end"])
    return None


def _said(commit: Path) -> Mapping[str, Any]:
    """What the archive wrote into a commit; empty if it is another's."""
    for line in commit.read_bytes().splitlines():
        action = orjson.loads(line)
        if "commitInfo" in action:
            said = orjson.loads(action["commitInfo"].get("userMetadata") or "{}")
            return said if isinstance(said, dict) else {}
    return {}
