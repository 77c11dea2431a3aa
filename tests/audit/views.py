"""The application of the fault suite: some views of the real one, so that a publish takes seconds."""

from conf.definitions import wikipedia

__all__ = ["EDITS", "VIEWS"]

EDITS = wikipedia.EDITS
VIEWS = [view for view in wikipedia.VIEWS if view.name in ("edits_by_channel", "robot_edits", "wiki")]
