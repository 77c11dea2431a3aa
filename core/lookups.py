"""Lookups: columns of a table that does not change, found for each event by a key of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from core.declarations import Declaration
from core.errors import DefinitionError, NotEvaluable
from core.evaluation import evaluator
from core.expressions import Expression
from core.keys import columns_in, key_text, key_text_sql, part_text
from core.tables import Table, TableRefused, digest_of, read_bytes, read_table
from core.views import key_part

__all__ = ["Lookup"]


@dataclass(frozen=True)
class Lookup(Declaration):
    """`path` is a CSV file with a line of names. `key` maps columns of it to expressions over an event's
    columns: the row whose cells are what these say gives the event the columns that `gives` maps to types,
    with `prefix` before their names. Where there is no such row they are NULL.

    The content of the file is part of what numbers mean: another one is another definition. `sha256`, where
    given, is the only content that there may be. `null` is what the file writes for NULL, beside nothing.
    """

    path: Path
    key: Mapping[str, str]
    gives: Mapping[str, str]
    prefix: str = ""
    null: str = ""
    sha256: str | None = None
    parts: tuple[Expression, ...] = field(default=(), repr=False, compare=False)
    types: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    found: Table | None = field(default=None, repr=False, compare=False)

    additive: ClassVar[bool] = True
    several: ClassVar[bool] = True

    def __hash__(self) -> int:
        return hash((self.path, *self.key.items(), *self.gives.items(), self.prefix, self.null, self.sha256))

    def bind(self, columns: Mapping[str, str]) -> Self:
        """Reads the file. Raises `TableRefused` too."""
        if not self.key or not self.gives:
            raise DefinitionError(f"{self!r} needs a key and columns that it gives")
        parts = {name: _part(text, columns) for name, text in self.key.items()}
        kinds = {name: part.type for name, part in parts.items()}
        table = read_table(self.path, self._content, kinds, self.gives, self.null)
        return replace(self, parts=tuple(parts.values()), types=columns, found=table)

    @property
    def columns(self) -> Mapping[str, str]:
        return {self.prefix + name: kind for name, kind in self.gives.items()}

    @property
    def reads(self) -> Sequence[str]:
        return list(dict.fromkeys(name for part in self.parts for name in columns_in(part.sql)))

    @property
    def meaning(self) -> Any:
        """Not the path: a file that was moved means the same."""
        pairs = [list(map(list, given.items())) for given in (self.key, self.gives)]
        return [*pairs, self.prefix, self.null, digest_of(self._content)]

    @property
    def table(self) -> Table:
        """The rows by the text of their key. Asked of one that is bound."""
        if self.found is None:
            raise DefinitionError(f"{self!r} is not bound to a contract yet; declare it of a Source")
        return self.found

    @property
    def key_sql(self) -> str:
        """SQL of an event's key, as `table` has it; never NULL."""
        return key_text_sql([part.sql for part in self.parts])

    def of_event(self) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        runs = [evaluator(text, self.types) for text in self.key.values()]
        names, table = tuple(self.columns), self.table

        def derived(values: Mapping[str, Any]) -> Mapping[str, Any]:
            row = table.row(key_text([part_text(run(values)) for run in runs]))
            return dict(zip(names, row, strict=True))

        return derived

    @cached_property
    def _content(self) -> bytes:
        # read once, so that what is looked up is what the hash says
        content = read_bytes(self.path)
        found = digest_of(content)
        if self.sha256 not in (None, found):
            raise TableRefused(self.path, f"has sha256 {found}, expected {self.sha256}; bring the right one")
        return content


def _part(text: str, columns: Mapping[str, str]) -> Expression:
    part = key_part(text, columns)
    try:
        evaluator(text, columns)
    except NotEvaluable as error:
        raise DefinitionError(f"key part {text!r}: {error}") from error
    return part
