"""The application with one changed view: robots' edits of articles only."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conf.definitions.wikipedia import EDITS
from conf.definitions.wikipedia import VIEWS as FORMER

__all__ = ["CHANGED", "EDITS", "VIEWS", "counts"]

CHANGED = "robot_edits"

VIEWS = [
    replace(view, where="isRobot and namespace = 'Main'", description="Edits of articles by robots.")
    if view.name == CHANGED
    else view
    for view in FORMER
]


def counts(event: Mapping[str, Any]) -> bool:
    """The changed condition in plain Python."""
    return bool(event["isRobot"]) and event["namespace"] == "Main"
