"""Several keys read at once: those that are named, those of a page, those that are ranked."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from core.keys import INDEX_PREFIX, INDEX_TEXT_LIMIT, index_text
from core.narrowing import cutter
from core.views import CompiledView
from serving_layer.answers import Evidence, runs_of
from serving_layer.asking import Desk
from serving_layer.listings import Page, Prefix, Ranking
from serving_layer.persons import names_person
from serving_layer.ports import (
    Bucketed,
    Choose,
    Listed,
    ReadKeys,
    Snapshot,
    SpeedReading,
    SpeedSilent,
    SpeedStore,
    TooManyHashes,
)  # fmt: skip
from serving_layer.problems import Problem
from serving_layer.queries import Query
from serving_layer.questions import Question

__all__ = ["Gathered", "KeysDesk"]

_KEYS = 50  # read from the index before other requests have their turn
_NAMES = 1_000
Parts = Mapping[str, Sequence[Bucketed]]
Spoken = tuple[SpeedReading | None, Parts | None, str | None]


@dataclass(frozen=True)
class Gathered(Evidence):
    """What the two layers said of `keys`, in the order of the index; `batch` and `speed` are without buckets.

    Partials hold the measures that were asked for, alone. `more`: the `index_text` behind which more keys
    lie. `unnamed` counts keys of which the index has no name. `wholes`: which key stands for one asked for.
    """

    keys: Sequence[str] = ()
    batch_of: Parts | None = None
    speed_of: Parts | None = None
    more: bytes | None = None
    unnamed: int = 0
    wholes: Mapping[str, str] = field(default_factory=dict)


class _Names:
    """The first `most` keys of the index and of the speed state, in one order and each once."""

    def __init__(self, indexed: Sequence[Listed], after: bytes | None, most: int) -> None:
        self._indexed, self._after, self._most = indexed, after, most
        self.found: list[Listed] | None = None
        self.more = False

    def choose(self, touched: Collection[str]) -> list[str]:
        places: dict[bytes, str | None] = dict(self._indexed)
        for key in touched:
            place = index_text(key)
            if self._after is None or place > self._after:
                places[place] = key
        ordered = sorted(places.items(), key=lambda each: each[0])
        self.found, self.more = ordered[: self._most], len(ordered) > self._most
        return self.keys

    @property
    def listed(self) -> list[Listed]:
        """Those of the index alone where there was no speed state to choose from."""
        if self.found is None:
            self.choose(())
        return self.found or []

    @property
    def keys(self) -> list[str]:
        """Those that have a name."""
        return [key for _, key in self.listed if key is not None]


@dataclass(frozen=True)
class KeysDesk:
    """Asks a desk about several keys; a ranking may read `ranked` of them.

    Every method raises `IndexBroken` where the batch part cannot be read.
    """

    desk: Desk
    ranked: int

    async def ask(self, query: Query) -> Gathered:
        """One trip to each store."""
        return await self.desk.settled(query.question.view, partial(self._named, query))

    async def page(self, page: Page) -> Gathered:
        """Raises `Problem` where the speed state has more keys than are listed."""
        return await self.desk.settled(page.prefix.question.view, partial(self._page, page))

    async def rank(self, ranking: Ranking) -> Gathered:
        """Every key of the prefix. Raises `Problem` if these are more than a ranking may read."""
        gather = partial(self._all, ranking.prefix, [ranking.measure])
        return await self.desk.settled(ranking.prefix.question.view, gather)

    async def _named(self, query: Query, snapshot: Snapshot, speed: SpeedStore) -> Gathered:
        question = query.question
        wholes = {text: speed.whole(question.view, text) for text in query.texts}
        keys = sorted(set(wholes.values()), key=index_text)
        span = (question.first, question.last)
        spoken = await _heard(speed.read_many(question.view, keys, span, snapshot.boundary, question.every))
        found = await self._gathered(question, query.measures, keys, snapshot, spoken)
        return replace(found, wholes=wholes)

    async def _page(self, page: Page, snapshot: Snapshot, speed: SpeedStore) -> Gathered:
        prefix, view, index = page.prefix, page.prefix.question.view, snapshot.index
        text = speed.whole(view, prefix.text)
        after = _behind(view, text, page.cursor.after if page.cursor else None, speed)
        indexed = index.keys(view, text, after, page.limit + 1) if index else []
        names = _Names(indexed, after, page.limit)
        spoken = await self._listed(prefix, snapshot, speed, names.choose)
        found = await self._gathered(prefix.question, list(view.measures), names.keys, snapshot, spoken)
        more = names.listed[-1][0] if names.more else None
        return replace(found, more=more, unnamed=len(names.listed) - len(names.keys))

    async def _all(
        self, prefix: Prefix, measures: Sequence[str], snapshot: Snapshot, speed: SpeedStore
    ) -> Gathered:
        names = _Names(await self._indexed(prefix, snapshot), None, self.ranked)

        def all_or_none(touched: Collection[str]) -> list[str]:
            keys = names.choose(touched)
            if names.more:
                raise self._too_many(prefix)
            return keys

        spoken = await self._listed(prefix, snapshot, speed, all_or_none)
        found = await self._gathered(prefix.question, measures, names.keys, snapshot, spoken)
        return replace(found, unnamed=len(names.listed) - len(names.keys))

    async def _indexed(self, prefix: Prefix, snapshot: Snapshot) -> list[Listed]:
        found: list[Listed] = []
        after, view = None, prefix.question.view
        while snapshot.index and (some := snapshot.index.keys(view, prefix.text, after, _NAMES)):
            found += some
            after = some[-1][0]
            if len(found) > self.ranked:
                raise self._too_many(prefix)
            await asyncio.sleep(0)
        return found

    async def _listed(self, prefix: Prefix, snapshot: Snapshot, speed: SpeedStore, choose: Choose) -> Spoken:
        question = prefix.question
        span, text = (question.first, question.last), speed.whole(question.view, prefix.text)
        return await _heard(
            speed.read_listed(question.view, text, span, snapshot.boundary, choose, question.every)
        )

    async def _gathered(
        self,
        question: Question,
        measures: Sequence[str],
        keys: Sequence[str],
        snapshot: Snapshot,
        spoken: Spoken,
    ) -> Gathered:
        reading, speed_of, silence = spoken
        batch_of, tiles = await _batch(question, measures, keys, snapshot)
        return Gathered(
            snapshot, self.desk.semantics, None, reading, silence, tiles, keys, batch_of,
            None if speed_of is None else _cut(question, measures, speed_of),
        )  # fmt: skip

    def _too_many(self, prefix: Prefix) -> Problem:
        view = prefix.question.view
        given = ", ".join(prefix.parts) or "none"
        detail = (
            f"more than {self.ranked} keys of view {view.name!r} would have to be ranked: name more parts "
            f"of the key ({', '.join(view.key)}; given: {given}), or raise LAMBDA_RANKED_KEYS"
        )
        missing = next((name for name in view.key if name not in prefix.parts), "by")
        return Problem.of_field("too-many-keys", missing, None, f"at most {self.ranked} keys", detail)


def _behind(view: CompiledView, text: str, after: bytes | None, speed: SpeedStore) -> bytes | None:
    """Where a page goes on. In the list of one person that was called by another id on the page before, this
    is the same key under the id of now; of keys too long to be told the list begins anew."""
    if after is None or not names_person(view, text) or after.startswith(text.encode()[:INDEX_PREFIX]):
        return after
    return index_text(speed.whole(view, after.decode())) if len(after) < INDEX_TEXT_LIMIT else None


async def _heard(reading: Awaitable[ReadKeys]) -> Spoken:
    try:
        return (*await reading, None)
    except SpeedSilent as error:
        return None, None, str(error)
    except TooManyHashes as error:
        raise Problem("keys-unlisted", str(error), headers={"Retry-After": "60"}) from error


async def _batch(
    question: Question, measures: Sequence[str], keys: Sequence[str], snapshot: Snapshot
) -> tuple[Parts | None, int]:
    """The batch part by key, and of how many tiles. A version never changes, so it may be read in pieces."""
    if snapshot.index is None:
        return None, 0
    view, runs, found, tiles = question.view, runs_of(question), dict[str, Sequence[Bucketed]](), 0
    for at in range(0, len(keys), _KEYS):
        some = snapshot.index.read_many(view, keys[at : at + _KEYS], runs)
        tiles += sum(map(len, some.values()))
        found |= _cut(question, measures, some)
        await asyncio.sleep(0)
    return found, tiles


def _cut(question: Question, measures: Sequence[str], parts: Parts) -> Parts:
    view = question.view
    if list(measures) == list(view.measures):
        return parts
    cut = cutter(view, measures)
    return {key: [(bucket, cut(one)) for bucket, one in found] for key, found in parts.items()}
