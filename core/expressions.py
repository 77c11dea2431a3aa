"""SQL expressions of definitions: parsed, typed, and rewritten so that no value can stop a job.

An expression is compiled against the columns of a contract. Only functions that are deterministic and
total are let through; arithmetic and casts become their `try_` forms, which answer NULL instead of failing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp

from core.errors import ExpressionError, UnknownName

NUMERIC = ("long", "decimal", "double")


@dataclass(frozen=True)
class Expression:
    """`sql` in Spark's dialect over back-quoted columns, and the `type` it yields."""

    sql: str
    type: str

    @property
    def family(self) -> str:
        """The type without precision: string, long, decimal, double, boolean, timestamp or null."""
        return self.type.partition("(")[0]


def compile_expression(text: str, columns: Mapping[str, str]) -> Expression:
    """Compile `text` over `columns` (name -> type).

    Raises `ExpressionError` for what cannot be parsed, typed or allowed, and `UnknownName` for a column
    or a function that does not exist here.
    """
    try:
        tree = sqlglot.parse_one(text, dialect="spark")
    except sqlglot.errors.SqlglotError as error:
        raise ExpressionError(f"expression {text!r} is not SQL: {str(error).splitlines()[0]}") from error
    return _Compiler(text, columns).visit(tree)


class _Compiler:
    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        self.text, self.columns = text, columns

    def visit(self, node: Any) -> Expression:
        rule = _RULES.get(type(node))
        if rule is None:
            raise self.refused(node)
        return rule(self, node)

    def fail(self, why: str) -> ExpressionError:
        return ExpressionError(f"expression {self.text!r}: {why}")

    def refused(self, node: Any) -> ExpressionError | UnknownName:
        if isinstance(node, exp.Func):
            name = str(node.this) if isinstance(node, exp.Anonymous) else node.sql_name()
            return UnknownName(f"or not deterministic function in {self.text!r}:", name.lower(), FUNCTIONS)
        return self.fail(f"{node.key} is not allowed; use columns, literals and {', '.join(FUNCTIONS)}")

    def of(self, node: Any, *families: str) -> Expression:
        typed = self.visit(node)
        if typed.family not in (*families, "null"):
            raise self.fail(f"{node.sql()} is {typed.type}, where {' or '.join(families)} is needed")
        return typed

    def alike(self, *nodes: Any) -> tuple[list[str], str]:
        """The parts' SQL and the one type they share: comparing unlike types would cast, and casts fail."""
        parts = [self.visit(node) for node in nodes]
        types = [part.type for part in parts if part.type != "null"] or ["null"]
        if all(_family(name) in NUMERIC for name in types):
            return [part.sql for part in parts], _widest(types)
        if len(set(types)) > 1:
            raise self.fail(f"{' and '.join(types)} do not go together; use cast")
        return [part.sql for part in parts], types[0]


def _family(name: str) -> str:
    return name.partition("(")[0]


def _widest(types: list[str]) -> str:
    return max(types, key=lambda name: NUMERIC.index(_family(name)))


def _column(compiler: _Compiler, node: exp.Column) -> Expression:
    if node.name not in compiler.columns:
        raise UnknownName("column", node.name, compiler.columns)
    return Expression(f"`{node.name}`", compiler.columns[node.name])


def _literal(_: _Compiler, node: exp.Literal) -> Expression:
    if node.is_string:
        escaped = node.name.replace("\\", "\\\\").replace("'", "\\'")
        return Expression(f"'{escaped}'", "string")
    return Expression(node.name, "long" if node.is_int else "decimal")


def _arithmetic(function: str, fixed: str | None = None) -> "_Rule":
    def rule(compiler: _Compiler, node: exp.Binary) -> Expression:
        left, right = compiler.of(node.this, *NUMERIC), compiler.of(node.expression, *NUMERIC)
        kind = fixed or _widest([part.type for part in (left, right) if part.type != "null"] or ["long"])
        # Spark derives a precision of its own here: without one, a measure asks for an explicit cast
        return Expression(f"{function}({left.sql}, {right.sql})", _family(kind))

    return rule


def _negate(compiler: _Compiler, node: exp.Neg) -> Expression:
    inner = compiler.of(node.this, *NUMERIC)
    return Expression(f"try_subtract(0, {inner.sql})", inner.type)


def _abs(compiler: _Compiler, node: exp.Abs) -> Expression:
    # abs() of the smallest long throws; greatest() skips the NULL that try_subtract gives there
    inner = compiler.of(node.this, *NUMERIC)
    return Expression(f"greatest({inner.sql}, try_subtract(0, {inner.sql}))", inner.type)


def _comparison(operator: str) -> "_Rule":
    def rule(compiler: _Compiler, node: exp.Binary) -> Expression:
        (left, right), _ = compiler.alike(node.this, node.expression)
        return Expression(f"({left} {operator} {right})", "boolean")

    return rule


def _connective(operator: str) -> "_Rule":
    def rule(compiler: _Compiler, node: exp.Binary) -> Expression:
        left, right = compiler.of(node.this, "boolean"), compiler.of(node.expression, "boolean")
        return Expression(f"({left.sql} {operator} {right.sql})", "boolean")

    return rule


def _not(compiler: _Compiler, node: exp.Not) -> Expression:
    return Expression(f"(NOT {compiler.of(node.this, 'boolean').sql})", "boolean")


def _is(compiler: _Compiler, node: exp.Is) -> Expression:
    right = compiler.visit(node.expression)
    if right.type not in ("null", "boolean"):
        raise compiler.fail("IS takes null, true or false")
    return Expression(f"({compiler.visit(node.this).sql} IS {right.sql})", "boolean")


def _in(compiler: _Compiler, node: exp.In) -> Expression:
    parts, _ = compiler.alike(node.this, *node.expressions)
    return Expression(f"({parts[0]} IN ({', '.join(parts[1:])}))", "boolean")


def _between(compiler: _Compiler, node: exp.Between) -> Expression:
    (value, low, high), _ = compiler.alike(node.this, node.args["low"], node.args["high"])
    return Expression(f"({value} BETWEEN {low} AND {high})", "boolean")


def _like(compiler: _Compiler, node: exp.Like) -> Expression:
    value, pattern = compiler.of(node.this, "string"), compiler.of(node.expression, "string")
    if not isinstance(node.expression, exp.Literal) or "\\" in node.expression.name:
        raise compiler.fail(
            "LIKE takes a literal pattern without a backslash (a bad one would fail at run time)"
        )
    return Expression(f"({value.sql} LIKE {pattern.sql})", "boolean")


def _case(compiler: _Compiler, node: exp.Case) -> Expression:
    if node.this is not None:
        raise compiler.fail("CASE x WHEN is not allowed; write CASE WHEN x = ...")
    conditions = [compiler.of(branch.this, "boolean").sql for branch in node.args["ifs"]]
    results, kind = compiler.alike(
        *[branch.args["true"] for branch in node.args["ifs"]], node.args.get("default") or exp.Null()
    )
    branches = " ".join(f"WHEN {when} THEN {then}" for when, then in zip(conditions, results, strict=False))
    return Expression(f"(CASE {branches} ELSE {results[-1]} END)", kind)


def _if(compiler: _Compiler, node: exp.If) -> Expression:
    condition = compiler.of(node.this, "boolean").sql
    parts, kind = compiler.alike(node.args["true"], node.args.get("false") or exp.Null())
    return Expression(f"if({condition}, {', '.join(parts)})", kind)


def _alike(function: str) -> "_Rule":
    def rule(compiler: _Compiler, node: exp.Func) -> Expression:
        parts, kind = compiler.alike(*[part for part in (node.this, *node.expressions) if part is not None])
        return Expression(f"{function}({', '.join(parts)})", kind)

    return rule


def _nullif(compiler: _Compiler, node: exp.Nullif) -> Expression:
    parts, kind = compiler.alike(node.this, node.expression)
    return Expression(f"nullif({', '.join(parts)})", kind)


def _strings(function: str, kind: str) -> "_Rule":
    def rule(compiler: _Compiler, node: exp.Func) -> Expression:
        nodes = [
            part for part in (node.this, node.args.get("expression"), *node.expressions) if part is not None
        ]
        return Expression(f"{function}({', '.join(compiler.of(part, 'string').sql for part in nodes)})", kind)

    return rule


def _substring(compiler: _Compiler, node: exp.Substring) -> Expression:
    places = [
        compiler.of(part, "long").sql for part in (node.args.get("start"), node.args.get("length")) if part
    ]
    return Expression(f"substring({', '.join([compiler.of(node.this, 'string').sql, *places])})", "string")


def _time_part(function: str) -> "_Rule":
    def rule(compiler: _Compiler, node: exp.Func) -> Expression:
        return Expression(f"{function}({_instant(compiler, node.this)})", "long")

    return rule


def _instant(compiler: _Compiler, node: Any) -> str:
    inner = node.this if isinstance(node, exp.TsOrDsToDate | exp.Cast) and node.this is not None else node
    return compiler.of(inner, "timestamp").sql


def _cast(compiler: _Compiler, node: exp.Cast) -> Expression:
    inner, target = compiler.visit(node.this), node.to.sql(dialect="spark").lower()
    kind = _CASTS.get(target.partition("(")[0])
    if kind is None:
        raise compiler.fail(f"cast to {target}; allowed are {', '.join(_CASTS)}")
    return Expression(f"try_cast({inner.sql} AS {target})", target if kind == "decimal" else kind)


def _parenthesis(compiler: _Compiler, node: exp.Paren) -> Expression:
    inner = compiler.visit(node.this)
    return Expression(f"({inner.sql})", inner.type)


_Rule = Callable[[_Compiler, Any], Expression]
_CASTS = {name: name for name in ("string", "boolean", "timestamp", "double", "decimal")} | {"bigint": "long"}
_RULES: dict[type, _Rule] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: lambda _, node: Expression(str(node.this).lower(), "boolean"),
    exp.Null: lambda _, __: Expression("NULL", "null"),
    exp.Paren: _parenthesis,
    exp.Add: _arithmetic("try_add"),
    exp.Sub: _arithmetic("try_subtract"),
    exp.Mul: _arithmetic("try_multiply"),
    exp.Div: _arithmetic("try_divide", "double"),
    exp.Mod: _arithmetic("try_mod"),
    exp.Neg: _negate,
    exp.Abs: _abs,
    exp.EQ: _comparison("="),
    exp.NEQ: _comparison("<>"),
    exp.NullSafeEQ: _comparison("<=>"),
    exp.GT: _comparison(">"),
    exp.GTE: _comparison(">="),
    exp.LT: _comparison("<"),
    exp.LTE: _comparison("<="),
    exp.And: _connective("AND"),
    exp.Or: _connective("OR"),
    exp.Not: _not,
    exp.Is: _is,
    exp.In: _in,
    exp.Between: _between,
    exp.Like: _like,
    exp.Case: _case,
    exp.If: _if,
    exp.Coalesce: _alike("coalesce"),
    exp.Greatest: _alike("greatest"),
    exp.Least: _alike("least"),
    exp.Nullif: _nullif,
    exp.Lower: _strings("lower", "string"),
    exp.Upper: _strings("upper", "string"),
    exp.Trim: _strings("trim", "string"),
    exp.Length: _strings("length", "long"),
    exp.Concat: _strings("concat", "string"),
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
FUNCTIONS = tuple(
    sorted(
        "abs case cast coalesce concat contains day dayofweek endswith greatest hour if least length lower "
        "month nullif startswith substring trim try_cast upper year".split()
    )
)
