"""The catalogue: what each view is, in the words of its definition and of its source's contract."""

import re
from collections.abc import Mapping
from typing import Any

from core.application import Application, BoundSource
from core.buckets import NAMES
from core.measures import Measure
from core.periods import UNITS
from core.views import CompiledView

__all__ = ["describe", "describe_all"]

_SHAPES: Mapping[str, tuple[str, str]] = {
    "Count": ("How many events", "an integer, exact"),
    "Sum": ("The sum", "an exact number; integers of any size, decimals with every digit"),
    "Mean": ("The mean", "a number: the exact sum over the exact count, divided once; null without values"),
    "Ratio": ("The ratio", "a number: one exact sum over another, divided once; null where that is 0"),
    "Min": ("The smallest value", "exact; null without values; times as ISO 8601"),
    "Max": ("The largest value", "exact; null without values; times as ISO 8601"),
    "Uniques": (
        "How many different values",
        "estimate, and lower and upper bounds that hold with about 99 % confidence",
    ),
    "Quantiles": (
        "Quantiles",
        "count, min and max exactly; for each rank a value, and as lower and upper the values at the ends of "
        "rank_error; these hold with about 99 % confidence",
    ),
    "Top": (
        "The most frequent values",
        "a list, the most frequent first: value, estimate, and lower and upper, which always hold",
    ),
}
_WORD = re.compile(r"[A-Za-z_]\w*")


def describe_all(application: Application) -> dict[str, Any]:
    """Every view of every source."""
    views = [describe(view, bound) for bound in application.sources.values() for view in bound.views.values()]
    return {"views": views, "sources": [_source(bound) for bound in application.sources.values()]}


def describe(view: CompiledView, bound: BoundSource) -> dict[str, Any]:
    """One view: its key, its measures, and how fine it is in time."""
    definition = bound.definitions[view.name]
    key = definition.key if isinstance(definition.key, Mapping) else {name: name for name in definition.key}
    return {
        "name": view.name,
        "source": bound.source.name,
        "description": view.description,
        "url": f"/v1/views/{view.name}",
        "where": definition.where,
        "bucket": definition.bucket,
        "tiles": [_width(width) for width in view.tiles],
        "every": [unit for unit, width in UNITS.items() if width % view.width == 0],
        "key": [_part(name, key[name], view.key[name].type, bound) for name in view.key],
        "measures": [_measure(name, measure, bound) for name, measure in view.measures.items()],
    }


def _source(bound: BoundSource) -> dict[str, Any]:
    contract = bound.contract
    return {
        "name": bound.source.name,
        "topic": bound.source.topic,
        "contract": {"name": contract.name, "version": contract.version, "description": contract.description},
        "columns": [
            {
                "name": column.name,
                "type": column.type,
                "required": column.required,
                "personal": column.personal,
                "allowed": column.allowed,
                "meaning": column.description,
            }
            for column in contract.columns
        ],
    }


def _part(name: str, expression: str, kind: str, bound: BoundSource) -> dict[str, Any]:
    return {"name": name, "type": kind, "expression": expression, "meaning": _meanings(expression, bound)}


def _measure(name: str, measure: Measure, bound: BoundSource) -> dict[str, Any]:
    kind = type(measure.plain).__name__
    what, shape = _SHAPES.get(kind, (kind, "see the definition"))
    return {
        "name": name,
        "measure": measure.meaning,
        "approximate": measure.approximate,
        "meaning": f"{what} of {' over '.join(measure.expressions)}" if measure.expressions else what,
        "columns": _meanings(" ".join(measure.expressions), bound),
        "answer": shape,
    }


def _meanings(expression: str, bound: BoundSource) -> dict[str, str]:
    """The contract's description of every column that an expression names."""
    words = set(_WORD.findall(expression))
    return {column.name: column.description for column in bound.contract.columns if column.name in words}


def _width(width: int) -> str:
    return f"1 {NAMES[width]}" if width in NAMES else f"{width // 60} minutes"
