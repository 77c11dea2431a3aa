"""From the bytes of a record to typed values, or to the reason why it is refused.

One evaluator of validity: the archive, the speed job and the events API all decide by these closures.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from core.columns import Column
from core.readers import Value, reader
from core.violations import Refused, Violation, shown

__all__ = ["DECODER_VERSION", "MAX_BYTES", "Decoded", "Decoder"]

DECODER_VERSION = 1  # raise it when the same bytes and the same contract would decode to something else
MAX_BYTES = 1_048_576
_DOCUMENT = f"a JSON object in UTF-8 of at most {MAX_BYTES} bytes"


class Decoded(NamedTuple):
    """Values in the order of the columns and no reason; or nothing but None for values, and a reason.

    A timestamp is an integer of microseconds since 1970 in UTC.
    """

    values: tuple[Value, ...]
    reason: str | None


class Decoder:
    """Decodes records by the columns of a contract. Never raises, whatever the bytes; can be pickled."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self._fields = tuple((column.name, reader(column), column.required) for column in columns)
        self._by_name = {column.name: column for column in columns}
        self._nothing: tuple[Value, ...] = (None,) * len(columns)

    def __reduce__(self) -> tuple[type["Decoder"], tuple[tuple[Column, ...]]]:
        return Decoder, (self.columns,)

    def decode(self, raw: bytes | bytearray | memoryview | None) -> Decoded:
        """The record's typed values, or the first reason against it; fields of no column are ignored."""
        try:
            get = _parse(raw).get
            values: list[Value] = []
            for name, read, required in self._fields:
                value = get(name)
                if value is not None:
                    value = read(value)
                elif required:
                    raise self._missing(name)
                values.append(value)
            return Decoded(tuple(values), None)
        except Refused as refused:
            return Decoded(self._nothing, str(refused.violation))

    def check(self, event: object) -> list[Violation]:
        """All that is wrong with an event parsed from JSON, in the order of the columns; empty if valid."""
        if not isinstance(event, dict):
            return [Violation("$", shown(event), _DOCUMENT)]
        return list(self._violations(event))

    def check_bytes(self, raw: bytes | None) -> list[Violation]:
        """As `check`, of a record not yet parsed: empty exactly where `decode` gives no reason."""
        try:
            return self.check(_parse(raw))
        except Refused as refused:
            return [refused.violation]

    def _violations(self, event: dict[str, Any]) -> Iterator[Violation]:
        for name, read, required in self._fields:
            value = event.get(name)
            try:
                if value is not None:
                    read(value)
                elif required:
                    raise self._missing(name)
            except Refused as refused:
                yield refused.violation

    def _missing(self, name: str) -> Refused:
        return Refused(Violation(name, "missing", self._by_name[name].allowed))


def _parse(raw: bytes | bytearray | memoryview | None) -> dict[str, Any]:
    if raw is None:
        raise Refused(Violation("$", "null (a tombstone)", _DOCUMENT))
    if len(raw) > MAX_BYTES:
        raise Refused(Violation("$", f"{len(raw)} bytes long", _DOCUMENT))
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(Violation("$", f"no JSON ({error})", _DOCUMENT)) from error
    if type(event) is not dict:
        raise Refused(Violation("$", shown(event), _DOCUMENT))
    return event
