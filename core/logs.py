"""Structured logs: one JSON object a line on stderr, so that a supervisor's log files can be searched.

log = get_logger("speed")
log.info("micro_batch_written", batch=12, records=4000)
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TextIO

__all__ = ["Logger", "get_logger"]


def _now() -> datetime:
    return datetime.now(UTC)


def _plain(value: object) -> object:
    """What JSON cannot hold is written as text: a log line must never raise for its contents."""
    return str(value)


@dataclass(frozen=True)
class Logger:
    """Writes events of one process. `fields` are repeated on every line."""

    process: str
    fields: dict[str, object] = field(default_factory=dict)
    clock: Callable[[], datetime] = _now
    stream: TextIO | None = None  # None: whatever sys.stderr is when the line is written

    def bind(self, **fields: object) -> "Logger":
        """The same logger with more fields on every line."""
        return replace(self, fields=self.fields | fields)

    def debug(self, event: str, /, **fields: object) -> None:
        self._write("debug", event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        ts = self.clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"ts": ts, "level": level, "event": event, "process": self.process}
        line = json.dumps(self.fields | fields | head, default=_plain, ensure_ascii=False)
        # one write for a line: lines of several threads and processes do not mix
        (self.stream or sys.stderr).write(line + "\n")
        (self.stream or sys.stderr).flush()


def get_logger(process: str, **fields: object) -> Logger:
    """The logger of a process, such as "speed" or "api"."""
    return Logger(process, fields)
