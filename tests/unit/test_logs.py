"""One JSON object a line, whatever the fields hold."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

from core.logs import Logger


def logger(stream: io.StringIO) -> Logger:
    return Logger("speed", {}, lambda: datetime(2015, 9, 12, 1, 2, 3, 456789, tzinfo=UTC), stream)


def test_an_event_is_one_line_with_time_level_process_and_fields() -> None:
    stream = io.StringIO()
    logger(stream).info("micro_batch_written", batch=12)
    assert json.loads(stream.getvalue()) == {
        "ts": "2015-09-12T01:02:03.456Z",
        "level": "info",
        "event": "micro_batch_written",
        "process": "speed",
        "batch": 12,
    }


def test_bound_fields_are_on_every_line_and_cannot_hide_the_head() -> None:
    stream = io.StringIO()
    log = logger(stream).bind(source="wikipedia.edits", level="none")
    log.warning("lease_lost")
    log.error("stopped")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["source"], line["level"]) for line in lines] == [
        ("wikipedia.edits", "warning"),
        ("wikipedia.edits", "error"),
    ]


def test_a_field_that_json_cannot_hold_is_written_as_text() -> None:
    stream = io.StringIO()
    logger(stream).debug("wrote", path=Path("/a\nb"), error=ValueError("no"))
    assert len(stream.getvalue().splitlines()) == 1
    assert json.loads(stream.getvalue())["error"] == "no"
