"""Data contracts: what counts as a valid event of a source.

A contract is a file of the Open Data Contract Standard (version 3). This module reads the part of it that
decides validity; whatever would change validity and cannot be honoured is refused, never ignored.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import yaml

from core.columns import Column, ContractRefused
from core.decoding import DECODER_VERSION, MAX_BYTES, Decoder
from core.errors import UnknownName
from core.properties import MAX_TEXT, read_column
from core.violations import Violation

__all__ = ["Contract"]

MAX_EVENT_ID = 128


@dataclass(frozen=True)
class Contract:
    """The columns of a source's events and the two of them that give identity and time."""

    name: str
    version: str
    columns: tuple[Column, ...]
    event_id: str = "event_id"
    event_time: str = "event_time"
    description: str = ""

    @classmethod
    def load(
        cls, source: Path | str, event_id: str = "event_id", event_time: str = "event_time"
    ) -> "Contract":
        """Reads a path, or YAML text (a string of several lines).

        Raises ContractRefused, which names the file, the property, its value and what is allowed.
        """
        where, text = _text(source)
        document = _mapping(where, _yaml(where, text))
        schema = _schema(where, document)
        columns = tuple(read_column(where, _mapping(where, entry)) for entry in schema["properties"])
        _refuse_twins(where, columns)
        columns = _with_identity(where, columns, event_id, event_time)
        _refuse_unkept(where, schema["properties"], event_id)
        description = " ".join(str(schema.get("description", "")).split())
        return cls(str(schema["name"]), str(document["version"]), columns, event_id, event_time, description)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of all that decides what bytes decode to; versions and descriptions do not."""
        meaning = {
            "decoder": [DECODER_VERSION, MAX_BYTES],
            "identity": [self.event_id, self.event_time],
            "columns": [_meaning(column) for column in self.columns],
        }
        return hashlib.sha256(orjson.dumps(meaning, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Column name to type, in the order of the columns."""
        return {column.name: column.type for column in self.columns}

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.columns)

    def decoder(self) -> Decoder:
        """What decodes records by this contract; made once, pickles."""
        return self._decoder

    def check(self, event: dict[str, Any]) -> list[Violation]:
        """Everything that is wrong with an event parsed from JSON; empty exactly where it decodes."""
        return self._decoder.check(event)

    def column(self, name: str) -> Column:
        """The column of that name; raises UnknownName with the nearest."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownName("column", name, self.types)


def _meaning(column: Column) -> list[object]:
    ends = [None if end is None else str(end) for end in (column.low, column.high)]
    return [column.name, column.type, column.required, *ends, column.pattern, list(column.choices)]


def _text(source: Path | str) -> tuple[str, str]:
    if isinstance(source, str) and "\n" in source:
        return "contract", source
    try:
        return str(source), Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractRefused(str(source), "file", str(source), f"a readable YAML file ({error})") from error


def _yaml(where: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContractRefused(where, "text", text[:40], f"YAML ({' '.join(str(error).split())})") from error


def _mapping(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ContractRefused(where, "entry", value, "a mapping with named keys")
    return value


def _schema(where: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    if document.get("kind") != "DataContract":
        raise ContractRefused(where, "kind", document.get("kind"), ["DataContract"])
    if not str(document.get("apiVersion", "")).startswith("v3."):
        raise ContractRefused(where, "apiVersion", document.get("apiVersion"), ["v3.0.2", "v3.1.0", "v3.2.0"])
    if not isinstance(document.get("version"), str):
        raise ContractRefused(
            where, "version", document.get("version"), "the contract's own version, as quoted text"
        )
    schemas = document.get("schema")
    if not isinstance(schemas, list) or len(schemas) != 1:
        raise ContractRefused(where, "schema", schemas, "a list of exactly one object")
    return _object(where, _mapping(where, schemas[0]))


def _object(where: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(schema.get("name"), str):
        raise ContractRefused(where, "name of the schema", schema.get("name"), "text")
    if not isinstance(schema.get("properties"), list) or not schema["properties"]:
        raise ContractRefused(
            where, "properties", schema.get("properties"), "a list of at least one property"
        )
    return schema


def _refuse_twins(where: str, columns: tuple[Column, ...]) -> None:
    seen: set[str] = set()
    for column in columns:
        # SQL names have no case
        if column.name.lower() in seen:
            raise ContractRefused(
                where, "name of a property", column.name, "a name used once, whatever its case"
            )
        seen.add(column.name.lower())


def _with_identity(
    where: str, columns: tuple[Column, ...], event_id: str, event_time: str
) -> tuple[Column, ...]:
    _expect(where, columns, event_id, "string")
    _expect(where, columns, event_time, "timestamp")
    return tuple(_bounded(where, column) if column.name == event_id else column for column in columns)


def _expect(where: str, columns: tuple[Column, ...], name: str, type_: str) -> None:
    found = next((column for column in columns if column.name == name), None)
    if found is None:
        raise ContractRefused(
            where,
            f"properties without {name!r}",
            [c.name for c in columns],
            f"with a {name!r} of type {type_}",
        )
    if found.type != type_ or not found.required:
        given = f"{'required' if found.required else 'optional'} {found.type}"
        raise ContractRefused(where, f"property {name!r}", given, f"required {type_}")


def _bounded(where: str, column: Column) -> Column:
    """An event_id has 1 to 128 characters where the contract does not say less."""
    low, high = max(1, int(column.low or 0)), int(column.high or 0)
    if MAX_EVENT_ID < high < MAX_TEXT:
        raise ContractRefused(where, f"property {column.name!r}, maxLength", high, f"at most {MAX_EVENT_ID}")
    return replace(column, low=low, high=min(high, MAX_EVENT_ID))


def _refuse_unkept(where: str, properties: list[Mapping[str, Any]], event_id: str) -> None:
    """Nothing here makes another column unique: a promise that nobody keeps is refused."""
    for entry in properties:
        for key in ("primaryKey", "unique"):
            if entry.get(key) and entry["name"] != event_id:
                raise ContractRefused(
                    where,
                    f"property {entry['name']!r}, {key}",
                    True,
                    f"false: only {event_id!r} identifies an event",
                )
