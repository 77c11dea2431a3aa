"""What each publish found when it held the speed state against the log: one record a check, append-only."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from core.entries import EntryLog
from core.equality import Cause, Finding

__all__ = ["Handoff", "Handoffs", "summary"]


@dataclass(frozen=True)
class Handoff:
    """The check of segments `start` to before `boundary`, made for version `version`.

    `reason` says why it was not possible, and is None if it was. `shards` are those that were compared, of
    `of`; `records` are those of the segments, of all shards.
    """

    version: int
    start: int
    boundary: int
    at: str
    generation: str | None = None
    reason: str | None = None
    shards: Sequence[int] = ()
    of: int = 0
    records: int = 0
    seconds: float = 0.0
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def unknown(self) -> list[Finding]:
        """The findings that raise the alarm."""
        return [finding for finding in self.findings if finding.cause == Cause.UNKNOWN]

    @property
    def verdict(self) -> str:
        """not possible, unknown, explained (by duplicates, by their order, or by other persons), or equal."""
        if self.reason is not None:
            return "not possible"
        if self.unknown:
            return "unknown"
        return "explained" if any(finding.cause for finding in self.findings) else "equal"

    def alarm(self) -> str:
        """The first place of each measure that nobody can explain."""
        first = [f"{f.view}.{f.measure} at {f.keys[0]}" for f in self.unknown if f.keys]
        return f"segments {self.start} to {self.boundary - 1} differ from the log: {'; '.join(first)}"

    def entry(self) -> dict[str, Any]:
        plain = asdict(self)
        return {
            "version": plain.pop("version"),
            "from": plain.pop("start"),
            "to": plain.pop("boundary"),
            "possible": self.reason is None,
            "verdict": self.verdict,
            **plain,
        }


class Handoffs:
    """The checks of one source, in the order they were made. A version that was tried again has several."""

    def __init__(self, entries: EntryLog) -> None:
        self._entries = entries
        self._newest = 0

    def append(self, handoff: Handoff) -> dict[str, Any]:
        """Keeps a record; `alarms` counts the unknown differences there were so far, this one included."""
        newest = self.newest()
        alarms = (newest["alarms"] if newest else 0) + (handoff.verdict == "unknown")
        number = self.latest() + 1
        self._entries.append(number, {**handoff.entry(), "alarms": alarms})
        return self.read(number)

    def newest(self) -> dict[str, Any] | None:
        number = self.latest()
        return self.read(number) if number else None

    def read(self, number: int) -> dict[str, Any]:
        return {"number": number, **self._entries.read(number)}

    def following(self, number: int) -> list[dict[str, Any]]:
        """The records after record `number`, in order."""
        return [self.read(each) for each in self._entries.following(number)]

    def last(self, count: int) -> list[dict[str, Any]]:
        """The newest records, the newest first."""
        latest = self.latest()
        return [self.read(number) for number in range(latest, max(0, latest - count), -1)]

    def of_version(self, version: int) -> dict[str, Any] | None:
        """The newest record of a version: versions never fall, so this is a search."""
        low, high = 1, self.latest()
        while low <= high:
            middle = (low + high) // 2
            if self.read(middle)["version"] <= version:
                low = middle + 1
            else:
                high = middle - 1
        found = self.read(high) if high else None
        return found if found and found["version"] == version else None

    def latest(self) -> int:
        """The number of the newest record, 0 before the first; found without listing the folder each time."""
        self._newest = (self._entries.following(self._newest) or [self._newest])[-1]
        return self._newest


def summary(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A record in a few words: all but its findings."""
    return {name: value for name, value in entry.items() if name != "findings"}
