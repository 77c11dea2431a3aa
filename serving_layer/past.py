"""Questions about the past: a retained version, a cut, or a vector of offsets, as parameters of a question.

version=3                    the batch views of that version
as_of_cut=12                 every record below cut 12
as_of_offsets=0:123,1:456    every record below these offsets; a partition that is not named stands at 0
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.cuts import Offsets
from serving_layer.problems import Problem

__all__ = ["PARAMETERS", "Past", "take_past"]

PARAMETERS = ("version", "as_of_cut", "as_of_offsets")
_WHOLE = re.compile(r"[0-9]{1,18}")
_OFFSET = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
Given = list[tuple[str, str]]


@dataclass(frozen=True)
class Past:
    """A moment of the log that is asked about: exactly one of these is given."""

    version: int | None = None
    cut: int | None = None
    offsets: Offsets | None = None

    @property
    def field(self) -> str:
        """The parameter that names it."""
        return next(
            name for name, held in zip(PARAMETERS, (self.version, self.cut, self.offsets), strict=True)
            if held is not None
        )  # fmt: skip

    @property
    def text(self) -> str:
        """Its value, as a question has it."""
        if self.offsets is not None:
            return ",".join(f"{partition}:{offset}" for partition, offset in sorted(self.offsets.items()))
        return str(self.cut if self.version is None else self.version)


def take_past(given: Iterable[tuple[str, str]]) -> tuple[Past | None, Given]:
    """The moment that parameters ask about, None for now, and the other parameters.

    Raises `Problem`, which names the parameter, its value and what is allowed.
    """
    asked, others = list[tuple[str, str]](), Given()
    for name, value in given:
        (asked if name in PARAMETERS else others).append((name, value))
    if not asked:
        return None, others
    if len(asked) > 1:
        name, value = asked[1]
        raise Problem.of_field("bad-past", name, value, f"one of {', '.join(PARAMETERS)}, once")
    return _past(*asked[0]), others


def _past(name: str, value: str) -> Past:
    if name == "as_of_offsets":
        return Past(offsets=_offsets(name, value))
    if not _WHOLE.fullmatch(value) or (name == "version" and int(value) == 0):
        raise Problem.of_field("bad-past", name, value, f"a whole number from {int(name == 'version')} on")
    return Past(version=int(value)) if name == "version" else Past(cut=int(value))


def _offsets(name: str, value: str) -> dict[int, int]:
    found = [_OFFSET.fullmatch(part) for part in value.split(",")]
    offsets = {int(each[1]): int(each[2]) for each in found if each}
    if len(offsets) < len(found):
        raise Problem.of_field(
            "bad-past", name, value, "partition:offset, such as 0:123,1:456, each partition once"
        )
    return offsets
