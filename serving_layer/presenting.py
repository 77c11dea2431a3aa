"""Rows as answers show them. What the same partials showed once is shown again without any work."""

from typing import Any

from core.measures import Partial
from core.views import CompiledView
from serving_layer.kept import Kept, weight
from serving_layer.moments import text_of

__all__ = ["Presenter", "Shown", "shown_before"]

Span = tuple[int | None, int | None]
Shown = Kept[tuple[int, ...], tuple[tuple[Partial, ...], dict[str, Any]]]
_LIMIT = 8 << 20


def shown_before() -> Shown:
    """What presenters of one process share, by the identity of partials, which it keeps alive."""
    return Kept(_LIMIT, lambda entry: 2000 + sum(map(weight, entry[0])))


class Presenter:
    """Shows rows of one view; what an empty row shows is worked out once."""

    def __init__(self, view: CompiledView, shown: Shown | None, zone: str = "UTC") -> None:
        self._view, self._zone = view, zone
        self._empty = view.present(view.zero)
        # numbers are shown faster than looked up; sketches are not
        sketches = any(measure.approximate for measure in view.measures.values())
        self._before = shown if sketches else None
        self._texts: dict[int | None, str | None] = {None: None}

    def row(self, span: Span, batch: list[Partial] | None, speed: list[Partial] | None) -> dict[str, Any]:
        """`batch` and `speed` are None for a layer that has nothing to say."""
        left, right = self._merged(batch), self._merged(speed)
        parts = [part for part in (left, right) if part is not None]
        whole = self._show(*parts)
        # what one layer alone holds is the whole
        alone = whole if len(parts) == 1 else None
        return {
            "from": self._text(span[0]),
            "to": self._text(span[1]),
            "measures": whole,
            **self._uncorrected(right),
            "batch": None if batch is None else self._part(left, alone),
            "speed": None if speed is None else self._part(right, alone),
        }

    def _uncorrected(self, speed: Partial | None) -> dict[str, Any]:
        """What the merged measures still hold of events that were corrected; nothing where all is right."""
        found = {} if speed is None else self._view.uncorrected(speed)
        return {"uncorrected": found} if found else {}

    def _part(self, part: Partial | None, alone: dict[str, Any] | None) -> dict[str, Any]:
        return self._empty if part is None else alone or self._show(part)

    def _text(self, moment: int | None) -> str | None:
        """Rows of several keys have the same ends, and rows of a series share theirs."""
        if moment is not None and moment not in self._texts:
            self._texts[moment] = text_of(moment, self._zone)
        return self._texts[moment]

    def _merged(self, found: list[Partial] | None) -> Partial | None:
        if not found:
            return None
        return found[0] if len(found) == 1 else self._view.merge_all(found)

    def _show(self, *parts: Partial) -> dict[str, Any]:
        if not parts:
            return self._empty
        place = tuple(map(id, parts))
        before = self._before.get(place) if self._before else None
        if before is not None and all(one is other for one, other in zip(before[0], parts, strict=True)):
            return before[1]
        shown = self._view.present(parts[0] if len(parts) == 1 else self._view.merge_all(parts))
        if self._before:
            self._before.put(place, (parts, shown))
        return shown
