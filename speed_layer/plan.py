"""What a micro-batch computes for every view: one projection in SQL, and who reads which column of it.

The projection has each distinct expression once. Spark evaluates it, so that an expression has one meaning in
both layers; the folds over its columns are in Python, where a small micro-batch costs least.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.corrections import Corrections
from core.declarations import Declaration
from core.keys import columns_in
from core.measures import Measure
from core.packing import Codec
from core.views import CompiledView

__all__ = ["NOTE", "POSITION", "SEGMENT", "SIGN", "Plan", "ViewPlan"]

SEGMENT, NOTE, POSITION, SIGN = "_segment", "_note", "_position", "_sign"


@dataclass(frozen=True)
class ViewPlan:
    """The columns of one view: its key's text, bucket, condition (None: all events), measures' inputs."""

    name: str
    width: int
    key: str
    bucket: str
    where: str | None
    measures: tuple[Measure, ...]
    inputs: tuple[str, ...]

    @property
    def codec(self) -> Codec:
        return Codec(tuple(slot for measure in self.measures for slot in measure.slots))


@dataclass(frozen=True)
class Plan:
    """`projection` maps columns to SQL over event columns; `columns` are the contract's columns that it, or
    what derives the others, reads. `signed` says that there are events which are taken back."""

    views: tuple[ViewPlan, ...]
    projection: Mapping[str, str]
    columns: tuple[str, ...]
    signed: bool = False

    @classmethod
    def of(cls, views: Mapping[str, CompiledView], declarations: Sequence[Declaration] = ()) -> "Plan":
        """For views over a contract's columns and those that bound declarations derive."""
        found = _Projection()
        plans = tuple(_view(view, found) for view in views.values())
        derived = {name for declared in declarations for name in declared.columns}
        used = {name for sql in found.columns for name in columns_in(sql)}
        columns = sorted(used.union(*(declared.reads for declared in declarations)) - derived)
        signed = any(isinstance(declared, Corrections) for declared in declarations)
        return cls(plans, {name: sql for sql, name in found.columns.items()}, tuple(columns), signed)

    def select(self) -> list[str]:
        """Expressions for `selectExpr` over decoded events."""
        signs = [SIGN] if self.signed else []
        return [SEGMENT, NOTE, *signs, *(f"{sql} as {name}" for name, sql in self.projection.items())]


@dataclass
class _Projection:
    columns: dict[str, str] = field(default_factory=dict)

    def column(self, sql: str) -> str:
        return self.columns.setdefault(sql, f"c{len(self.columns)}")


def _view(view: CompiledView, found: _Projection) -> ViewPlan:
    measures = tuple(view.measures.values())
    return ViewPlan(
        name=view.name,
        width=view.width,
        key=found.column(view.key_sql),
        bucket=found.column(view.bucket_sql),
        where=None if view.where == "true" else found.column(view.where),
        measures=measures,
        inputs=tuple(found.column(measure.row_sql(measure.sql)) for measure in measures),
    )
