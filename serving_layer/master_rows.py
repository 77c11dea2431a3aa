"""Rows of the master dataset, read by position, time and key: what cannot match is not decoded.

A record is what the contract of today makes of its bytes. Typed columns only say which records to look at:
of rows that another contract decoded, every one.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.contracts import Contract
from core.cuts import Offsets
from serving_layer.master_log import MasterFile

__all__ = ["Ids", "MasterRows", "Place", "Row", "Wanted"]

Place = tuple[int, int]  # partition and offset
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A record: its position, its bytes, and what the contract makes of them: values by column, or reason."""

    place: Place
    raw: bytes | None
    values: Mapping[str, Any]
    reason: str | None


@dataclass(frozen=True)
class Wanted:
    """Which records are looked for: event time in [start, end) in seconds, and the values that columns have.

    `refused` takes in the records that the contract refuses, whatever is in them.
    """

    start: int
    end: int
    among: Mapping[str, Collection[Any]]
    refused: bool = False


class Ids:
    """Event ids that are looked for in many files."""

    def __init__(self, ids: Collection[str]) -> None:
        self.known, self._sorted = frozenset(ids), sorted(ids)
        self._array = pa.array(self._sorted, pa.string())

    def has_within(self, first: str, last: str) -> bool:
        """Whether one of them lies between two, both included."""
        at = bisect_left(self._sorted, first)
        return at < len(self._sorted) and self._sorted[at] <= last

    def among(self, column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
        """Which ids of a column are among them."""
        if len(column) < len(self._sorted):
            # Arrow would hash all of them for each column
            return pa.array([one in self.known for one in column.to_pylist()], pa.bool_())
        return pc.is_in(column, self._array)


class MasterRows:
    """Reads files of one table. Remembers the times that a file's row groups hold, for they never change."""

    def __init__(self, contract: Contract) -> None:
        self._contract, self._decode = contract, contract.decoder().decode
        self._columns = tuple(contract.types)
        self._times: dict[tuple[MasterFile, int], tuple[int, int]] = {}

    def read(
        self, file: MasterFile, start: Offsets, end: Offsets, wanted: Wanted, spend: Callable[[int], None]
    ) -> Iterator[Row]:
        """Records of a file from `start` to before `end`; `spend` is told how many rows are looked at."""
        columns = ["offset", "contract", "reason", self._typed(self._contract.event_time)]
        columns += [self._typed(name) for name in wanted.among]
        for group in _Groups(file, self._contract.fingerprint, start, end):
            if self._is_elsewhere(group, wanted):
                continue
            spend(group.rows)
            table = group.read(columns)
            yield from self._rows(group, pc.and_(group.inside(table), self._matching(group, table, wanted)))

    def copies(
        self, file: MasterFile, end: Offsets, ids: Ids, spend: Callable[[int], None]
    ) -> Iterator[tuple[str, Place]]:
        """Valid records of a file before `end` whose event id is one of `ids`."""
        name = self._contract.event_id
        for group in _Groups(file, self._contract.fingerprint, {}, end):
            bounds = group.bounds(self._typed(name)) if group.is_current else None
            if bounds and not ids.has_within(*bounds):
                continue
            spend(group.rows)
            table = group.read(["offset", "contract", "reason", self._typed(name)])
            named, inside = _event(table, name), group.inside(table)
            found = pc.and_(pc.and_(_typed(group, table), ids.among(named)), inside)
            offsets = pc.filter(table.column("offset"), found).to_pylist()
            for event_id, offset in zip(pc.filter(named, found).to_pylist(), offsets, strict=True):
                yield event_id, (file.partition, offset)
            for row in self._rows(group, pc.and_(_stale(group, table), inside)):
                if row.reason is None and row.values[name] in ids.known:
                    yield str(row.values[name]), row.place

    def at(self, file: MasterFile, offsets: Collection[int], spend: Callable[[int], None]) -> Iterator[Row]:
        """The records of a file at these offsets."""
        ends = {file.partition: max(offsets) + 1}
        wanted = pa.array(sorted(offsets), pa.int64())
        for group in _Groups(file, self._contract.fingerprint, {file.partition: min(offsets)}, ends):
            spend(group.rows)
            yield from self._rows(group, pc.is_in(group.read(["offset"]).column("offset"), wanted))

    def _matching(self, group: "_Groups", table: pa.Table, wanted: Wanted) -> pa.ChunkedArray:
        times = pc.cast(
            pc.cast(_event(table, self._contract.event_time), pa.timestamp("us", "UTC")), pa.int64()
        )
        if group.is_current and len(times):
            ends = pc.min_max(times).as_py()
            self._times[group.key] = (ends["min"] or 0, ends["max"] or 0)
        inside = pc.and_(
            pc.greater_equal(times, wanted.start * 1_000_000), pc.less(times, wanted.end * 1_000_000)
        )
        found = pc.and_(_typed(group, table), pc.fill_null(inside, False))
        for name, values in wanted.among.items():
            found = pc.and_(found, _among(_event(table, name), values))
        if wanted.refused:
            found = pc.or_(found, pc.is_valid(table.column("reason")))
        return pc.or_(found, _stale(group, table))

    def _is_elsewhere(self, group: "_Groups", wanted: Wanted) -> bool:
        """Whether none of a group's events lies in the range of time, as far as that is known."""
        if not group.is_current or (wanted.refused and group.has_refused):
            return False
        stated = group.bounds(self._typed(self._contract.event_time))
        times = (_micros(stated[0]), _micros(stated[1])) if stated else self._times.get(group.key)
        return times is not None and (
            times[1] < wanted.start * 1_000_000 or times[0] >= wanted.end * 1_000_000
        )

    def _rows(self, group: "_Groups", mask: pa.ChunkedArray) -> Iterator[Row]:
        chosen = pc.indices_nonzero(mask)
        if not len(chosen):
            return
        table = group.read(["offset", "value"]).take(chosen)
        for offset, raw in zip(
            table.column("offset").to_pylist(), table.column("value").to_pylist(), strict=True
        ):
            values, reason = self._decode(raw)
            known = dict(zip(self._columns, values, strict=True))
            yield Row((group.file.partition, offset), raw, known, reason)

    @staticmethod
    def _typed(name: str) -> str:
        return f"event.{name}"


class _Groups:
    """The row groups of a file that hold positions of a range, one after the other."""

    def __init__(self, file: MasterFile, fingerprint: str, start: Offsets, end: Offsets) -> None:
        self.file, self.fingerprint = file, fingerprint
        self._from, self._to = start.get(file.partition, 0), end.get(file.partition, 0)
        self._number, self._columns = -1, dict[str, int]()

    def __iter__(self) -> Iterator["_Groups"]:
        with pq.ParquetFile(self.file.path, coerce_int96_timestamp_unit="us") as self._parquet:
            metadata = self._parquet.metadata
            self._columns = {metadata.schema.column(n).path: n for n in range(metadata.num_columns)}
            for self._number in range(metadata.num_row_groups):
                first, last = self.bounds("offset") or (self.file.first, self.file.end)
                if first < self._to and last >= self._from:
                    yield self

    @property
    def key(self) -> tuple[MasterFile, int]:
        return self.file, self._number

    @property
    def rows(self) -> int:
        return int(self._parquet.metadata.row_group(self._number).num_rows)

    @property
    def is_current(self) -> bool:
        """Whether the contract of today decoded all of its rows."""
        return self.bounds("contract") == (self.fingerprint, self.fingerprint)

    @property
    def has_refused(self) -> bool:
        statistics = self._statistics("reason")
        return statistics is None or not statistics.has_null_count or statistics.null_count < self.rows

    def bounds(self, column: str) -> tuple[Any, Any] | None:
        """The least and the largest value, where the file says so."""
        statistics = self._statistics(column)
        return (statistics.min, statistics.max) if statistics and statistics.has_min_max else None

    def read(self, columns: list[str]) -> pa.Table:
        """Columns of the group; those that the file has not are left out."""
        there = [column for column in columns if column in self._columns]
        return self._parquet.read_row_group(self._number, columns=there, use_threads=False)

    def inside(self, table: pa.Table) -> pa.ChunkedArray:
        """Which rows lie in the range of positions."""
        offsets = table.column("offset")
        return pc.and_(pc.greater_equal(offsets, self._from), pc.less(offsets, self._to))

    def _statistics(self, column: str) -> Any:
        if column not in self._columns:
            return None
        return self._parquet.metadata.row_group(self._number).column(self._columns[column]).statistics


def _typed(group: _Groups, table: pa.Table) -> pa.ChunkedArray:
    """Which rows the contract of today decoded to values."""
    return pc.and_(pc.equal(table.column("contract"), group.fingerprint), pc.is_null(table.column("reason")))


def _stale(group: _Groups, table: pa.Table) -> pa.ChunkedArray:
    return pc.not_equal(table.column("contract"), group.fingerprint)


def _event(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A typed column; NULL in a file from before there was such a column."""
    held = table.column("event") if "event" in table.column_names else None
    if held is None or name not in [held.type.field(n).name for n in range(held.type.num_fields)]:
        return pa.chunked_array([pa.nulls(len(table))])
    return pc.struct_field(held, name)


def _among(column: pa.ChunkedArray, values: Collection[Any]) -> pa.ChunkedArray:
    """Which rows have one of these values, of which NULL may be one."""
    known = [] if pa.types.is_null(column.type) else [value for value in values if value is not None]
    found = pc.is_in(column, pa.array(known, column.type))
    return pc.or_(found, pc.is_null(column)) if None in values else found


def _micros(moment: datetime) -> int:
    at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(microseconds=1)
