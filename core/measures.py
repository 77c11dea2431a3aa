"""Measures: mergeable partial results, defined once for the batch layer, the speed layer and the merge.

A partial is a flat tuple of slots. Spark computes it with `partial_sql` over events and `merge_sql` over
partials; Python has `lift`, `merge` and `present`. Every measure is a commutative monoid with `zero`.
Exact measures are integers, decimals, extremes; sketches are Apache DataSketches in both engines.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, ClassVar, Self

from core.errors import DefinitionError
from core.expressions import Expression, compile_expression

Partial = tuple[Any, ...]


@dataclass(frozen=True)
class Slot:
    """One column of a partial: `kind` is long, double, text, blob or decimal(38,s)."""

    suffix: str
    kind: str


@dataclass(frozen=True)
class Measure(ABC):
    """A commutative monoid over the values of one SQL expression."""

    expression: str | None = None
    input: Expression | None = field(default=None, repr=False, compare=False, kw_only=True)

    accepts: ClassVar[tuple[str, ...]] = ()
    approximate: ClassVar[bool] = False
    invertible: ClassVar[bool] = False

    def bind(self, columns: dict[str, str]) -> Self:
        """This measure with its expression compiled; raises `DefinitionError` if the type does not fit."""
        if self.expression is None:
            raise DefinitionError(f"{type(self).__name__} needs an expression, for instance a column's name")
        compiled = compile_expression(self.expression, columns)
        if compiled.family not in self.accepts:
            raise DefinitionError(
                f"{type(self).__name__}({self.expression!r}) is over {compiled.type}; "
                f"it takes {', '.join(self.accepts)}{self._way_out(compiled)}"
            )
        return replace(self, input=compiled)

    def _way_out(self, compiled: Expression) -> str:
        return "; cast it, for instance cast(x as decimal(18,4))" if compiled.family == "double" else ""

    @property
    def expressions(self) -> tuple[str, ...]:
        """What it is made of, as its definition says."""
        return () if self.expression is None else (self.expression,)

    @property
    def sql(self) -> str:
        """The compiled input; raises if the measure was never bound to a contract."""
        if self.input is None:
            raise DefinitionError(f"{self!r} is not bound to a contract yet; use it inside a View")
        return self.input.sql

    @property
    def plain(self) -> "Measure":
        """The measure as a definition names it: itself, unless it is kept together with something else."""
        return self

    @property
    def meaning(self) -> str:
        """What the semantics hash and the API's catalogue say of this measure."""
        return repr(self)

    @property
    @abstractmethod
    def slots(self) -> tuple[Slot, ...]: ...

    def row_sql(self, value: str) -> str:
        """What one event gives to the aggregates, and to `lift`; `value` is the SQL of the input."""
        return value

    @abstractmethod
    def partial_sql(self, value: str) -> tuple[str, ...]:
        """Aggregates over events, one for each slot; `value` is the SQL of the input."""

    @abstractmethod
    def merge_sql(self, *columns: str) -> tuple[str, ...]:
        """Aggregates over partials, one for each slot."""

    @property
    @abstractmethod
    def zero(self) -> Partial: ...

    @abstractmethod
    def lift(self, value: Any) -> Partial:
        """The partial of one value, in plain Python: what oracles and the model fold."""

    def lift_all(self, values: Sequence[Any]) -> Partial:
        """The partial of many values; a measure for which one pass is cheaper overrides it."""
        return self.merge_all([self.lift(value) for value in values])

    @abstractmethod
    def merge(self, left: Partial, right: Partial) -> Partial: ...

    def merge_all(self, partials: Sequence[Partial]) -> Partial:
        """As `merge` over all of them; a measure for which one pass is cheaper overrides it."""
        return reduce(self.merge, partials, self.zero)

    def inverse(self, partial: Partial) -> Partial:
        """What merged with `partial` gives `zero`: where it is invertible, events can be taken back."""
        raise DefinitionError(f"{self!r} cannot take back events: it holds no trace of single ones")

    def retracted(self, partial: Partial, events: int) -> Partial:
        """What merged in takes back the events that `partial` is of, as far as it can: `events` says how many
        these are."""
        return self.inverse(partial) if self.invertible else self.zero

    def uncorrected(self, partial: Partial) -> int:
        """How many events were to be taken back, and still count in what is shown."""
        return 0

    @abstractmethod
    def present(self, partial: Partial) -> Any:
        """What an answer shows; an approximate measure shows its bounds as well."""

    def same(self, expected: Partial, found: Partial) -> bool:
        """Whether two folds of the same events may differ like this: sketches within what they promise."""
        return expected == found

    def figure(self, partial: Partial) -> Any:
        """One number or text that stands for a partial where two are held against each other."""
        return partial[0]
