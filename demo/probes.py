"""The questions that the demo asks again and again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

__all__ = ["Probe", "until"]


@dataclass(frozen=True)
class Probe:
    """One question: a view, a key (None is NULL), a range of event time; `part` names a part of the range."""

    view: str
    key: Mapping[str, str | int | None]
    start: str
    end: str
    part: str = ""

    @property
    def title(self) -> str:
        key = " ".join("NULL" if value is None else str(value) for value in self.key.values()) or "everything"
        return " ".join(filter(None, (f"{self.view}: {key}", self.part)))

    @property
    def parameters(self) -> dict[str, str]:
        """The question as the API takes it."""
        return {**dict(map(_parameter, self.key, self.key.values())), "from": self.start, "to": self.end}


def _parameter(name: str, value: str | int | None) -> tuple[str, str]:
    return (f"{name}.null", "true") if value is None else (name, str(value))


def until(probe: Probe, end: str) -> Probe:
    """The same question, up to `end`."""
    return replace(probe, end=min(probe.end, end))
