"""What plain Python makes of expressions and events, held against Spark."""

from datetime import datetime, timedelta
from decimal import Decimal
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from core.errors import NotEvaluable
from core.evaluation import evaluator
from core.expressions import compile_expression
from tests.expressions import ACCEPTED, COLUMNS
from tests.measures import EPOCH

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LONGS = [0, 1, -1, 7, -7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), None]
TEXTS = ["", "a", "Ab\nc ", " x ", "é😀", "ΑΣ", "İ", "a%_b", "\t", None]
AMOUNTS = ["0.0000", "12.3450", "-12.3450", "99999999999999.9999", "2.5000", None]
RATIOS = [0.0, 2.5, -5.5, 1e308, nan, inf, -inf, 2.0**63, 1.5, None]
MOMENTS = [0, -1, 1_442_016_000_123_456, 253_402_300_799_999_999, -62_135_596_800_000_000, None]
MORE = [
    "substring(text, -3, 2)", "substring(text, -9, 8)", "substring(text, 0, 2)", "cast(number as boolean)",
    "cast(amount as decimal(4,1))", "cast(amount as bigint)", "cast(moment as string)", "ratio * 1e308",
    "cast(amount as string)", "ratio % 2", "greatest(ratio, number)", "least(ratio, 1.5)", "ratio > 1",
    "ratio = ratio", "number BETWEEN 1 AND NULL", "number NOT IN (1, 2, NULL)", "text LIKE '%b_%'",
    "amount % 7", "number % -3", "wide + amount", "cast(number as decimal(10,2))", "coalesce(amount, wide)",
    "cast(ratio as boolean)",
]  # fmt: skip
WIDES = [*AMOUNTS[1:], "0.0100", "-99999999999999.9900"]


def rows() -> list[dict[str, Any]]:
    """Every value of every column, beside different ones."""
    columns: dict[str, list[Any]] = {
        "text": TEXTS, "other": TEXTS[3:] + TEXTS[:3], "number": LONGS,
        "amount": [each and Decimal(each) for each in AMOUNTS],
        "wide": [each and Decimal(each).scaleb(-2) for each in WIDES],
        "ratio": RATIOS, "flag": [True, False, None], "moment": MOMENTS,
    }  # fmt: skip
    return [{name: held[n % len(held)] for name, held in columns.items()} for n in range(210)]


def types() -> dict[str, pa.DataType]:
    named = {"string": pa.string(), "long": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
             "timestamp": pa.timestamp("us", "UTC"), "decimal(18,4)": pa.decimal128(18, 4),
             "decimal(28,6)": pa.decimal128(28, 6)}  # fmt: skip
    return {name: named[kind] for name, kind in COLUMNS.items()}


def plain(value: Any) -> Any:
    """A value that Spark gave as an evaluator gives it."""
    if isinstance(value, datetime):
        return (value.astimezone(EPOCH.tzinfo) - EPOCH) // timedelta(microseconds=1)
    return "NaN" if isinstance(value, float) and isnan(value) else value


def test_an_evaluator_says_of_each_event_what_spark_says(spark: "SparkSession") -> None:
    runs = {}
    for text in [*(case[0] for case in ACCEPTED), *MORE]:
        try:
            runs[text] = evaluator(text, COLUMNS)
        except NotEvaluable:
            continue
    given = rows()
    table = pa.table(
        {name: pa.array([row[name] for row in given], kind) for name, kind in types().items()}
    )  # fmt: skip
    frame = spark.createDataFrame(table)
    said = frame.selectExpr(
        *(f"{compile_expression(text, COLUMNS).sql} AS `e{n}`" for n, text in enumerate(runs))
    ).toArrow()
    differing = [
        (text, row, plain(run(row)), plain(expected))
        for (text, run), column in zip(runs.items(), said.columns, strict=True)
        for row, expected in zip(given, column.to_pylist(), strict=True)
        if not alike(plain(run(row)), plain(expected))
    ]
    assert not differing, f"{len(differing)} differ: {differing[:5]}"
    assert len(runs) > 75


def alike(found: Any, expected: Any) -> bool:
    return (found, type(found)) == (expected, type(expected))
