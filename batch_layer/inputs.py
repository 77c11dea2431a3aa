"""What all views together ask of an event: each expression once, in a column of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.folds import input_sql
from core.views import CompiledView

__all__ = ["SECONDS", "Asked", "ask"]

SECONDS = "seconds"


@dataclass(frozen=True)
class Asked:
    """The columns that one view needs: of its key's parts, of its measures' inputs, and of its condition."""

    view: CompiledView
    parts: tuple[str, ...]
    measures: tuple[str | None, ...]
    where: str | None

    @property
    def key(self) -> str:
        """The column with the text of the view's key."""
        return f"key:{self.view.name}"

    @property
    def place(self) -> str:
        """The column with the part of the index that an event goes to; -1 if the view does not take it."""
        return f"part:{self.view.name}"

    @property
    def columns(self) -> list[str]:
        """All that the view's folds read, apart from the time."""
        return [self.key, self.place, *self.inputs]

    @property
    def inputs(self) -> list[str]:
        """Columns of inputs, each once."""
        return list(dict.fromkeys(name for name in self.measures if name is not None))


def ask(events: DataFrame, views: Sequence[CompiledView]) -> tuple[DataFrame, list[Asked]]:
    """Events as `SECONDS` since 1970 and the columns that views ask of them."""
    names = dict[str, str]()

    def name(sql: str | None) -> str | None:
        return None if sql is None else names.setdefault(sql, f"c{len(names)}")

    names[f"unix_seconds({views[0].event_time})"] = SECONDS
    asked = [
        Asked(
            view,
            tuple(str(name(part.sql)) for part in view.key.values()),
            tuple(name(input_sql(measure)) for measure in view.measures.values()),
            name(None if view.where == "true" else f"coalesce({view.where}, false)"),
        )
        for view in views
    ]
    return events.select(*[F.expr(sql).alias(column) for sql, column in names.items()]), asked
