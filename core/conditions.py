"""Rules for conditions and choices: comparisons, connectives, IN, LIKE, CASE and the like."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from core.sqltypes import Expression

if TYPE_CHECKING:
    from core.expressions import Compiler

Rule = Callable[["Compiler", Any], Expression]


def comparison(operator: str) -> Rule:
    def rule(compiler: "Compiler", node: exp.Binary) -> Expression:
        (left, right), _ = compiler.alike(node.this, node.expression)
        return Expression(f"({left} {operator} {right})", "boolean")

    return rule


def connective(operator: str) -> Rule:
    def rule(compiler: "Compiler", node: exp.Binary) -> Expression:
        left, right = compiler.of(node.this, "boolean"), compiler.of(node.expression, "boolean")
        return Expression(f"({left.sql} {operator} {right.sql})", "boolean")

    return rule


def negation(compiler: "Compiler", node: exp.Not) -> Expression:
    return Expression(f"(NOT {compiler.of(node.this, 'boolean').sql})", "boolean")


def is_(compiler: "Compiler", node: exp.Is) -> Expression:
    if isinstance(node.expression, exp.Null):
        return Expression(f"({compiler.visit(node.this).sql} IS NULL)", "boolean")
    if not isinstance(node.expression, exp.Boolean):
        raise compiler.fail("IS takes null, true or false")
    # Spark would cast the left side, and that cast fails on the first text that is no boolean
    inner = compiler.of(node.this, "boolean")
    return Expression(f"({inner.sql} IS {str(node.expression.this).upper()})", "boolean")


def in_(compiler: "Compiler", node: exp.In) -> Expression:
    if not node.expressions:
        raise compiler.fail("IN takes a list of values")
    parts, _ = compiler.alike(node.this, *node.expressions)
    return Expression(f"({parts[0]} IN ({', '.join(parts[1:])}))", "boolean")


def between(compiler: "Compiler", node: exp.Between) -> Expression:
    if node.args.get("symmetric"):
        raise compiler.fail("BETWEEN SYMMETRIC is not allowed; put the smaller end first")
    (value, low, high), _ = compiler.alike(node.this, node.args["low"], node.args["high"])
    return Expression(f"({value} BETWEEN {low} AND {high})", "boolean")


def like(compiler: "Compiler", node: exp.Like) -> Expression:
    value, pattern = compiler.of(node.this, "string"), compiler.of(node.expression, "string")
    if not isinstance(node.expression, exp.Literal) or "\\" in node.expression.name:
        raise compiler.fail(
            "LIKE takes a literal pattern without a backslash (a bad one would fail at run time)"
        )
    return Expression(f"({value.sql} LIKE {pattern.sql})", "boolean")


def case(compiler: "Compiler", node: exp.Case) -> Expression:
    if node.this is not None:
        raise compiler.fail("CASE x WHEN is not allowed; write CASE WHEN x = ...")
    conditions = [compiler.of(branch.this, "boolean").sql for branch in node.args["ifs"]]
    results, kind = compiler.alike(
        *[branch.args["true"] for branch in node.args["ifs"]], node.args.get("default") or exp.Null()
    )
    branches = " ".join(f"WHEN {when} THEN {then}" for when, then in zip(conditions, results, strict=False))
    return Expression(f"(CASE {branches} ELSE {results[-1]} END)", kind)


def if_(compiler: "Compiler", node: exp.If) -> Expression:
    condition = compiler.of(node.this, "boolean").sql
    parts, kind = compiler.alike(node.args["true"], node.args.get("false") or exp.Null())
    return Expression(f"if({condition}, {', '.join(parts)})", kind)


def choice(function: str, at_least: int = 1) -> Rule:
    def rule(compiler: "Compiler", node: exp.Func) -> Expression:
        nodes = [part for part in (node.this, *node.expressions) if part is not None]
        if len(nodes) < at_least:
            raise compiler.fail(f"{function} takes at least {at_least} values")
        parts, kind = compiler.alike(*nodes)
        return Expression(f"{function}({', '.join(parts)})", kind)

    return rule


def nullif(compiler: "Compiler", node: exp.Nullif) -> Expression:
    parts, _ = compiler.alike(node.this, node.expression)
    return Expression(f"nullif({', '.join(parts)})", compiler.visit(node.this).type)
