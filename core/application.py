"""An application: the sources and views that a module defines, checked against their contracts."""

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from core.contracts import Contract
from core.corrections import check_company
from core.declarations import Declaration, bind_all
from core.errors import DefinitionError, DuplicateView
from core.identity import with_recounted
from core.semantics import Meaning, meaning_of
from core.sources import Source
from core.views import CompiledView, View, by_name, find


@dataclass(frozen=True)
class BoundSource:
    """A source with its contract, its compiled views, and what it declares, bound to the contract."""

    source: Source
    contract: Contract
    definitions: Mapping[str, View]
    views: Mapping[str, CompiledView]
    declarations: tuple[Declaration, ...] = ()

    @classmethod
    def of(cls, source: Source, contract: Contract, definitions: Mapping[str, View]) -> "BoundSource":
        """Checks declarations and views against the contract; raises `DefinitionError`."""
        check_company(source)
        declarations, columns = bind_all(f"source {source.name!r}", source.declares, contract.types)
        given = _with_own(source, declarations, definitions)
        views = {name: with_recounted(view.compile(columns), declarations) for name, view in given.items()}
        for declared, view in product(declarations, views.values()):
            if objection := declared.objection(view, source):
                raise DefinitionError(f"view {view.name!r}: {objection}")
        return cls(source, contract, given, views, declarations)

    @property
    def columns(self) -> dict[str, str]:
        """Name -> type of all that views may use: the contract's columns, and those that are derived."""
        return {**self.contract.types, **self.derived}

    @property
    def used(self) -> dict[str, str]:
        """Name -> type of the contract's columns that views read, or that others are derived from, and of the
        event's time."""
        derived = (one.reads for one in self.declarations if one.columns)
        read = {self.contract.event_time}.union(*(view.reads for view in self.views.values()), *derived)
        return {name: kind for name, kind in self.contract.types.items() if name in read}

    @property
    def derived(self) -> dict[str, str]:
        """Name -> type of the derived columns."""
        return {name: kind for declared in self.declarations for name, kind in declared.columns.items()}

    def derived_in(self, view: CompiledView) -> list[str]:
        """The derived columns that a view uses."""
        return [name for name in self.derived if name in view.reads]

    def deriving(self, view: CompiledView) -> list[Declaration]:
        """The declarations that say what an event is to a view, in their order: those whose columns it uses,
        those that these are derived from, and such as derive none, for they say which events count."""
        wanted, found = set(view.reads), list[Declaration]()
        for one in reversed(self.declarations):
            if not one.columns or not wanted.isdisjoint(one.columns):
                wanted.update(one.reads)
                found.insert(0, one)
        return found

    def needed_for(self, names: Iterable[str]) -> set[str]:
        """The contract's columns among these, and those that the derived ones among them are derived from."""
        wanted = set(names)
        for one in reversed(self.declarations):
            if not wanted.isdisjoint(one.columns):
                wanted.update(one.reads)
        return wanted & self.contract.types.keys()

    @property
    def personal(self) -> set[str]:
        """The columns, derived ones too, that tell what the contract classifies as personal."""
        found = {column.name for column in self.contract.columns if column.personal}
        for one in self.declarations:
            found |= {name for name in one.columns if not found.isdisjoint(one.origins(name))}
        return found

    def semantics(self, dedupe_window: int) -> str:
        return self.meaning(dedupe_window).semantics

    def meaning(self, dedupe_window: int) -> Meaning:
        return meaning_of(
            self.definitions.values(), self.contract.fingerprint, dedupe_window, self.source.declares
        )

    def view(self, name: str) -> CompiledView:
        """Raises `UnknownName` with the nearest."""
        view: CompiledView = find("view", name, self.views)
        return view


@dataclass(frozen=True)
class Application:
    """All that a module's `VIEWS` (and `SOURCES`, for sources without a view) define."""

    name: str
    sources: Mapping[str, BoundSource]

    @classmethod
    def load(cls, module: str, contracts: Path) -> "Application":
        """Import `module` and check every definition; raises `DefinitionError` or `ContractError`."""
        found = _import(module)
        views = by_name(getattr(found, "VIEWS", ()))
        sources = _sources([view.source for view in views.values()] + list(getattr(found, "SOURCES", ())))
        if not sources:
            raise DefinitionError(f"module {module!r} defines neither VIEWS nor SOURCES")
        return cls(module, {name: _bind(source, views, contracts) for name, source in sources.items()})

    def source(self, name: str | None = None) -> BoundSource:
        """The source of that name, or the only one; raises `UnknownName`."""
        if name is None and len(self.sources) == 1:
            return next(iter(self.sources.values()))
        bound: BoundSource = find("source", name or "", self.sources)
        return bound

    def owner(self, view: str) -> BoundSource:
        """The source that a view is of; raises `UnknownName` with the nearest view."""
        owners = {name: bound for bound in self.sources.values() for name in bound.views}
        bound: BoundSource = find("view", view, owners)
        return bound


def _with_own(
    source: Source, declarations: Sequence[Declaration], definitions: Mapping[str, View]
) -> dict[str, View]:
    """The views that are defined, and those that a source has by what it declares."""
    found = dict(definitions)
    for view in (view for declared in declarations for view in declared.views(source)):
        if found.setdefault(view.name, view) != view:
            raise DuplicateView(f"view {view.name!r} is what source {source.name!r} declares; rename yours")
    return found


def _import(module: str) -> object:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise DefinitionError(
            f"application module {module!r} cannot be imported ({error}); "
            "set LAMBDA_APPLICATION to a module on PYTHONPATH"
        ) from error


def _sources(given: Sequence[Source]) -> dict[str, Source]:
    """Sources by name; two that differ under one name would leave one of them without its views."""
    found: dict[str, Source] = {}
    for source in given:
        if found.setdefault(source.name, source) != source:
            raise DefinitionError(
                f"source {source.name!r} is defined twice: {found[source.name]} and {source}; "
                "define it once and use it in every view"
            )
    return found


def _bind(source: Source, views: Mapping[str, View], contracts: Path) -> BoundSource:
    path = contracts / f"{source.contract}.yaml"
    contract = Contract.load(path, source.event_id, source.event_time)
    own = {name: view for name, view in views.items() if view.source == source}
    return BoundSource.of(source, contract, own)
