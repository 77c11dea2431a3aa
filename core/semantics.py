"""One hash of everything that changes a meaning: rule 3 of the hand-off contract."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.declarations import Declaration
from core.packing import FORMAT
from core.views import View

SEMANTIC_VERSION = 1  # raise it when code changes what a number means


@dataclass(frozen=True)
class Meaning:
    """What a version's numbers mean: one hash of all of it, and the parts by which a change is named.

    `definitions` has a hash for each view and what its source declares. What is in neither part is the dedupe
    window and the code.
    """

    semantics: str
    contract: str
    definitions: Mapping[str, str]


def meaning_of(
    views: Iterable[View], contract: str, dedupe_window: int, declares: Iterable[Declaration] = ()
) -> Meaning:
    """The meaning of views under a contract, which is given by its fingerprint."""
    known, declared = list(views), list(declares)
    definitions = {view.name: _hash(view.meaning | _declared(declared)) for view in known}
    return Meaning(semantics_hash(known, contract, dedupe_window, declared), contract, definitions)


def semantics_hash(
    views: Iterable[View], contract: str, dedupe_window: int, declares: Iterable[Declaration] = ()
) -> str:
    """Sixteen hex digits over definitions, contract fingerprint, dedupe window and fixed rules."""
    meaning = _declared(declares) | {
        "views": sorted((view.meaning for view in views), key=lambda view: str(view["name"])),
        "contract": contract,
        "dedupe_window": dedupe_window,
        "time_zone": "UTC",
        "ansi": True,
        "packing": FORMAT,
        "code": SEMANTIC_VERSION,
    }
    return _hash(meaning)


def _declared(declares: Iterable[Declaration]) -> dict[str, Any]:
    """Nothing where nothing is declared, so that hashes of such sources stay what they were."""
    meanings = sorted(([type(one).__name__, one.meaning] for one in declares), key=json.dumps)
    return {"declares": meanings} if meanings else {}


def _hash(meaning: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
