"""The speed state as the check of a publish sees it: where it stands, and that it is condemned."""

import json
from collections.abc import Sequence
from typing import Any, Protocol, cast

from redis import Redis
from redis.exceptions import RedisError

from batch_layer.clients import RedisAddress
from core.errors import FormatRefused, LambdaError
from core.handoff import Generation, Progress
from core.layout import Layout
from core.rebuilds import RebuildRequest
from core.standing import Standing

__all__ = ["NoSpeedState", "RedisSpeedState", "SpeedSilent", "SpeedState"]


class SpeedSilent(LambdaError):
    """The speed state cannot be read now, or there is none; the text says why."""


class SpeedState(Protocol):
    """The port. Every method raises SpeedSilent."""

    def place(self) -> tuple[RedisAddress, Layout]:
        """Where tasks find the fields."""
        ...

    def standing(self) -> Standing:
        """Of the generation that readers use."""
        ...

    def condemn(self, generation: str, reason: str) -> None:
        """No answer of the generation is complete from now on, and the speed job is to rebuild it."""
        ...


class NoSpeedState(SpeedState):
    """For a platform without a speed layer."""

    def place(self) -> tuple[RedisAddress, Layout]:
        raise SpeedSilent("there is no speed layer")

    def standing(self) -> Standing:
        raise SpeedSilent("there is no speed layer")

    def condemn(self, generation: str, reason: str) -> None:
        raise SpeedSilent("there is no speed layer")


class RedisSpeedState(SpeedState):
    """The state in Redis. Connects when it is asked."""

    def __init__(self, address: RedisAddress, layout: Layout) -> None:
        self.address, self.layout = address, layout

    def place(self) -> tuple[RedisAddress, Layout]:
        return self.address, self.layout

    def standing(self) -> Standing:
        try:
            return self._standing(self.address.shared())
        except (RedisError, FormatRefused) as error:
            raise SpeedSilent(str(error)) from error

    def condemn(self, generation: str, reason: str) -> None:
        request = RebuildRequest(generation, reason)
        try:
            client = self.address.shared()
            client.set(self.layout.of(generation, "condemned"), reason)
            client.set(self.layout.rebuild(), request.to_text())
        except RedisError as error:
            raise SpeedSilent(str(error)) from error

    def _standing(self, client: Redis) -> Standing:
        current = cast(bytes | None, client.get(self.layout.current()))
        if current is None:
            raise SpeedSilent("the speed layer has no state")
        meta = self._entry(client, current.decode(), "meta")
        if meta is None:
            raise SpeedSilent(f"generation {current.decode()} is gone")
        return self._of(client, Generation.from_json(meta))

    def _of(self, client: Redis, generation: Generation) -> Standing:
        """Stamps last, for they say what holds of all that was read before them."""
        progress = self._entry(client, generation.id, "progress")
        if progress is None:
            raise SpeedSilent(f"generation {generation.id} has no progress")
        condemned = cast(bytes | None, client.get(self.layout.of(generation.id, "condemned")))
        alive = bool(client.exists(self.layout.of(generation.id, "lease")))
        stamps = self._stamps(client, generation)
        return Standing(
            generation,
            Progress.from_json(progress),
            alive,
            condemned.decode() if condemned else None,
            [_whole(batch) for batch, _ in stamps],
            [_whole(floor) or 0 for _, floor in stamps],
        )

    def _stamps(self, client: Redis, generation: Generation) -> Sequence[Sequence[bytes | None]]:
        pipe = client.pipeline(transaction=False)
        for shard in range(generation.shards):
            pipe.hmget(self.layout.stamp(generation.id, shard), "batch", "floor")
        return cast(Sequence[Sequence[bytes | None]], pipe.execute())

    def _entry(self, client: Redis, generation: str, what: str) -> dict[str, Any] | None:
        text = cast(bytes | None, client.get(self.layout.of(generation, what)))
        return None if text is None else cast(dict[str, Any], json.loads(text))


def _whole(text: bytes | None) -> int | None:
    return None if text is None else int(text)
