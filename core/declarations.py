"""What a source declares beyond its contract: columns derived from an event, and maybe from those before it.

A declaration is data, as a view is. Each layer has a table of its own that says how a class of declaration is
derived there (`deriving.py`); a class that a table does not know is refused by name when a job starts.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from core.errors import DefinitionError
from core.names import check_name

if TYPE_CHECKING:
    from core.sources import Source
    from core.views import CompiledView, View

__all__ = ["Declaration", "bind_all", "check_once", "step_of"]

_Step = TypeVar("_Step")


@dataclass(frozen=True)
class Declaration(ABC):
    """`additive` says whether what is derived for new events changes nothing for older ones, and needs them
    for nothing: only then can a version be made from the one before it. A source may declare more than one of
    a class that says `several`. One that says `upon_derived` may read what those before it derive."""

    additive: ClassVar[bool] = False
    several: ClassVar[bool] = False
    upon_derived: ClassVar[bool] = False

    @abstractmethod
    def bind(self, columns: Mapping[str, str]) -> Self:
        """This declaration, checked against the columns (name -> type) that it may read.

        Raises `DefinitionError`, for a column that is not there with the nearest.
        """

    @property
    @abstractmethod
    def columns(self) -> Mapping[str, str]:
        """Derived columns, name -> type, that views may use. Asked of one that is bound."""

    @property
    @abstractmethod
    def reads(self) -> Sequence[str]:
        """Columns that are needed to derive them, besides the event's time."""

    def origins(self, column: str) -> Sequence[str]:
        """The columns whose values a derived one tells of: whoever may not see them may not see it."""
        return self.reads

    def views(self, source: "Source") -> Sequence["View"]:
        """Views that the source has by itself, for whoever reads what is declared."""
        return ()

    def objection(self, view: "CompiledView", source: "Source") -> str | None:
        """Why a view makes of the derived columns what nobody could keep right; None if it does not."""
        return None

    def of_event(self) -> Callable[[Mapping[str, Any]], Mapping[str, Any]] | None:
        """The derived columns as a function of an event's values, as its contract's decoder gives them; None
        where other events decide, too. Asked of one that is bound."""
        return None

    @property
    def meaning(self) -> Any:
        """All of it that changes what numbers mean, as JSON can hold it."""
        return repr(self)


def check_once(where: str, declares: Iterable[Declaration]) -> None:
    """Raise `DefinitionError` for what is no declaration, or of a class that stands there already."""
    seen = set[type]()
    for declared in declares:
        if not isinstance(declared, Declaration):
            raise DefinitionError(f"{where} declares {declared!r}, which is no Declaration")
        if type(declared) in seen and not declared.several:
            raise DefinitionError(f"{where} declares {type(declared).__name__} twice; keep one of them")
        seen.add(type(declared))


def bind_all(
    where: str, declares: Iterable[Declaration], columns: Mapping[str, str]
) -> tuple[tuple[Declaration, ...], dict[str, str]]:
    """Declarations bound to a contract's columns, and all columns that views may use. Those that are additive
    come last: what others make of events then goes through them like any event.

    Raises `DefinitionError`; a derived column that is named like another one is refused, whatever its case.
    """
    bound, known = list[Declaration](), dict(columns)
    try:
        for declared in sorted(declares, key=lambda one: one.additive):
            bound.append(declared.bind(known if declared.upon_derived else columns))
            for name, kind in bound[-1].columns.items():
                _check_free(declared, name, known)
                known[name] = kind
    except DefinitionError as error:
        error.add_note(f"in what {where} declares")
        raise
    return tuple(bound), known


def _check_free(declared: Declaration, name: str, known: Mapping[str, str]) -> None:
    check_name("derived column", name)
    twin = next((other for other in known if other.lower() == name.lower()), None)
    if twin is not None:
        raise DefinitionError(
            f"{declared!r} derives a column {name!r}, and there is {twin!r} already; rename the contract's"
        )


def step_of(layer: str, steps: Mapping[type[Declaration], _Step], declared: Declaration) -> _Step:
    """How a layer derives it. Raises `DefinitionError` for a class that its table does not know."""
    if type(declared) not in steps:
        known = ", ".join(sorted(kind.__name__ for kind in steps)) or "none"
        raise DefinitionError(f"the {layer} derives nothing of {declared!r}; it knows: {known}")
    return steps[type(declared)]
