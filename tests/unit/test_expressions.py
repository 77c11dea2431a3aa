"""What a definition may say in SQL, what becomes of it, and what is refused with a way out."""

import pytest

from core.errors import DefinitionError, ExpressionError, UnknownName
from core.expressions import FUNCTIONS, compile_expression
from core.sqltypes import added, digits, multiplied, widest
from tests.expressions import ACCEPTED, COLUMNS

REFUSED = [
    ("", "is not SQL"),
    ("number +", "is not SQL"),
    ("number; text", "block is not allowed"),
    ("(SELECT 1)", "subquery is not allowed"),
    ("number AS n", "alias is not allowed"),
    ("t.number", "has a qualifier"),
    ("interval 1 day", "interval is not allowed"),
    ("text + 1", "text is string, where long or decimal or double is needed"),
    ("NULL + NULL", "is always NULL"),
    ("text > 1", "long and string do not go together; use cast"),
    ("moment > '2024-02-29'", "do not go together; use cast"),
    ("if(flag, text, number)", "do not go together; use cast"),
    ("wide * wide > 1", "say how wide each is"),
    ("NOT number", "number is long, where boolean is needed"),
    ("text IS TRUE", "text is string, where boolean is needed"),
    ("number IN (SELECT 1)", "IN takes a list of values"),
    ("number BETWEEN SYMMETRIC 3 AND 1", "put the smaller end first"),
    ("text LIKE other", "LIKE takes a literal pattern"),
    (r"text LIKE 'a\\'", "LIKE takes a literal pattern"),
    ("CASE number WHEN 1 THEN 2 END", "write CASE WHEN x = ..."),
    ("greatest(number)", "greatest takes at least 2 values"),
    ("ltrim(text)", "only trim(x) is allowed"),
    ("trim(BOTH 'x' FROM text)", "only trim(x) is allowed"),
    ("hour(text)", "text is string, where timestamp is needed"),
    ("cast(number as int)", "allowed are string, boolean, timestamp, double, decimal, bigint"),
    ("cast(number as decimal(40,2))", "write decimal(p,s), s <= p <= 38"),
    ("cast(number as decimal(4,6))", "write decimal(p,s), s <= p <= 38"),
    ("cast(flag as timestamp)", "a boolean cannot be cast to timestamp"),
    ("cast(moment as boolean)", "a timestamp cannot be cast to boolean"),
    ("1e999", "is too large for a double"),
    ("1" * 39, "has more than 38 digits"),
    ("cast('now' as timestamp)", "write one such as"),
    ("cast(lower('TODAY') as timestamp)", "write one such as"),
    ("timestamp 'yesterday'", "write one such as"),
]
NOT_DETERMINISTIC = ["rand()", "uuid()", "now()", "current_timestamp", "current_date", "shuffle(text)"]
NOT_HERE = ["sum(number)", "explode(text)", "hash(text)", "unknown_function(text)"]


@pytest.mark.parametrize(("text", "sql", "kind"), ACCEPTED, ids=[case[0] for case in ACCEPTED])
def test_an_accepted_expression_compiles_to_total_sql(text: str, sql: str, kind: str) -> None:
    compiled = compile_expression(text, COLUMNS)
    assert (compiled.sql, compiled.type) == (sql, kind)


@pytest.mark.parametrize(("text", "way_out"), REFUSED)
def test_a_refused_expression_is_named_with_the_way_out(text: str, way_out: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, COLUMNS)
    assert text in str(caught.value) or repr(text) in str(caught.value)
    assert way_out in str(caught.value)


@pytest.mark.parametrize("text", NOT_DETERMINISTIC + NOT_HERE)
def test_a_function_that_is_not_deterministic_or_not_known_is_refused(text: str) -> None:
    with pytest.raises(UnknownName, match="not deterministic function") as caught:
        compile_expression(text, COLUMNS)
    assert caught.value.known == sorted(FUNCTIONS)


def test_a_mistyped_function_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'substring'"):
        compile_expression("substrin(text, 1, 2)", COLUMNS)


def test_an_unknown_column_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown column 'nomber'; did you mean 'number'") as caught:
        compile_expression("abs(nomber)", COLUMNS)
    assert (caught.value.name, caught.value.nearest) == ("nomber", "number")


def test_columns_keep_their_case() -> None:
    with pytest.raises(UnknownName, match="did you mean 'number'"):
        compile_expression("Number", COLUMNS)


def test_every_refusal_is_a_definition_error() -> None:
    assert issubclass(ExpressionError, DefinitionError) and issubclass(UnknownName, DefinitionError)


@pytest.mark.parametrize(
    ("types", "meet"),
    [
        (["long", "null"], "long"),
        (["null"], "null"),
        (["long", "double", "decimal(18,4)"], "double"),
        (["long", "decimal(18,4)"], "decimal(24,4)"),
        (["decimal(18,2)", "decimal(18,4)"], "decimal(20,4)"),
        (["decimal(38,20)", "long"], "decimal"),
        (["decimal", "long"], "decimal"),
    ],
)
def test_numbers_that_meet_are_as_wide_as_both(types: list[str], meet: str) -> None:
    assert widest(types) == meet


def test_digits_of_arithmetic_are_those_that_spark_gives() -> None:
    assert added("decimal(18,4)", "decimal(10,2)") == "decimal(19,4)"
    assert multiplied("decimal(10,2)", "long") == "decimal(31,2)"
    assert multiplied("decimal(38,2)", "long") == "decimal"
    assert digits("string") is None
