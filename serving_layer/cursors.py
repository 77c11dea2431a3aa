"""Cursors: where the next page of a listing begins, as a text that means nothing to a client.

A page begins behind a key, in the order of the index, so that a publish between two pages moves nothing: keys
stay where they are in that order, whichever layer holds them. Persons alone move, as pairs of ids come.
"""

import base64
import binascii
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from serving_layer.problems import Problem

__all__ = ["Cursor", "digest_of", "parse_cursor"]

_HEAD = struct.Struct("<BIQ")  # format, digest of the question, version of the first page
_FORMAT = 1
_SUM = struct.Struct("<I")
_ALLOWED = "what the page before answered as its cursor, with the same parameters otherwise"


@dataclass(frozen=True)
class Cursor:
    """Behind which key a page begins (its `index_text`); `version` is what the first page was read from."""

    question: int
    version: int
    after: bytes

    @property
    def text(self) -> str:
        raw = _HEAD.pack(_FORMAT, self.question, self.version) + self.after
        return base64.urlsafe_b64encode(raw + _SUM.pack(crc32(raw))).decode().rstrip("=")


def digest_of(view: str, given: Iterable[tuple[str, str]]) -> int:
    """Stands for everything that pages of one listing have in common."""
    return crc32(repr((view, sorted(given))).encode())


def parse_cursor(text: str, question: int) -> Cursor:
    """Raises `Problem` unless it is a cursor of this very question."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        (checksum,) = _SUM.unpack(raw[-_SUM.size :])
        form, of, version = _HEAD.unpack_from(raw)
    except (binascii.Error, struct.error, ValueError):
        raise _bad(text, "is no cursor") from None
    if checksum != crc32(raw[: -_SUM.size]) or form != _FORMAT:
        raise _bad(text, "is damaged, or of another release")
    if of != question:
        raise _bad(text, "belongs to another question")
    return Cursor(of, version, raw[_HEAD.size : -_SUM.size])


def _bad(text: str, why: str) -> Problem:
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    return Problem.of_field("bad-cursor", "cursor", text, _ALLOWED, f"cursor {shown!r} {why}: {_ALLOWED}")
