"""Records decoded by contract as Arrow columns: what the archive and the speed job hand to Spark."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from core.columns import Column
from core.contracts import Contract

_ARROW = {"string": pa.string(), "long": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}
_SPARK = {"long": "bigint"}


def arrow_type(column: Column) -> pa.DataType:
    if column.precision:
        return pa.decimal128(*column.precision)
    return _ARROW.get(column.type) or pa.timestamp("us", tz="UTC")


def spark_struct(columns: Sequence[Column]) -> str:
    """The columns as a Spark DDL struct, without the name."""
    fields = [f"`{column.name}`: {_SPARK.get(column.type, column.type)}" for column in columns]
    return f"struct<{', '.join(fields)}>"


def decode_column(values: Iterator[bytes | None], contract: Contract) -> tuple[pa.Array, pa.StructArray]:
    """Reasons (null where valid) and the typed events (null where refused) of raw records."""
    decode = contract.decoder().decode
    decoded = [decode(value) for value in values]
    reasons = pa.array([row.reason for row in decoded], pa.string())
    columns = list(zip(*[row.values for row in decoded], strict=True)) or [()] * len(contract.columns)
    fields = [pa.field(column.name, arrow_type(column)) for column in contract.columns]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)]
    return reasons, pa.StructArray.from_arrays(arrays, fields=fields, mask=reasons.is_valid())
