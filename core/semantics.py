"""One hash of everything that changes a meaning: rule 3 of the hand-off contract."""

import hashlib
import json
from collections.abc import Iterable

from core.packing import FORMAT
from core.views import View

SEMANTIC_VERSION = 1  # raise it when code changes what a number means


def semantics_hash(views: Iterable[View], contract: str, dedupe_window: int) -> str:
    """Sixteen hex digits over definitions, contract fingerprint, dedupe window and fixed rules."""
    meaning = {
        "views": sorted((view.meaning for view in views), key=lambda view: str(view["name"])),
        "contract": contract,
        "dedupe_window": dedupe_window,
        "time_zone": "UTC",
        "ansi": True,
        "packing": FORMAT,
        "code": SEMANTIC_VERSION,
    }
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
