"""From JSON to models, by the types of their fields. What a model does not know is left out."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from client.errors import NotUnderstood
from client.models import Measures, wire_name
from client.values import Value, moment, value_of

__all__ = ["decode", "parse"]

Model = TypeVar("Model")
Convert = Callable[[Any], Any]
_MODELS: dict[Any, Convert] = {}


def parse(text: str | bytes) -> Any:
    """JSON with every digit of every number."""
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise NotUnderstood(f"the answer is not JSON: {error}") from error


def decode(model: type[Model], text: str) -> Model:
    """Raises `NotUnderstood` if a field is missing, which an older release may not have had."""
    wire = parse(text)
    try:
        found: Model = _model(model)(wire)
    except (KeyError, TypeError, ValueError) as error:
        raise NotUnderstood(f"this is no {model.__name__} that this client knows: {error!r}") from error
    return replace(found, raw=text) if hasattr(found, "raw") else found  # type: ignore[type-var]


def _model(model: Any) -> Convert:
    if model not in _MODELS:
        _MODELS[model] = _compiled(model)
    return _MODELS[model]


def _compiled(model: Any) -> Convert:
    hints = get_type_hints(model)
    parts = [
        (one.name, wire_name(one), _converter(hints[one.name])) for one in fields(model) if one.name != "raw"
    ]
    # what has a default is told only where there is something to tell
    silent = {one.name for one in fields(model) if one.default_factory is not MISSING}
    return lambda wire: model(
        **{
            name: convert(wire[called])
            for name, called, convert in parts
            if called in wire or name not in silent
        }
    )


def _converter(hint: Any) -> Convert:
    if hint is datetime:
        return moment
    if hint == Measures:
        return _measures
    if hint == Value:
        return value_of
    if is_dataclass(hint):
        return _model(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        convert = _converter(inner[0])
        return lambda wire: tuple(map(convert, wire))
    if origin in (Union, UnionType) and NoneType in inner:
        return _optional([one for one in inner if one is not NoneType])
    return _as_it_is


def _optional(kinds: list[Any]) -> Convert:
    convert = _converter(kinds[0]) if len(kinds) == 1 else _as_it_is
    return lambda wire: None if wire is None else convert(wire)


def _measures(wire: Mapping[str, Any]) -> Measures:
    return {name: value_of(value) for name, value in wire.items()}


def _as_it_is(wire: Any) -> Any:
    return wire
