"""Answers about several keys, and explanations, as text for a terminal."""

from collections.abc import Iterable, Sequence
from itertools import islice

from client.explanations import Explanation, FoundEvent
from client.models import Key, Measures
from client.several import Ranking, Result
from client.showing import parts_text, shown, standing_text, table

__all__ = ["explanation_text", "keys_text", "ranking_text"]


def keys_text(results: Iterable[Result], most: int) -> str:
    """A line for each of the first `most` keys: its parts and the measures of its newest row."""
    found = list(islice(results, most + 1))
    lines = [[*_values(one.key), *_cells(one.rows[-1].measures)] for one in found[:most] if one.rows]
    if not lines:
        return "no such keys"
    names = [*found[0].key, *found[0].rows[-1].measures]
    return table(names, lines) + ("\n... and more: -n says how many" if len(found) > most else "")


def ranking_text(ranking: Ranking) -> str:
    """A line for each key by its rank, and what no other key goes beyond."""
    if not ranking.rows:
        return f"no key has a value of {ranking.by}"
    names = ["rank", *ranking.rows[0].key, *ranking.rows[0].measures, ""]
    lines = [
        [str(row.rank), *_values(row.key), *_cells(row.measures), "" if row.certain else "not certain"]
        for row in ranking.rows
    ]
    side = "less" if ranking.order == "least" else "more"
    beyond = f"none of {ranking.others.keys:,} other keys has {side} than {shown(ranking.others.bound)}"
    kind = "exact" if ranking.exact else "within bounds"
    return f"{table(names, lines)}\n\n{kind}; {beyond}\n{standing_text(ranking)}"


def explanation_text(told: Explanation) -> str:
    """The number, where each layer read it, and the events behind it."""
    body = "\n".join(map(parts_text, told.rows))
    layers = [f"{name}: {_layer(held)}" for name, held in _layers(told)]
    return "\n".join([body, "", f"definition: {told.definition.get('view')}", *layers, "", _events(told)])


def _layers(told: Explanation) -> Sequence[tuple[str, object]]:
    return (("batch", told.layers.batch), ("speed", told.layers.speed))


def _layer(held: object) -> str:
    if not isinstance(held, dict):
        return "nothing"
    plain = {name: value for name, value in held.items() if not isinstance(value, list)}
    spans = [f"{one['partition']}:{one['from']}-{one['to']}" for one in held.get("positions", [])]
    return ", ".join([*(f"{name} {value}" for name, value in plain.items()), f"records {' '.join(spans)}"])


def _events(told: Explanation) -> str:
    if told.events is None:
        return f"events are not listed: {told.unlisted}"
    if not told.events:
        return "no events in the master dataset"
    header = ["position", "event", "time", "layer", "outcome", "why"]
    return table(header, map(_event, told.events)) + (
        "\n... and more: -n says how many" if told.cursor else ""
    )


def _event(one: FoundEvent) -> list[str]:
    place, time = f"{one.partition}:{one.offset}", shown(one.event_time)
    return [place, one.event_id or "-", time, one.layer, one.outcome, one.why or ""]


def _values(key: Key) -> list[str]:
    return ["NULL" if value is None else str(value) for value in key.values()]


def _cells(measures: Measures) -> list[str]:
    return [shown(value) for value in measures.values()]
