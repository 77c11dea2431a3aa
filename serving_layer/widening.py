"""What counts persons where pairs are not in what was counted: bounds made wide enough, and what has none."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.identity import person_counts
from core.views import CompiledView
from serving_layer.ports import PersonNote

__all__ = ["outdated", "widened", "widened_measures"]


def outdated(view: CompiledView, note: PersonNote | None) -> Sequence[str]:
    """The measures that count by former persons, and have no bounds that say so."""
    return view.recounted if note is not None and (note.down or note.up) else ()


def widened(
    view: CompiledView, rows: Sequence[Mapping[str, Any]], note: PersonNote | None
) -> list[dict[str, Any]]:
    """Rows whose whole, and whose speed part, may count some persons more than once, or two as one."""
    names = person_counts(view) if note is not None and (note.down or note.up) else ()
    if note is None or not names:
        return [dict(row) for row in rows]
    return [
        {
            **row,
            "measures": widened_measures(row["measures"], names, note),
            "speed": row["speed"] and widened_measures(row["speed"], names, note),
        }
        for row in rows
    ]


def widened_measures(measures: Mapping[str, Any], names: Sequence[str], note: PersonNote) -> dict[str, Any]:
    return {name: _wide(shown, note) if name in names else shown for name, shown in measures.items()}


def _wide(shown: Mapping[str, float], note: PersonNote) -> dict[str, float]:
    """At least one person remains of those that were counted."""
    least = min(shown["lower"], 1.0)
    return {
        **shown, "lower": max(least, shown["lower"] - note.down), "upper": shown["upper"] + note.up,
    }  # fmt: skip
