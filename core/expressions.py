"""SQL expressions of definitions: parsed, typed, and rewritten so that no value can stop a job.

An expression is compiled against the columns of a contract. Only functions that are deterministic and
total are let through; `core.rules` says what becomes of each.
"""

from collections.abc import Mapping
from typing import Any

import sqlglot
from sqlglot import exp

from core.errors import ExpressionError, UnknownName
from core.rules import RULES
from core.sqltypes import NUMERIC, Expression, family, widest

__all__ = ["FUNCTIONS", "Expression", "compile_expression"]

FUNCTIONS = (
    *("abs", "case", "cast", "coalesce", "concat", "contains", "day", "dayofweek", "endswith", "greatest"),
    *("hour", "if", "least", "length", "lower", "month", "nullif", "startswith", "substring", "trim"),
    *("try_cast", "upper", "year"),
)


def compile_expression(text: str, columns: Mapping[str, str]) -> Expression:
    """Compile `text` over `columns` (name -> type).

    Raises `ExpressionError` for what cannot be parsed, typed or allowed, and `UnknownName` for a column
    or a function that does not exist here.
    """
    try:
        tree = sqlglot.parse_one(text, dialect="spark")
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        why = next(iter(str(error).splitlines()), "")
        raise ExpressionError(f"expression {text!r} is not SQL: {why}") from error
    return Compiler(text, columns).visit(tree)


class Compiler:
    """Compiles the nodes of one expression; the rules call back for the parts of a node."""

    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        self.text, self.columns = text, columns

    def visit(self, node: Any) -> Expression:
        rule = RULES.get(type(node))
        if rule is None:
            raise self._refused(node)
        return rule(self, node)

    def fail(self, why: str) -> ExpressionError:
        return ExpressionError(f"expression {self.text!r}: {why}")

    def column(self, name: str) -> Expression:
        if name not in self.columns:
            raise UnknownName("column", name, self.columns)
        return Expression(f"`{name}`", self.columns[name])

    def of(self, node: Any, *families: str) -> Expression:
        """A part that must be of one of these families, or NULL."""
        typed = self.visit(node)
        if typed.family not in (*families, "null"):
            raise self.fail(f"{node.sql()} is {typed.type}, where {' or '.join(families)} is needed")
        return typed

    def alike(self, *nodes: Any) -> tuple[list[str], str]:
        """The parts' SQL and the one type they share: comparing unlike types would cast, and casts fail."""
        parts = [self.visit(node) for node in nodes]
        types = {part.type for part in parts if part.type != "null"} or {"null"}
        if len(types) == 1:
            return [part.sql for part in parts], types.pop()
        if not all(family(name) in NUMERIC for name in types):
            raise self.fail(f"{' and '.join(sorted(types))} do not go together; use cast")
        if (kind := widest(types)) == "decimal":
            raise self.fail(
                f"{' and '.join(sorted(types))} need more digits than there are; "
                "say how wide each is: cast(... as decimal(p,s))"
            )
        return [part.sql for part in parts], kind

    def _refused(self, node: Any) -> ExpressionError | UnknownName:
        if isinstance(node, exp.Func):
            name = str(node.this) if isinstance(node, exp.Anonymous) else node.sql_name()
            return UnknownName(f"or not deterministic function in {self.text!r}:", name.lower(), FUNCTIONS)
        return self.fail(f"{node.key} is not allowed; use columns, literals and {', '.join(FUNCTIONS)}")
