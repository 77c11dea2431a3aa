"""Series whose rows are known beforehand, rendered: what a version holds of them never changes.

The rows of a year are hundreds, and all but the newest are published. Those that hold something are kept as
JSON; those that hold nothing look alike for every key; rows that the speed state holds something of are made
anew whenever it holds something else.
"""

from asyncio import sleep
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from operator import is_
from typing import Any

from orjson import Fragment

from core.measures import Partial
from core.periods import Periods
from core.views import CompiledView
from serving_layer.answers import Evidence, document, grouped, rows_of, runs_of
from serving_layer.asking import Desk
from serving_layer.kept import Kept, weight
from serving_layer.moments import text_of
from serving_layer.ports import Bucketed, Index, Snapshot
from serving_layer.presenting import Presenter
from serving_layer.questions import Question
from serving_layer.rendering import to_json

__all__ = ["RenderedSeries", "Series"]

_ROWS, _FRAMES, _TOUCHED, _JOINED = 32 << 20, 8 << 20, 8 << 20, 8 << 20  # bytes
_AT_ONCE = 10  # rows
_OVERHEAD = 100  # bytes of an entry beside its text, roughly


@dataclass(frozen=True)
class RenderedSeries(Evidence):
    """What both layers said, and the JSON array of the rows."""

    rows: bytes = b"[]"


@dataclass(frozen=True)
class Published:
    """What a version holds of a series: JSON of each row that is not empty, up to its speed part."""

    tiles: int
    rows: dict[int, bytes]


@dataclass(frozen=True)
class Frame:
    """Rows that hold nothing; `speed` is what each ends with: its speed part."""

    rows: tuple[bytes, ...]
    nothing: bytes
    speed: bytes

    def begin(self, row: int) -> bytes:
        """A row up to its numbers."""
        return self.rows[row][: -len(self.nothing)]


def _kept_rows() -> Kept[Hashable, Published]:
    return Kept(_ROWS, lambda one: _OVERHEAD + sum(_OVERHEAD + len(row) for row in one.rows.values()))


def _kept_frames() -> Kept[Hashable, Frame]:
    return Kept(_FRAMES, lambda frame: sum(_OVERHEAD + len(row) for row in frame.rows))


@dataclass(frozen=True)
class Made:
    """JSON, and the very objects it was made of: what nothing was added to stays the object it was."""

    of: tuple[Any, ...]
    text: bytes

    def made_of(self, parts: Sequence[object]) -> bool:
        return len(parts) == len(self.of) and all(map(is_, parts, self.of))


def _kept_touched() -> Kept[Hashable, Made]:
    return Kept(_TOUCHED, lambda one: len(one.text) + sum(map(weight, one.of)))


def _kept_joined() -> Kept[Hashable, Made]:
    return Kept(_JOINED, lambda one: _OVERHEAD + len(one.text))


@dataclass(frozen=True)
class Series:
    """Answers series of one source, which have both a start and an end."""

    desk: Desk
    published: Kept[Hashable, Published] = field(default_factory=_kept_rows, repr=False)
    frames: Kept[Hashable, Frame] = field(default_factory=_kept_frames, repr=False)
    touched: Kept[Hashable, Made] = field(default_factory=_kept_touched, repr=False)
    joined: Kept[Hashable, Made] = field(default_factory=_kept_joined, repr=False)

    async def answer(self, question: Question) -> dict[str, Any]:
        """As `compose` of what the desk says, with the rows as JSON. Raises `IndexBroken`."""
        read = await self.ask(question)
        return document(question, read, Fragment(read.rows))

    async def ask(self, question: Question) -> RenderedSeries:
        """Raises `IndexBroken` where the batch part cannot be read."""
        assert question.every and question.edges, "a series without both ends has no rows beforehand"
        return await self.desk.settled(partial(self._gather, question, question.every, question.edges))

    async def _gather(
        self, question: Question, every: Periods, edges: Sequence[int], snapshot: Snapshot
    ) -> RenderedSeries:
        reading, silence = await self.desk.read_speed(question, snapshot.boundary)
        speed = reading.buckets if reading else None
        if snapshot.index is None or snapshot.manifest is None:
            batch, tiles, rows = None, 0, to_json(rows_of(question, None, speed, None))
        else:
            place = (
                snapshot.manifest.version, question.view.name, question.key_text, every, edges[0], edges[-1],
            )  # fmt: skip
            frame = self._frame(question, edges, speed is None)
            found = await self._published(place, question, edges, frame, snapshot.index)
            touched = dict(self._touched(place, question, edges, speed or (), snapshot.index))
            batch, tiles, rows = (), found.tiles, self._joined(place, frame, found, touched)
        return RenderedSeries(snapshot, self.desk.semantics, batch, reading, silence, tiles, rows=rows)

    def _frame(self, question: Question, edges: Sequence[int], silent: bool) -> Frame:
        place = (question.view.name, question.every, edges[0], edges[-1], silent)
        frame = self.frames.get(place)
        if frame is None:
            frame = _empty(question, edges, silent)
            self.frames.put(place, frame)
        return frame

    async def _published(
        self, place: Hashable, question: Question, edges: Sequence[int], frame: Frame, index: Index
    ) -> Published:
        found = self.published.get(place)
        if found is None:
            tiles = index.read(question.view, question.key_text, runs_of(question))
            found = Published(len(tiles), await _rendered(question.view, grouped(tiles, edges), frame))
            self.published.put(place, found)
        return found

    def _touched(
        self,
        place: Hashable,
        question: Question,
        edges: Sequence[int],
        speed: Sequence[Bucketed],
        index: Index,
    ) -> Iterator[tuple[int, bytes]]:
        """Rows that the speed state holds something of."""
        for row, partials in grouped(speed, edges).items():
            before = self.touched.get((place, row))
            if before is None or not before.made_of(partials):
                whole = _whole(question, (edges[row], edges[row + 1]), partials, index)
                before = Made(tuple(partials), whole)
                self.touched.put((place, row), before)
            yield row, before.text

    def _joined(
        self, place: Hashable, frame: Frame, published: Published, touched: Mapping[int, bytes]
    ) -> bytes:
        """All rows; a long series is long to copy together, so they are kept while each is what it was."""
        parts = (frame, published, *touched.values())
        before = self.joined.get(place)
        if before is None or not before.made_of(parts):
            before = Made(parts, _array(frame, published, touched))
            self.joined.put(place, before)
        return before.text


def _empty(question: Question, edges: Sequence[int], silent: bool) -> Frame:
    zero = to_json(question.view.present(question.view.zero))
    speed = b',"speed":%b}' % (b"null" if silent else zero)
    nothing = b'"measures":%b,"batch":%b%b' % (zero, zero, speed)
    texts = [text_of(edge, question.zone).encode() for edge in edges]
    rows = tuple(b'{"from":"%b","to":"%b",%b' % (start, end, nothing) for start, end in pairwise(texts))
    return Frame(rows, nothing, speed)


async def _rendered(
    view: CompiledView, groups: Mapping[int, list[Partial]], frame: Frame
) -> dict[int, bytes]:
    rows = dict[int, bytes]()
    for row, partials in groups.items():
        if len(rows) % _AT_ONCE == 0:
            await sleep(0)  # a year of sketches takes a while, in which other questions are to be answered
        numbers = to_json(view.present(partials[0] if len(partials) == 1 else view.merge_all(partials)))
        rows[row] = b'%b"measures":%b,"batch":%b' % (frame.begin(row), numbers, numbers)
    return rows


def _whole(question: Question, span: tuple[int, int], partials: list[Partial], index: Index) -> bytes:
    """A row of both layers."""
    runs = question.every.runs(span, question.view.tiles) if question.every else []
    batch = [one for _, one in index.read(question.view, question.key_text, runs)]
    return to_json(Presenter(question.view, None, question.zone).row(span, batch, partials))


def _array(frame: Frame, published: Published, touched: Mapping[int, bytes]) -> bytes:
    rows = list(frame.rows)
    for row, begun in published.rows.items():
        rows[row] = begun + frame.speed
    for row, whole in touched.items():
        rows[row] = whole
    return b"[" + b",".join(rows) + b"]"
