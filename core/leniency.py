"""What can still be read of a record that its contract refuses: the columns that nothing is wrong with."""

from typing import Any

import orjson

from core.contracts import Contract
from core.readers import reader
from core.violations import Refused

__all__ = ["Lenient"]


class Lenient:
    """Reads refused records of one contract. Never raises, whatever the bytes."""

    def __init__(self, contract: Contract) -> None:
        self._readers = [(column.name, reader(column)) for column in contract.columns]

    def read(self, raw: bytes | None) -> dict[str, Any]:
        """Values by column, without those that are refused or of the wrong kind; empty if it is no object."""
        try:
            event = orjson.loads(raw or b"")
        except orjson.JSONDecodeError:
            return {}
        found: dict[str, Any] = {}
        for name, read in self._readers if isinstance(event, dict) else ():
            value = event.get(name)
            try:
                found[name] = None if value is None else read(value)
            except Refused:
                continue
        return found
