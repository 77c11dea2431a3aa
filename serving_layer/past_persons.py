"""Persons of events between a version and a position: those of the version, as in the speed layer.

Who is one person since then, what events say of ids tells: each says it in a column that pairs are made of.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.evaluation import evaluator
from core.groups import word
from core.identity import PERSON, SAID, Identity
from core.resolutions import Resolution
from serving_layer.past_events import Before, PastEvent

__all__ = ["person_of", "with_persons"]

Values = Mapping[str, Any]


def with_persons(events: Sequence[PastEvent], identity: Identity, before: Before) -> list[PastEvent]:
    """The events with their persons and what they say of two ids. Raises `NotEvaluable`."""
    person, said = person_of(identity, before.columns, before.persons), _word_of(identity, before.columns)
    return [
        replace(event, values={**event.values, **person(event.values), SAID: said(event)}) for event in events
    ]


def person_of(
    identity: Identity, columns: Mapping[str, str], persons: Resolution
) -> Callable[[Values], Values]:
    """The person of a record, from its values, as a column; NULL without an id. Raises `NotEvaluable`."""
    id_of = evaluator(identity.id, columns)

    def person(values: Values) -> Values:
        id_ = id_of(values)
        return {PERSON: None if id_ is None else persons.person(id_)}

    return person


def _word_of(identity: Identity, columns: Mapping[str, str]) -> Callable[[PastEvent], str | None]:
    texts = (identity.id, identity.same, identity.undone)
    id_of, same_of, undone = (evaluator(text, columns) for text in texts)

    def said(event: PastEvent) -> str | None:
        one, other = id_of(event.values), same_of(event.values)
        if one is None or other is None or one == other:
            return None
        return word(event.segment, *event.place, undone(event.values) is True)

    return said
