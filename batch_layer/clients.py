"""Clients of Redis, built in one place; a worker of Spark builds one for itself and keeps it."""

from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from conf.clients import redis_options
from conf.settings import Settings

__all__ = ["RedisAddress"]

_clients: dict["RedisAddress", Redis] = {}


@dataclass(frozen=True)
class RedisAddress:
    """Where Redis is and how to log in; plain values that travel to the workers."""

    url: str
    options: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, settings: Settings) -> "RedisAddress":
        return cls(settings.redis_address, tuple(sorted(redis_options(settings).items())))

    def shared(self) -> Redis:
        """The client of this process, made once. It does not retry: whoever asks has a way out."""
        if self not in _clients:
            _clients[self] = Redis.from_url(self.url, **dict(self.options), retry=Retry(NoBackoff(), 0))
        return _clients[self]
