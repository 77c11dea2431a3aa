"""The state of one source in Redis as the driver keeps it: generations, intents, progress, stamps, lease."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast
from uuid import uuid4

from redis import Redis

from core.handoff import Generation, Intent, Lease, Progress
from core.layout import Layout
from core.rebuilds import RebuildRequest
from speed_layer.faults import naming
from speed_layer.scripts import (
    ADVANCE,
    FLOOR,
    INTEND,
    LEAD,
    RELEASE,
    RENEW,
    STAMP,
    USE,
    Fence,
    run,
)

__all__ = ["LEASE_MILLISECONDS", "Server", "SpeedState"]

LEASE_MILLISECONDS = 5_000


@dataclass(frozen=True)
class Server:
    """What Redis says of itself: which life of it this is, its maxmemory-policy, how many keys it evicted."""

    run_id: str
    policy: str
    evicted: int


class SpeedState:
    """Every method raises `RedisAway`, `RedisFull` or `StateLost`; what writes a generation `Superseded` too.

    `token` stands for this job: a generation is written by the job that began or claimed it last.
    """

    def __init__(self, client: Redis, layout: Layout, token: str | None = None) -> None:
        self.client, self.layout, self.token = client, layout, token or uuid4().hex

    # --- which generation is what -------------------------------------------------------------------------

    def writing(self) -> str | None:
        """The generation that the job writes, and whose end its cuts stand at."""
        return self._text(self.layout.writing())

    def following(self) -> str | None:
        """The generation that is rebuilt beside it."""
        return self._text(self.layout.following())

    def current(self) -> str | None:
        """The generation that readers use."""
        return self._text(self.layout.current())

    def kept(self) -> set[str | None]:
        """Every generation that somebody needs."""
        return {self.current(), self.writing(), self.following()}

    def use(self, generation: str) -> None:
        """Readers use `generation` from now on. Raises `Superseded` unless it is the one that is written."""
        self._script(USE, [self.layout.writing(), self.layout.current()], [generation])

    def lead(self, former: str, generation: str, *, use: bool) -> None:
        """In one step `generation`, which followed, is the one that is written; readers move to it if `use`.

        Raises `Superseded` if neither it nor `former` is.
        """
        layout = self.layout
        keys = [layout.writing(), layout.following(), layout.rebuild(), layout.current()]
        self._script(LEAD, keys, [former, generation, int(use)])

    def begin(self, generation: Generation, progress: Progress, *, following: bool = False) -> None:
        """A new generation with nothing in it, which this job writes from now on, or rebuilds beside another.

        It is announced before there is anything of it, for what nobody announced is deleted.
        """
        layout = self.layout
        announced = layout.following() if following else layout.writing()
        stamp = {"batch": progress.batch, "floor": progress.floor, "token": self.token}
        with naming():
            self.client.set(announced, generation.id)
            pipe = self.client.pipeline(transaction=False)
            pipe.set(layout.of(generation.id, "meta"), json.dumps(generation.to_json()))
            pipe.set(layout.of(generation.id, "writer"), self.token)
            for shard in range(generation.shards):
                pipe.hset(layout.stamp(generation.id, shard), mapping=cast(dict[Any, Any], stamp))
            pipe.set(layout.of(generation.id, "progress"), json.dumps(progress.to_json()))
            pipe.execute()

    def claim(self, generation: Generation) -> None:
        """From now on this job alone may write the generation. What it holds is to be read after this."""
        with naming():
            pipe = self.client.pipeline(transaction=False)
            pipe.set(self.layout.of(generation.id, "writer"), self.token)
            for shard in range(generation.shards):
                pipe.hset(self.layout.stamp(generation.id, shard), "token", self.token)
            pipe.execute()

    def rival(self) -> tuple[str, Lease] | None:
        """The generation that is written, and its lease, if another job vouches for it."""
        writing = self.writing()
        if writing is None or self._text(self.layout.of(writing, "writer")) == self.token:
            return None
        lease = self._entry(writing, "lease")
        return None if lease is None else (writing, Lease(**lease))

    def generations(self) -> Sequence[str]:
        """Every generation of the source that left a trace."""
        head = self.layout.current().removesuffix("current")
        with naming():
            keys = [key.decode() for key in self.client.scan_iter(self.layout.of("*", "meta"), count=1000)]
        found = [key.removeprefix(head).removesuffix(":meta") for key in keys]
        return [generation for generation in found if ":" not in generation]

    # --- a request to rebuild -----------------------------------------------------------------------------

    def requested(self) -> RebuildRequest | None:
        text = self._text(self.layout.rebuild())
        return None if text is None else RebuildRequest.from_text(text)

    def request(self, request: RebuildRequest) -> RebuildRequest:
        """The request that stands from now on: this one, or one that asks for the same already."""
        standing = self.requested()
        if standing is not None and standing.replace == request.replace:
            return standing
        with naming():
            self.client.set(self.layout.rebuild(), request.to_text())
        return request

    def withdraw(self) -> None:
        """Nothing is rebuilt any more; what was built so far is deleted with the next round."""
        with naming():
            self.client.delete(self.layout.rebuild(), self.layout.following())

    # --- what a generation holds --------------------------------------------------------------------------

    def meta(self, generation: str) -> Generation | None:
        entry = self._entry(generation, "meta")
        return Generation.from_json(entry) if entry else None

    def progress(self, generation: str) -> Progress | None:
        entry = self._entry(generation, "progress")
        return Progress.from_json(entry) if entry else None

    def intent(self, generation: str) -> Intent | None:
        entry = self._entry(generation, "intent")
        return Intent.from_json(entry) if entry else None

    def lease(self, generation: str) -> Lease | None:
        entry = self._entry(generation, "lease")
        return Lease(**entry) if entry else None

    def stamps(self, generation: Generation) -> list[int | None]:
        """The micro-batch that each shard holds; None for a shard that is gone."""
        with naming():
            pipe = self.client.pipeline(transaction=False)
            for shard in range(generation.shards):
                pipe.hget(self.layout.stamp(generation.id, shard), "batch")
            return [None if held is None else int(held) for held in pipe.execute()]

    def intend(self, generation: str, intent: Intent) -> None:
        self._write(INTEND, generation, "intent", json.dumps(intent.to_json()))

    def advance(self, generation: str, progress: Progress) -> None:
        self._write(ADVANCE, generation, "progress", json.dumps(progress.to_json()))

    def renew(self, generation: str, lease: Lease) -> None:
        self._write(RENEW, generation, "lease", json.dumps(asdict(lease)), LEASE_MILLISECONDS)

    def release(self, generation: str) -> None:
        """This job does not vouch for the generation any more."""
        self._write(RELEASE, generation, "lease")

    def stamp(self, generation: Generation, batch: int) -> None:
        """Every shard holds micro-batch `batch` now; raises `StateLost` unless each held the one before."""
        fence = Fence(batch, self.token).arguments
        with naming():
            run(self.client, STAMP, [([key], fence) for key in self._stamps(generation)], at_once=64)

    def raise_floor(self, generation: Generation, floor: int) -> None:
        """No shard answers for segments below `floor` from now on."""
        arguments = [self.token, floor]
        with naming():
            run(self.client, FLOOR, [([key], arguments) for key in self._stamps(generation)], at_once=64)

    def condemn(self, generation: Generation) -> None:
        """No shard of the generation takes or vouches for anything from now on, whoever starts again when."""
        with naming():
            self.client.delete(*self._stamps(generation))

    def server(self) -> Server:
        with naming():
            said = self.client.info()
        return Server(
            str(said["run_id"]), str(said.get("maxmemory_policy", "unknown")), int(said["evicted_keys"])
        )

    def _stamps(self, generation: Generation) -> list[str]:
        return [self.layout.stamp(generation.id, shard) for shard in range(generation.shards)]

    def _write(self, script: str, generation: str, what: str, *arguments: str | int) -> None:
        keys = [self.layout.of(generation, "writer"), self.layout.of(generation, what)]
        self._script(script, keys, [self.token, *arguments])

    def _script(self, script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> None:
        with naming():
            run(self.client, script, [(keys, arguments)])

    def _text(self, key: str) -> str | None:
        with naming():
            held = cast(bytes | None, self.client.get(key))
        return None if held is None else held.decode()

    def _entry(self, generation: str, what: str) -> dict[str, Any] | None:
        text = self._text(self.layout.of(generation, what))
        return None if text is None else cast(dict[str, Any], json.loads(text))
