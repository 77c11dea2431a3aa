"""SQL expressions of definitions, evaluated in plain Python on one event: what Spark gives, or a refusal.

Values are those that a contract's decoder gives: a timestamp is microseconds since 1970. What Python cannot
give to the last digit (a double as text, a text as a number or a time) is refused when it is compiled, never
guessed.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp

from core import logic
from core.conversions import Run, cast, coerced, part_of_time
from core.errors import NotEvaluable
from core.expressions import Compiler, compile_expression
from core.logic import total
from core.numbers import ARITHMETIC, below, divide, larger, negative, same, smaller

__all__ = ["evaluator"]

Rule = Callable[["_Evaluator", Any], Run]


def evaluator(text: str, columns: Mapping[str, str]) -> Run:
    """A function of an event's values by column. Raises `NotEvaluable`, and whatever compiling raises."""
    compile_expression(text, columns)
    return _Evaluator(text, columns).of(sqlglot.parse_one(text, dialect="spark"))


class _Evaluator:
    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        self._text, self._compiler = text, Compiler(text, columns)

    def of(self, node: Any) -> Run:
        return _RULES[type(node)](self, node)

    def type(self, node: Any) -> str:
        found = self._compiler.visit(node).type
        if found == "decimal":
            raise self.refuse(f"the digits of {node.sql()} are Spark's to choose")
        return found

    def alike(self, *nodes: Any) -> list[Run]:
        """The parts, as values of the one type they share."""
        kind = self._compiler.alike(*nodes)[1]
        return [coerced(self.of(node), self.type(node), kind) for node in nodes]

    def widened(self, node: exp.Binary) -> tuple[Run, Run, str]:
        """Both sides of an arithmetic node as its result's kind of number, and its type."""
        kind = self.type(node)
        family = "double" if kind == "double" else ""
        left, right = (coerced(self.of(p), self.type(p), family) for p in (node.this, node.expression))
        return left, right, kind

    def refuse(self, why: str) -> NotEvaluable:
        return NotEvaluable(self._text, why)


def _column(of: _Evaluator, node: exp.Column) -> Run:
    return operator.itemgetter(node.name)


def _literal(of: _Evaluator, node: exp.Literal) -> Run:
    text, kind = str(node.name), of.type(node)
    if node.is_string:
        return lambda _: text
    value = cast("string-literal", kind, text)
    return lambda _: value


def _constant(value: object) -> Rule:
    return lambda _, __: lambda ___: value


def _arithmetic(of: _Evaluator, node: exp.Binary) -> Run:
    left, right, kind = of.widened(node)
    return total(ARITHMETIC[type(node).__name__](kind), left, right)


def _divide(of: _Evaluator, node: exp.Div) -> Run:
    return total(divide, *(coerced(of.of(p), of.type(p), "double") for p in (node.this, node.expression)))


def _negate(of: _Evaluator, node: exp.Neg) -> Run:
    return total(negative, of.of(node.this))


def _abs(of: _Evaluator, node: exp.Abs) -> Run:
    return total(lambda value: negative(value) if value < 0 else value, of.of(node.this))


def _comparison(function: Callable[[Any, Any], bool]) -> Rule:
    return lambda of, node: total(function, *of.alike(node.this, node.expression))


def _is(of: _Evaluator, node: exp.Is) -> Run:
    inner = of.of(node.this)
    wanted = None if isinstance(node.expression, exp.Null) else bool(node.expression.this)
    return lambda values: inner(values) is wanted


def _like(of: _Evaluator, node: exp.Like) -> Run:
    signs = {"%": ".*", "_": "."}
    pattern = "".join(signs.get(char) or re.escape(char) for char in node.expression.name)
    matches = re.compile(pattern, re.DOTALL).fullmatch
    return total(lambda text: matches(text) is not None, of.of(node.this))


def _case(of: _Evaluator, node: exp.Case) -> Run:
    branches = node.args["ifs"]
    *results, default = of.alike(*(b.args["true"] for b in branches), node.args.get("default") or exp.Null())
    conditions = [of.of(branch.this) for branch in branches]
    return logic.case(list(zip(conditions, results, strict=True)), default)


def _if(of: _Evaluator, node: exp.If) -> Run:
    then, otherwise = of.alike(node.args["true"], node.args.get("false") or exp.Null())
    return logic.case([(of.of(node.this), then)], otherwise)


def _choice(choose: Callable[[list[Any]], Any]) -> Rule:
    def rule(of: _Evaluator, node: exp.Func) -> Run:
        parts = [part for part in (node.this, *node.expressions) if part is not None]
        return logic.choice(choose, *of.alike(*parts))

    return rule


def _nullif(of: _Evaluator, node: exp.Nullif) -> Run:
    return logic.nullif(of.of(node.this), total(same, *of.alike(node.this, node.expression)))


def _strings(function: Callable[..., Any]) -> Rule:
    def rule(of: _Evaluator, node: exp.Func) -> Run:
        parts = [p for p in (node.this, node.args.get("expression"), *node.expressions) if p is not None]
        return total(function, *(of.of(part) for part in parts))

    return rule


def _substring(of: _Evaluator, node: exp.Substring) -> Run:
    places = [of.of(part) for part in (node.args.get("start"), node.args.get("length")) if part]
    return total(_part_of_text, of.of(node.this), *places)


def _part_of_text(text: str, start: int, length: int = (1 << 31) - 1) -> str | None:
    if not all(-(1 << 31) <= place < 1 << 31 for place in (start, length)):
        return None
    first = start - 1 if start > 0 else len(text) + start if start < 0 else 0
    return text[max(first, 0) : max(first + length, 0)]


def _time_part(name: str) -> Rule:
    def rule(of: _Evaluator, node: exp.Func) -> Run:
        inner = node.this.this if isinstance(node.this, exp.TsOrDsToDate) else node.this
        return total(part_of_time(name), of.of(inner))

    return rule


def _cast(of: _Evaluator, node: exp.Cast) -> Run:
    source, target = of.type(node.this), of.type(node)
    if source == "string" and isinstance(node.this, exp.Literal):
        source = "string-literal"
    try:
        cast(source, target, None)
    except ValueError as error:
        raise of.refuse(str(error)) from None
    return total(lambda value: cast(source, target, value), of.of(node.this))


_RULES: dict[type, Rule] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: lambda _, node: _constant(bool(node.this))(_, node),
    exp.Null: _constant(None),
    exp.Paren: lambda of, node: of.of(node.this),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Mod), _arithmetic),
    exp.Div: _divide,
    exp.Neg: _negate,
    exp.Abs: _abs,
    exp.EQ: _comparison(same),
    exp.NEQ: _comparison(lambda left, right: not same(left, right)),
    exp.NullSafeEQ: lambda of, node: logic.null_safe(*of.alike(node.this, node.expression)),
    exp.GT: _comparison(lambda left, right: below(right, left)),
    exp.GTE: _comparison(lambda left, right: not below(left, right)),
    exp.LT: _comparison(below),
    exp.LTE: _comparison(lambda left, right: not below(right, left)),
    exp.And: lambda of, node: logic.connective(False, of.of(node.this), of.of(node.expression)),
    exp.Or: lambda of, node: logic.connective(True, of.of(node.this), of.of(node.expression)),
    exp.Not: lambda of, node: total(operator.not_, of.of(node.this)),
    exp.Is: _is,
    exp.In: lambda of, node: logic.is_in(*of.alike(node.this, *node.expressions)),
    exp.Between: lambda of, node: logic.between(*of.alike(node.this, node.args["low"], node.args["high"])),
    exp.Like: _like,
    exp.Case: _case,
    exp.If: _if,
    exp.Coalesce: _choice(lambda found: found[0]),
    exp.Greatest: _choice(larger),
    exp.Least: _choice(smaller),
    exp.Nullif: _nullif,
    exp.Lower: _strings(str.lower),
    exp.Upper: _strings(str.upper),
    exp.Trim: _strings(lambda text: text.strip(" ")),
    exp.Length: _strings(len),
    exp.Concat: _strings(lambda *texts: "".join(texts)),
    exp.DPipe: _strings(operator.add),
    exp.StartsWith: _strings(str.startswith),
    exp.EndsWith: _strings(str.endswith),
    exp.Contains: _strings(operator.contains),
    exp.Substring: _substring,
    **{getattr(exp, name): _time_part(name) for name in ("Hour", "DayOfWeek", "Day", "Month", "Year")},
    exp.Cast: _cast,
    exp.TryCast: _cast,
}
