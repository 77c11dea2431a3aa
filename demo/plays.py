"""The applications that the demo can play, by name; the first is the one it plays unasked."""

from collections.abc import Mapping

from demo.flights import FLIGHTS
from demo.play import Play
from demo.wikipedia import WIKIPEDIA

__all__ = ["PLAYS", "play_of"]

PLAYS: Mapping[str, Play] = {"wikipedia": WIKIPEDIA, "flights": FLIGHTS}


def play_of(application: str) -> Play:
    """The play of an application by its module; the first one for any that has none."""
    return next((play for play in PLAYS.values() if play.application == application), WIKIPEDIA)
