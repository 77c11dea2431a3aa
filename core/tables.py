"""Small tables that do not change: CSV files, read whole, whose rows are found by a key's text."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.decoded import arrow_type
from core.errors import DefinitionError, UnknownName
from core.keys import key_text, part_text
from core.properties import column_of
from core.readers import Reader, Value, reader
from core.violations import Refused

__all__ = ["MOST_BYTES", "Table", "TableRefused", "digest_of", "read_bytes", "read_table"]

MOST_BYTES = 32 * 2**20  # of a file: every process and every task holds all of it

Row = tuple[Value, ...]


class TableRefused(DefinitionError):
    """A file that is no table to look up in. Keeps its path; the text names line, column and value."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"table {path}: {why}")
        self.path = path


@dataclass(frozen=True)
class Table:
    """Rows by the text of their key; `types` are those of the columns. Two of one identity are the same."""

    identity: str
    types: tuple[tuple[str, str], ...]
    places: Mapping[str, int] = field(repr=False, compare=False)
    rows: Sequence[Row] = field(repr=False, compare=False)

    def row(self, key: str) -> Row:
        """The values of a key, all NULL of one that is not there."""
        place = self.places.get(key)
        return (None,) * len(self.types) if place is None else self.rows[place]

    @cached_property
    def arrow(self) -> pa.RecordBatch:
        """The rows as they are, typed as Spark takes them."""
        kinds = {name: arrow_type(column_of(name, kind)) for name, kind in self.types}
        columns = list(zip(*self.rows, strict=True)) or [()] * len(kinds)
        arrays = [pa.array(values, kind) for values, kind in zip(columns, kinds.values(), strict=True)]
        return pa.RecordBatch.from_arrays(arrays, list(kinds))

    def take(self, keys: pa.Array) -> Sequence[pa.Array]:
        """The columns for many keys, in their order; NULL for those that are not there."""
        places = pa.array([self.places.get(key) for key in keys.to_pylist()], pa.int64())
        return [column.take(places) for column in self.arrow.columns]


def read_bytes(path: Path) -> bytes:
    """The file of a table. Raises `TableRefused`."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TableRefused(
                path, f"{path.stat().st_size} bytes; a table to look up in has {MOST_BYTES} at most"
            )
        return path.read_bytes()
    except OSError as error:
        raise TableRefused(path, f"it cannot be read ({error.strerror}); put it there") from error


def digest_of(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def read_table(
    path: Path, content: bytes, key: Mapping[str, str], gives: Mapping[str, str], null: str
) -> Table:
    """A table of a file's content. `key` and `gives` are columns of the file with their types, in order.

    An empty cell and one that reads `null` are NULL, which no part of a key may be. Raises `TableRefused`,
    and `UnknownName` for a column that the file does not have.
    """
    places, rows = dict[str, int](), list[Row]()
    key_of, values_of = _cells(path, key, null), _cells(path, gives, null)
    for line, cells in _lines(path, content, [*key, *gives]):
        text = key_text([_part(path, line, part) for part in key_of(line, cells)])
        if text in places:
            raise TableRefused(path, f"line {line} has the key of a line before: {_shown(cells, key)}")
        places[text] = len(rows)
        rows.append(values_of(line, cells))
    read_as = repr((list(key.items()), list(gives.items()), null))
    return Table(digest_of(read_as.encode() + content), tuple(gives.items()), places, rows)


def _lines(path: Path, content: bytes, names: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(lines, [])
        for name in names:
            if header.count(name) != 1:
                raise UnknownName(f"column (once) of table {path}", name, header)
        for cells in lines:
            if len(cells) != len(header):
                raise TableRefused(path, f"line {lines.line_num} has {len(cells)} cells, not {len(header)}")
            yield lines.line_num, dict(zip(header, cells, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableRefused(path, f"no CSV in UTF-8 ({error})") from error


def _cells(path: Path, columns: Mapping[str, str], null: str) -> Callable[[int, Mapping[str, str]], Row]:
    """Typed values of a line's cells."""
    try:
        readers = {name: _reader(name, kind) for name, kind in columns.items()}
    except ValueError as error:
        raise TableRefused(path, str(error)) from error

    def read(line: int, cells: Mapping[str, str]) -> Row:
        try:
            return tuple(
                None if cells[name] in ("", null) else reads(cells[name]) for name, reads in readers.items()
            )
        except Refused as refused:
            raise TableRefused(path, f"line {line}: {refused.violation}") from refused

    return read


def _reader(name: str, kind: str) -> Reader:
    read, parse = reader(column_of(name, kind)), _PARSED.get(kind, str)
    return lambda cell: read(parse(cell))


def _whole(cell: str) -> int | str:
    return int(cell) if cell.removeprefix("-").isdecimal() and cell.isascii() else cell


def _double(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


# text that is none stays text, which the column's reader refuses
_PARSED: Mapping[str, Callable[[str], Any]] = {
    "long": _whole,
    "double": _double,
    "boolean": lambda cell: {"true": True, "false": False}.get(cell.lower(), cell),
}


def _part(path: Path, line: int, value: Value) -> str:
    if value is None:
        raise TableRefused(path, f"line {line} has a key with an empty part")
    return part_text(value) or ""


def _shown(cells: Mapping[str, str], names: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {cells[name]!r}" for name in names)
