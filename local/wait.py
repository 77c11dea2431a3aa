"""Waiting for servers: until they answer, with a line of progress now and then, never for ever.

`python -m local.wait kafka redis http://127.0.0.1:8000/readyz` waits for each in turn.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from redis import Redis
from redis.exceptions import RedisError

from conf.clients import kafka_options, redis_options
from conf.settings import Settings, get_settings
from core.errors import LambdaError
from local.errors import NotReady

__all__ = ["for_http", "for_kafka", "for_redis", "http_reason", "kafka_reason", "redis_reason", "until"]

SECONDS = 60.0
PROGRESS = 5.0


def until(
    check: Callable[[], str | None],
    what: str,
    seconds: float = SECONDS,
    *,
    log: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Waits until `check` gives None; a text is the reason why not yet. Raises NotReady after `seconds`."""
    start = spoke = clock()
    while (reason := check()) is not None:
        now = clock()
        if now - start >= seconds:
            raise NotReady(what, seconds, reason, log)
        if now - spoke >= PROGRESS:
            print(f"waiting for {what} ({now - start:.0f} s): {reason}", file=sys.stderr, flush=True)
            spoke = now
        sleep(0.2)


def for_kafka(settings: Settings, seconds: float = SECONDS) -> None:
    """Waits until a broker answers."""
    until(lambda: kafka_reason(settings), f"Kafka at {settings.bootstrap}", seconds)


def for_redis(settings: Settings, seconds: float = SECONDS) -> None:
    """Waits until Redis answers and has loaded what it keeps."""
    until(lambda: redis_reason(settings), f"Redis at {settings.redis_address}", seconds)


def for_http(url: str, seconds: float = SECONDS) -> None:
    """Waits until `url` answers with a status below 400."""
    until(lambda: http_reason(url), url, seconds)


def kafka_reason(settings: Settings) -> str | None:
    """None if a broker answers, else why not."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(**kafka_options(settings), bootstrap_timeout_ms=3000)
    except (KafkaError, OSError) as error:
        return repr(error)
    try:
        admin.list_topics()
    except (KafkaError, OSError) as error:
        return repr(error)
    finally:
        admin.close()
    return None


def redis_reason(settings: Settings) -> str | None:
    """None if Redis answers, else why not."""
    try:
        with Redis.from_url(settings.redis_address, **redis_options(settings)) as client:
            client.ping()
    except RedisError as error:
        return repr(error)
    return None


def http_reason(url: str) -> str | None:
    """None if `url` answers with a status below 400, else why not."""
    try:
        status = httpx.get(url, timeout=3).status_code
    except httpx.HTTPError as error:
        return repr(error)
    return None if status < 400 else f"status {status}"


def main(names: list[str]) -> int:
    try:
        for name in names:
            _wait(name, get_settings())
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _wait(name: str, settings: Settings) -> None:
    if name == "kafka":
        for_kafka(settings)
    elif name == "redis":
        for_redis(settings)
    else:
        for_http(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
