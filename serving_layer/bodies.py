"""Bodies of the events API: from bytes to events that the contract accepts, each with the bytes to log."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.contracts import Contract
from serving_layer.problems import Problem

__all__ = ["MAX_BYTES", "MAX_EVENTS", "Accepted", "parse_json", "read_events"]

MAX_BYTES = 4 << 20
MAX_EVENTS = 1000
_FAULTS_SHOWN = 100


@dataclass(frozen=True)
class Accepted:
    """An event that breaks nothing, as it will be logged."""

    event_id: str
    value: bytes


def read_events(body: bytes, contract: Contract) -> list[Accepted]:
    """All events of a body: one object, or an array of at most `MAX_EVENTS`.

    Raises `Problem` if it is not JSON, names a field twice, or any event breaks the contract.
    """
    parsed = parse_json(body)
    events = parsed if isinstance(parsed, list) else [parsed]
    if not 1 <= len(events) <= MAX_EVENTS:
        raise Problem.of_field("too-large", "body", f"{len(events)} events", f"1 to {MAX_EVENTS} events")
    _refuse_faulty(events, contract)
    # a single event is logged as it came; the elements of an array are written anew
    return [
        Accepted(event[contract.event_id], body if event is parsed else orjson.dumps(event))
        for event in events
    ]


def parse_json(body: bytes) -> Any:
    """Raises `Problem` for what is not JSON in UTF-8, and for a field that is named twice."""
    try:
        parsed = orjson.loads(body)
        json.loads(body, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise Problem("bad-json", f"the body is not JSON in UTF-8: {error}", field="body") from error
    return parsed


def _once(pairs: Sequence[tuple[str, Any]]) -> None:
    """orjson keeps the last of two values; which of them was meant, nobody can say."""
    seen = set[str]()
    for name, _ in pairs:
        if name in seen:
            raise Problem.of_field("bad-json", name, "given twice", "each field once in an object")
        seen.add(name)


def _refuse_faulty(events: Sequence[Any], contract: Contract) -> None:
    faults = [
        {"index": index, **violation._asdict()}
        for index, event in enumerate(events)
        for violation in contract.check(event)
    ]
    if faults:
        first = faults[0]
        detail = f"event {first['index']}: {first['field']} is {first['value']}; allowed: {first['allowed']}"
        raise Problem(
            "events-refused", detail, faults=len(faults), errors=faults[:_FAULTS_SHOWN],
            field=first["field"], value=first["value"], allowed=first["allowed"],
        )  # fmt: skip
