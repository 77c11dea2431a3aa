"""Corrections: events that take back, or take the place of, an earlier one.

An event stops counting when a later event of the log names it, or names the event that it itself had named.
So an order that is edited twice may name its first id each time, or each edit the one before. The rule is
local: what is taken back stays so, whatever befalls the correction. `core.chains` is the rule in code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from core.declarations import Declaration
from core.errors import DefinitionError, NotEvaluable
from core.evaluation import evaluator
from core.expressions import compile_expression
from core.keys import columns_in
from core.measures import Slot
from core.packing import Codec
from core.sources import Source

__all__ = ["Corrections", "EventCodec", "check_company", "corrections_of"]

_KINDS = {"string": "text", "long": "long", "double": "double", "boolean": "long", "timestamp": "long"}


@dataclass(frozen=True)
class Corrections(Declaration):
    """`target` is a column with the event id of an earlier event, or NULL; `retracts` is a condition.

    A correction for which `retracts` is true only takes back. Any other one takes the place of what it names:
    it counts as any event does, with a time, a key and values of its own. It must be sent with the Kafka key
    of what it corrects, and behind it.
    """

    target: str
    retracts: str = "false"
    condition: str = field(default="", repr=False, compare=False)
    types: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def bind(self, columns: Mapping[str, str]) -> Self:
        target = compile_expression(self.target, columns)
        if target.type != "string" or self.target not in columns:
            raise DefinitionError(
                f"target={self.target!r} is {target.type}; it names a column of strings that holds event ids"
            )
        condition = compile_expression(self.retracts, columns)
        if condition.type != "boolean":
            raise DefinitionError(f"retracts={self.retracts!r} is {condition.type}; a condition is boolean")
        try:
            evaluator(self.retracts, columns)
        except NotEvaluable as error:
            raise DefinitionError(f"retracts={self.retracts!r}: {error}") from error
        return type(self)(self.target, self.retracts, condition.sql, columns)

    @property
    def columns(self) -> Mapping[str, str]:
        return {}

    @property
    def reads(self) -> Sequence[str]:
        return list(dict.fromkeys([self.target, *columns_in(self.condition)]))

    def retracting(self) -> Callable[[Mapping[str, Any]], bool]:
        """Whether an event, by its decoded values, only takes back: where the condition is true, and a
        target is named."""
        holds, target = evaluator(self.retracts, self.types), self.target
        return lambda values: values[target] is not None and holds(values) is True

    @property
    def retracting_sql(self) -> str:
        """The same as SQL that is never NULL."""
        return f"(`{self.target}` IS NOT NULL AND coalesce({self.condition}, false))"


def corrections_of(source: Source) -> Corrections | None:
    """What a source declares of corrections, not bound to its contract."""
    return next((one for one in source.declares if isinstance(one, Corrections)), None)


def check_company(source: Source) -> None:
    """Raise `DefinitionError` for a source that declares corrections and something derived from the events
    before: what is derived of those around one that is taken back would have to follow. What is derived of
    an event alone (`additive`) is bound last, and so of those that are taken back as well."""
    others = [one for one in source.declares if not (isinstance(one, Corrections) or one.additive)]
    if others and corrections_of(source):
        raise DefinitionError(
            f"source {source.name!r} declares Corrections and {type(others[0]).__name__}, which do not go "
            "together; give one of them a source of its own"
        )


@dataclass(frozen=True)
class EventCodec:
    """Packs the values of some columns, name -> type, of an event, as a decoder gives them."""

    columns: Mapping[str, str]

    @property
    def codec(self) -> Codec:
        return Codec(tuple(Slot(name, _kind(kind)) for name, kind in self.columns.items()))

    def packer(self) -> Callable[[tuple[Any, ...]], bytes]:
        return self.codec.pack

    def unpacker(self) -> Callable[[bytes], tuple[Any, ...]]:
        unpack, flags = self.codec.unpack, [kind == "boolean" for kind in self.columns.values()]

        def values(packed: bytes) -> tuple[Any, ...]:
            found = unpack(packed)
            return tuple(
                bool(value) if flag and value is not None else value
                for flag, value in zip(flags, found, strict=True)
            )

        return values


def _kind(kind: str) -> str:
    precision = kind.partition("(")[2].strip(")").partition(",")[2]
    return _KINDS.get(kind) or f"decimal(38,{precision or 0})"
