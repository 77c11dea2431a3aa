"""The state of one source in Redis as the driver keeps it: generations, intents, progress, stamps, lease."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from redis import Redis

from core.handoff import Generation, Intent, Lease, Progress
from core.layout import Layout
from speed_layer.faults import naming
from speed_layer.scripts import STAMP, run

__all__ = ["LEASE_MILLISECONDS", "SpeedState"]

LEASE_MILLISECONDS = 5_000


class SpeedState:
    """Every method raises `RedisAway`, `RedisFull` or `StateLost`."""

    def __init__(self, client: Redis, layout: Layout) -> None:
        self.client, self.layout = client, layout

    def writing(self) -> str | None:
        """The generation that the job writes."""
        return self._text(self.layout.writing())

    def current(self) -> str | None:
        """The generation that readers use."""
        return self._text(self.layout.current())

    def use(self, generation: str) -> None:
        """Readers use `generation` from now on."""
        with naming():
            self.client.set(self.layout.current(), generation)

    def meta(self, generation: str) -> Generation | None:
        entry = self._entry(generation, "meta")
        return Generation.from_json(entry) if entry else None

    def progress(self, generation: str) -> Progress | None:
        entry = self._entry(generation, "progress")
        return Progress.from_json(entry) if entry else None

    def intent(self, generation: str) -> Intent | None:
        entry = self._entry(generation, "intent")
        return Intent.from_json(entry) if entry else None

    def begin(self, generation: Generation, progress: Progress) -> None:
        """A new generation with nothing in it, which the job writes from now on."""
        with naming():
            pipe = self.client.pipeline(transaction=False)
            for shard in range(generation.shards):
                stamp = {"batch": progress.batch, "floor": progress.floor}
                pipe.hset(self.layout.stamp(generation.id, shard), mapping=cast(dict[Any, Any], stamp))
            pipe.set(self.layout.of(generation.id, "progress"), json.dumps(progress.to_json()))
            pipe.set(self.layout.of(generation.id, "meta"), json.dumps(generation.to_json()))
            pipe.execute()
            self.client.set(self.layout.writing(), generation.id)

    def intend(self, generation: str, intent: Intent) -> None:
        with naming():
            self.client.set(self.layout.of(generation, "intent"), json.dumps(intent.to_json()))

    def advance(self, generation: str, progress: Progress) -> None:
        with naming():
            self.client.set(self.layout.of(generation, "progress"), json.dumps(progress.to_json()))

    def stamp(self, generation: Generation, batch: int) -> None:
        """Every shard holds micro-batch `batch` now; raises `StateLost` unless each held the one before."""
        keys = [self.layout.stamp(generation.id, shard) for shard in range(generation.shards)]
        with naming():
            run(self.client, STAMP, [([key], [batch - 1, batch]) for key in keys], at_once=64)

    def stamps(self, generation: Generation) -> list[int | None]:
        """The micro-batch that each shard holds; None for a shard that is gone."""
        with naming():
            pipe = self.client.pipeline(transaction=False)
            for shard in range(generation.shards):
                pipe.hget(self.layout.stamp(generation.id, shard), "batch")
            return [None if held is None else int(held) for held in pipe.execute()]

    def raise_floor(self, generation: Generation, floor: int) -> None:
        """No shard answers for segments below `floor` from now on."""
        with naming():
            pipe = self.client.pipeline(transaction=False)
            for shard in range(generation.shards):
                pipe.hset(self.layout.stamp(generation.id, shard), "floor", str(floor))
            pipe.execute()

    def renew(self, generation: str, lease: Lease) -> None:
        text = json.dumps(asdict(lease))
        with naming():
            self.client.set(self.layout.of(generation, "lease"), text, px=LEASE_MILLISECONDS)

    def release(self, generation: str) -> None:
        """Nobody vouches for the generation any more."""
        with naming():
            self.client.delete(self.layout.of(generation, "lease"))

    def run_id(self) -> str:
        """Which life of the Redis server this is."""
        with naming():
            return str(self.client.info("server")["run_id"])

    def eviction(self) -> str:
        """The server's maxmemory-policy."""
        with naming():
            return str(self.client.info("memory").get("maxmemory_policy", "unknown"))

    def generations(self) -> Sequence[str]:
        """Every generation of the source that left a trace."""
        head = self.layout.current().removesuffix("current")
        with naming():
            keys = [key.decode() for key in self.client.scan_iter(self.layout.of("*", "meta"), count=1000)]
        found = [key.removeprefix(head).removesuffix(":meta") for key in keys]
        return [generation for generation in found if ":" not in generation]

    def _text(self, key: str) -> str | None:
        with naming():
            held = cast(bytes | None, self.client.get(key))
        return None if held is None else held.decode()

    def _entry(self, generation: str, what: str) -> dict[str, Any] | None:
        text = self._text(self.layout.of(generation, what))
        return None if text is None else cast(dict[str, Any], json.loads(text))
