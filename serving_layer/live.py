"""Live answers: one watcher for a process looks at what changed, and asks anew only for what that concerns.

A round looks at each source that somebody listens to: which publish is in use, what is to be said of the
speed state as a whole, which keys were touched. A question is asked once, however many listen to it. While
nobody listens, nothing is looked at.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from core.logs import Logger, get_logger
from serving_layer.changes import Changes, Look
from serving_layer.interests import Interest
from serving_layer.listeners import Given, Group, Listener, answer_event, problem_event
from serving_layer.ports import IndexBroken, SpeedSilent, Versions
from serving_layer.problems import Problem, document_of
from serving_layer.rendering import iso

__all__ = ["Live", "Watched"]

PAUSE = 0.2  # seconds between two rounds
_AT_ONCE = 4  # questions under way: others that are asked meanwhile wait for no more than these

Ask = Callable[[str, Given], Awaitable[Mapping[str, Any]]]
Concern = Callable[[str, Given], Interest]


@dataclass(frozen=True)
class Watched:
    """What can be seen of one source."""

    versions: Versions
    changes: Changes

    async def look(self, groups: Collection[Group]) -> tuple[Hashable, Look]:
        """What concerns every answer, and what was touched; never raises for what is away."""
        interests = {group.interest for group in groups}
        try:
            snapshot = self.versions.current()
            manifest = snapshot.manifest
            publish = (snapshot.pointer, manifest and manifest.version, snapshot.notes)
            return publish, await self.changes.look(interests, manifest)
        except IndexBroken:
            return "no batch view can be read", Look(None)
        except SpeedSilent:
            return publish, Look("no speed state can be read")


class Live:
    """The listeners of one process, at most `limit`. `heartbeat` is in seconds; `clock` gives seconds."""

    def __init__(
        self,
        ask: Ask,
        concern: Concern,
        watched: Mapping[str, Watched],
        limit: int,
        heartbeat: float,
        clock: Callable[[], float] = time.monotonic,
        log: Logger | None = None,
    ) -> None:
        self._ask, self._concern, self._watched, self._limit = ask, concern, watched, limit
        self._heartbeat, self._clock, self._log = heartbeat, clock, log or get_logger("live")
        self._groups: dict[tuple[str, Given], Group] = {}
        self._beats_at: dict[Listener, float] = {}  # the next one to beat first
        self._standing: dict[str, Hashable] = {}
        self._stopped = False
        self._wanted = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._beats_at)

    async def join(self, source: str, view: str, given: Given, last: str | None) -> Listener:
        """A listener that has its first answer; `leave` must be called. `last` is the id of what it knows.

        Raises `Problem` where the question cannot be answered or too many listen, and `IndexBroken`.
        """
        self._refuse()
        place = (view, tuple(sorted(given)))
        group = self._groups.setdefault(place, Group(source, *place, self._concern(*place)))
        listener = Listener(group, last)
        group.listeners.add(listener)
        self._beats_at[listener] = self._clock() + self._heartbeat
        try:
            await self._first(group, listener)
        except BaseException:
            self.leave(listener)
            raise
        self._wanted.set()
        return listener

    def leave(self, listener: Listener) -> None:
        """May be called twice."""
        group = listener.group
        self._beats_at.pop(listener, None)
        group.listeners.discard(listener)
        place = (group.view, group.given)
        if not group.listeners and self._groups.get(place) is group:
            del self._groups[place]

    def start(self) -> None:
        self._wanted = asyncio.Event()  # of this event loop, which need not be that of a former start
        self._watcher = asyncio.create_task(self._run())
        self._watcher.add_done_callback(self._over)

    def end(self) -> None:
        """End every stream, and refuse new ones: their clients come back to another process."""
        self._stopped = True
        self._end_all()

    def _end_all(self) -> None:
        for listener in self._beats_at:
            listener.end()

    async def stop(self) -> None:
        self.end()
        if self._watcher:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher

    async def round(self) -> None:
        """One look at each source, and new answers to whoever they concern."""
        for source, watched in self._watched.items():
            groups = [group for group in self._groups.values() if group.source == source]
            if groups:
                await self._look(source, watched, groups)
        self._beat()

    async def _run(self) -> None:
        while True:
            if not self._beats_at:
                self._wanted.clear()
                await self._wanted.wait()
            await self.round()
            await asyncio.sleep(PAUSE)

    def _over(self, watcher: "asyncio.Task[None]") -> None:
        """A watcher that failed is a bug: rather no stream than one that tells nothing."""
        if not watcher.cancelled() and (error := watcher.exception()):
            self._log.error("live_failed", reason=repr(error))
            self._end_all()
            self.start()

    def _refuse(self) -> None:
        if self._stopped or self.listeners >= self._limit:
            why = "this process stops" if self._stopped else f"{self._limit} listen to this process already"
            text = f"{why}; connect again in a few seconds, or raise LAMBDA_LIVE_LISTENERS"
            raise Problem("too-many-listeners", text, headers={"Retry-After": "5"}, listeners=self.listeners)

    async def _first(self, group: Group, listener: Listener) -> None:
        async with group.asking:
            if group.event is None:
                await self._asked(group)
            else:
                listener.beat()  # that answer may have been read long ago

    async def _look(self, source: str, watched: Watched, groups: Collection[Group]) -> None:
        looked_for = {group: group.interest for group in groups}
        publish, look = await watched.look(groups)
        standing = (publish, look.standing)
        moved, self._standing[source] = standing != self._standing.get(source), standing
        concerned = [
            group
            for group in groups
            if moved or not group.looked_at or looked_for[group] in look.touched or self._slid(group)
        ]
        as_of, asked = iso(look.as_of), set(concerned)
        for group in groups:
            if group not in asked:
                group.as_of = as_of
        for at in range(0, len(concerned), _AT_ONCE):
            await asyncio.gather(*map(self._renew, concerned[at : at + _AT_ONCE]))

    def _slid(self, group: Group) -> bool:
        """Whether a question that counts back from now is about another range by now."""
        if not group.slides:
            return False
        former = group.interest
        with suppress(Problem):  # asked anew, it says what is wrong with it now
            group.interest = self._concern(group.view, group.given)
            return former != group.interest
        return True

    async def _renew(self, group: Group) -> None:
        """Raises nothing for what is wrong with a question: whoever listens is told."""
        group.looked_at = True
        async with group.asking:
            try:
                await self._asked(group)
            except Problem as problem:
                group.put(problem_event(document_of(problem, group.path)))
            except IndexBroken as error:
                group.put(problem_event(document_of(Problem("index-unavailable", str(error)), group.path)))

    async def _asked(self, group: Group) -> None:
        interest = self._concern(group.view, group.given)  # first, for a range may move on meanwhile
        answer = await self._ask(group.view, group.given)
        # of a person the answer has found out under which keys the speed state has it
        group.interest = replace(interest, keys=self._concern(group.view, group.given).keys)
        group.as_of = answer["as_of"]
        group.put(answer_event(answer))

    def _beat(self) -> None:
        now = self._clock()
        while self._beats_at:
            listener, due = next(iter(self._beats_at.items()))
            if due > now:
                return
            del self._beats_at[listener]
            self._beats_at[listener] = now + self._heartbeat
            listener.beat()
