"""How each part of an SQL expression is rewritten: total, deterministic, and of a type that is known.

Arithmetic and casts become their `try_` forms, which answer NULL instead of failing; what Spark would give
as an int is widened, so that a type here is the type that a job sees.
"""

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING

from sqlglot import exp

from core import conditions, sqltypes
from core.conditions import Rule
from core.sqltypes import NUMERIC, Expression

if TYPE_CHECKING:
    from core.expressions import Compiler

_LARGEST_LONG = 2**63 - 1
_CASTS = {name: name for name in ("string", "boolean", "timestamp", "double", "decimal")} | {"bigint": "long"}
_NO_CAST = {("boolean", "timestamp"), ("timestamp", "boolean")}


def _column(compiler: "Compiler", node: exp.Column) -> Expression:
    if node.table:
        raise compiler.fail(f"{node.sql()} has a qualifier; name the column alone")
    return compiler.column(node.name)


def _literal(compiler: "Compiler", node: exp.Literal) -> Expression:
    text = str(node.name)
    if node.is_string:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return Expression(f"'{escaped}'", "string")
    if "e" in text.lower():
        return Expression(_finite(compiler, text), "double")
    whole, _, fraction = text.partition(".")
    if not fraction and int(whole) <= _LARGEST_LONG:
        return Expression(f"{int(whole)}L", "long")
    kind = sqltypes.decimal(len(whole) + len(fraction), len(fraction))
    if kind == "decimal":
        raise compiler.fail(f"{text} has more than {sqltypes.MAX_DIGITS} digits")
    return Expression(f"cast({text}BD as {kind})", kind)


def _finite(compiler: "Compiler", text: str) -> str:
    if not isfinite(float(text)):
        raise compiler.fail(f"{text} is too large for a double")
    return f"{text}D"


def _arithmetic(function: str, kind: Callable[[str, str], str]) -> Rule:
    def rule(compiler: "Compiler", node: exp.Binary) -> Expression:
        left, right = compiler.of(node.this, *NUMERIC), compiler.of(node.expression, *NUMERIC)
        if left.type == right.type == "null":
            raise compiler.fail(f"{node.sql()} is always NULL")
        return Expression(f"{function}({left.sql}, {right.sql})", kind(left.type, right.type))

    return rule


def _divide(compiler: "Compiler", node: exp.Div) -> Expression:
    left, right = compiler.of(node.this, *NUMERIC), compiler.of(node.expression, *NUMERIC)
    return Expression(f"try_divide(cast({left.sql} as double), cast({right.sql} as double))", "double")


def _negate(compiler: "Compiler", node: exp.Neg) -> Expression:
    inner = compiler.of(node.this, *NUMERIC)
    return _as_wide(f"try_subtract(0L, {inner.sql})", inner)


def _abs(compiler: "Compiler", node: exp.Abs) -> Expression:
    # abs() of the smallest long throws; for that one value this is NULL
    inner = compiler.of(node.this, *NUMERIC)
    return _as_wide(f"if({inner.sql} < 0L, try_subtract(0L, {inner.sql}), {inner.sql})", inner)


def _as_wide(sql: str, inner: Expression) -> Expression:
    """A number with as many digits as it had before; Spark adds some to a decimal."""
    return Expression(f"try_cast({sql} AS {inner.type})" if "(" in inner.type else sql, inner.type)


def _strings(function: str, kind: str) -> Rule:
    def rule(compiler: "Compiler", node: exp.Func) -> Expression:
        nodes = [
            part for part in (node.this, node.args.get("expression"), *node.expressions) if part is not None
        ]
        sql = f"{function}({', '.join(compiler.of(part, 'string').sql for part in nodes)})"
        return Expression(f"cast({sql} as bigint)" if kind == "long" else sql, kind)

    return rule


def _trim(compiler: "Compiler", node: exp.Trim) -> Expression:
    if node.args.get("position") or node.expression:
        raise compiler.fail("only trim(x) is allowed, which takes spaces off both ends")
    return Expression(f"trim({compiler.of(node.this, 'string').sql})", "string")


def _substring(compiler: "Compiler", node: exp.Substring) -> Expression:
    # Spark would cast a long to int, and that cast fails beyond 2**31
    places = [
        f"try_cast({compiler.of(part, 'long').sql} AS int)"
        for part in (node.args.get("start"), node.args.get("length"))
        if part
    ]
    return Expression(f"substring({', '.join([compiler.of(node.this, 'string').sql, *places])})", "string")


def _time_part(function: str) -> Rule:
    def rule(compiler: "Compiler", node: exp.Func) -> Expression:
        inner = node.this.this if isinstance(node.this, exp.TsOrDsToDate) else node.this
        return Expression(f"cast({function}({compiler.of(inner, 'timestamp').sql}) as bigint)", "long")

    return rule


def _cast(compiler: "Compiler", node: exp.Cast) -> Expression:
    inner, target = compiler.visit(node.this), node.to.sql(dialect="spark").lower()
    kind = _CASTS.get(target.partition("(")[0])
    if kind is None:
        raise compiler.fail(f"cast to {target}; allowed are {', '.join(_CASTS)}")
    if (inner.family, kind) in _NO_CAST:
        raise compiler.fail(f"a {inner.family} cannot be cast to {kind}")
    if kind == "timestamp" and inner.type == "string" and not node.find(exp.Column):
        _refuse_special_times(compiler, node)
    target = _decimal_target(compiler, node.to) if kind == "decimal" else target
    return Expression(f"try_cast({inner.sql} AS {target})", target if kind == "decimal" else kind)


def _refuse_special_times(compiler: "Compiler", node: exp.Cast) -> None:
    """Spark takes a constant text such as 'now' or 'today' for the time at which the job runs."""
    literal = node.this.name if isinstance(node.this, exp.Literal) else ""
    if not literal[:1].isdigit():
        raise compiler.fail(f"{node.this.sql()} is no time; write one such as '2024-02-29 12:00:00'")


def _decimal_target(compiler: "Compiler", target: exp.DataType) -> str:
    precision, scale = ([int(part.name) for part in target.expressions] + [10, 0][len(target.expressions) :])[
        :2
    ]
    if not 1 <= precision <= sqltypes.MAX_DIGITS or scale > precision:
        raise compiler.fail(f"decimal({precision},{scale}) is none; write decimal(p,s), s <= p <= 38")
    return sqltypes.decimal(precision, scale)


def _parenthesis(compiler: "Compiler", node: exp.Paren) -> Expression:
    inner = compiler.visit(node.this)
    return Expression(f"({inner.sql})", inner.type)


RULES: dict[type, Rule] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: lambda _, node: Expression(str(node.this).lower(), "boolean"),
    exp.Null: lambda _, __: Expression("NULL", "null"),
    exp.Paren: _parenthesis,
    exp.Add: _arithmetic("try_add", sqltypes.added),
    exp.Sub: _arithmetic("try_subtract", sqltypes.added),
    exp.Mul: _arithmetic("try_multiply", sqltypes.multiplied),
    exp.Mod: _arithmetic("try_mod", sqltypes.remaining),
    exp.Div: _divide,
    exp.Neg: _negate,
    exp.Abs: _abs,
    exp.EQ: conditions.comparison("="),
    exp.NEQ: conditions.comparison("<>"),
    exp.NullSafeEQ: conditions.comparison("<=>"),
    exp.GT: conditions.comparison(">"),
    exp.GTE: conditions.comparison(">="),
    exp.LT: conditions.comparison("<"),
    exp.LTE: conditions.comparison("<="),
    exp.And: conditions.connective("AND"),
    exp.Or: conditions.connective("OR"),
    exp.Not: conditions.negation,
    exp.Is: conditions.is_,
    exp.In: conditions.in_,
    exp.Between: conditions.between,
    exp.Like: conditions.like,
    exp.Case: conditions.case,
    exp.If: conditions.if_,
    exp.Coalesce: conditions.choice("coalesce"),
    exp.Greatest: conditions.choice("greatest", at_least=2),
    exp.Least: conditions.choice("least", at_least=2),
    exp.Nullif: conditions.nullif,
    exp.Lower: _strings("lower", "string"),
    exp.Upper: _strings("upper", "string"),
    exp.Trim: _trim,
    exp.Length: _strings("length", "long"),
    exp.Concat: _strings("concat", "string"),
    exp.DPipe: _strings("concat", "string"),
    exp.StartsWith: _strings("startswith", "boolean"),
    exp.EndsWith: _strings("endswith", "boolean"),
    exp.Contains: _strings("contains", "boolean"),
    exp.Substring: _substring,
    exp.Hour: _time_part("hour"),
    exp.DayOfWeek: _time_part("dayofweek"),
    exp.Day: _time_part("day"),
    exp.Month: _time_part("month"),
    exp.Year: _time_part("year"),
    exp.Cast: _cast,
    exp.TryCast: _cast,
}
