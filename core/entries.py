"""An append-only log of small JSON entries in a folder: create-if-absent of the next number, no change."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from core.durability import sync
from core.errors import EntryTaken, FormatRefused

FORMAT = 1


class EntryLog:
    """Numbered entries, from 1. An entry is whole or absent, whatever is killed when."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, number: int, entry: Mapping[str, Any]) -> None:
        """Create entry `number`; raises `EntryTaken` if somebody did, and then changes nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{uuid4().hex}"
        try:
            _write_through(draft, json.dumps({"format": FORMAT, **entry}, sort_keys=True))
            os.link(draft, self._path(number))
        except FileExistsError as error:
            raise EntryTaken(
                f"entry {number} of {self.folder.name} exists; read it and try the next"
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        sync(self.folder)

    def read(self, number: int) -> dict[str, Any]:
        """Entry `number`; raises `FileNotFoundError` or `FormatRefused`."""
        path = self._path(number)
        try:
            entry: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as error:
            raise FormatRefused(
                f"{path} is torn or not JSON; restore it, for entries are never rewritten"
            ) from error
        if entry.pop("format", None) != FORMAT:
            raise FormatRefused(f"{path} has another format than {FORMAT}; use the release that wrote it")
        return entry

    def numbers(self) -> list[int]:
        """All numbers there are, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.stem) for path in self.folder.glob("*.json"))

    def latest(self) -> int:
        """The newest number; 0 if there is none."""
        return max(self.numbers(), default=0)

    def following(self, number: int) -> list[int]:
        """The numbers after `number`, found without listing the folder."""
        found = []
        while self._path(number + 1).exists():
            number += 1
            found.append(number)
        return found

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:020d}.json"


def _write_through(path: Path, text: str) -> None:
    path.write_text(text)
    sync(path)
