"""A range of time made anew after a mistake was mended: all other rows stay, and the speed layer goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_layer import contents
from batch_layer.base import Base
from batch_layer.run import BatchRun
from core.cuts import Cut
from core.manifest import Manifest
from core.modes import Span, check_backfill, check_not_superseded, differences, superseded_by, whole_tiles
from core.views import CompiledView

__all__ = ["Backfill"]


@dataclass(frozen=True)
class Backfill:
    """Buckets of [start, end), in seconds since 1970, of some views; of all if none is named.

    `reason` vouches that a meaning that changed changes no number outside the range.
    """

    start: int
    end: int
    views: tuple[str, ...] = ()
    reason: str | None = None

    def publish(self, run: BatchRun) -> Manifest:
        """A version with the boundary of the one that readers use.

        Raises NotExact if rows that stay would be wrong, LeaseHeld if another batch job runs.
        """
        with run.lease():
            return self._publish(run)

    def _publish(self, run: BatchRun) -> Manifest:
        began, publications = run.clock(), run.folders.publications()
        parent, current = publications.current(), publications.resolve()
        check_not_superseded(current, run.semantics)
        views = self._views(run)
        check_backfill(current, run.workshop.meaning, [view.name for view in views], self.reason)
        assert current is not None
        run.log.info("backfill_began", version=current.version, range=str(self._span(views)))
        manifest = self._make(run, current, views)
        run.publish(manifest, parent, began)
        return manifest

    def _make(self, run: BatchRun, current: Manifest, views: Sequence[CompiledView]) -> Manifest:
        archived = run.archived(Cut(current.boundary, current.offsets))
        base, span = Base(run.spark, run.folders, current), self._span(views)
        try:
            content = contents.backfill(
                archived,
                base,
                views,
                span,
                run.settings.index_partitions,
                self._statement(run, current, span),
            )
            return run.make(content, archived, current, superseded_by(current, run.semantics))
        finally:
            run.spark.catalog.clearCache()

    def _views(self, run: BatchRun) -> list[CompiledView]:
        return [run.bound.view(name) for name in self.views] or list(run.bound.views.values())

    def _span(self, views: Sequence[CompiledView]) -> Span:
        return whole_tiles(self.start, self.end, max(view.tiles[-1] for view in views))

    def _statement(self, run: BatchRun, base: Manifest, span: Span) -> Mapping[str, Any] | None:
        """What an operator vouched for; None where nothing had to be."""
        changed = differences(base, run.workshop.meaning)
        if not changed:
            return None
        return {
            "base": base.version, "semantics": base.semantics, "changed": changed, "outside": str(span),
            "reason": self.reason, "at": run.now().isoformat(),
        }  # fmt: skip
