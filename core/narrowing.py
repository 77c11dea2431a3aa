"""Some of a view's measures: what an answer shows of them, from partials that hold all of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from core.errors import UnknownName
from core.measures import Partial
from core.views import CompiledView

__all__ = ["cutter", "narrowed"]


def narrowed(view: CompiledView, names: Sequence[str]) -> CompiledView:
    """The view with these measures alone, in this order; raises `UnknownName`."""
    unknown = next((name for name in names if name not in view.measures), None)
    if unknown is not None:
        raise UnknownName("measure", unknown, view.measures)
    recounted = tuple(name for name in names if name in view.recounted)
    return replace(view, measures={name: view.measures[name] for name in names}, recounted=recounted)


def cutter(view: CompiledView, names: Sequence[str]) -> Callable[[Partial], Partial]:
    """Makes partials of the view to partials of `narrowed(view, names)`."""
    if list(names) == list(view.measures):
        return lambda partial: partial
    wanted = [view.places[name] for name in names]
    return lambda partial: tuple(value for places in wanted for value in partial[places])
