"""Answers as tables: a row for each row of the answer, a column for each number.

An estimate becomes three columns (`editors`, `editors_lower`, `editors_upper`), quantiles their count, ends
and values (`size_count`, `size_min`, `size_max`, `size_p50`, `size_p50_lower`, ...); a ranking is a list.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from client.models import Answer, Row
from client.values import Estimate, Quantiles, Value

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["columns_of", "to_arrow", "to_pandas"]

_LONG = 1 << 63


def to_pandas(answer: Answer) -> "pandas.DataFrame":
    """Times are timestamps with their zone; exact decimals stay Decimal, whole numbers int where all are."""
    import pandas

    return pandas.DataFrame(columns_of(answer))


def to_arrow(answer: Answer) -> "pyarrow.Table":
    """Exact decimals, and integers beyond 64 bits, become decimals of as many digits as they need."""
    import pyarrow

    columns = {name: pyarrow.array(_fitting(values)) for name, values in columns_of(answer).items()}
    return pyarrow.table(columns)


def _fitting(values: list[Any]) -> list[Any]:
    """Arrow has no integers beyond 64 bits."""
    if all(not isinstance(value, int) or -_LONG <= value < _LONG for value in values):
        return values
    return [Decimal(value) if isinstance(value, int) else value for value in values]


def columns_of(answer: Answer) -> dict[str, list[Any]]:
    """The columns by name, all of one length; None where a row has no such number."""
    rows = [dict(_cells(row)) for row in answer.rows]
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["from", "to"]
    return {name: [row.get(name) for row in rows] for name in names}


def _cells(row: Row) -> Iterator[tuple[str, Any]]:
    yield "from", row.start
    yield "to", row.end
    for name, value in row.measures.items():
        yield from _flat(name, value)


def _flat(name: str, value: Value) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Estimate):
        yield from ((name, value.estimate), (f"{name}_lower", value.lower), (f"{name}_upper", value.upper))
    elif isinstance(value, Quantiles):
        yield from _quantiles(name, value)
    elif isinstance(value, tuple):
        yield name, [asdict(each) for each in value]
    elif isinstance(value, Mapping):
        for inner, held in value.items():
            yield from _flat(f"{name}_{inner}", held)
    else:
        yield name, value


def _quantiles(name: str, value: Quantiles) -> Iterator[tuple[str, Any]]:
    yield from ((f"{name}_count", value.count), (f"{name}_min", value.min), (f"{name}_max", value.max))
    for one in value.quantiles:
        rank = f"{name}_p{one.rank * 100:g}"
        yield from ((rank, one.value), (f"{rank}_lower", one.lower), (f"{rank}_upper", one.upper))
