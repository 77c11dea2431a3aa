"""A state made by hand, and one API process over it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conf.settings import Settings
from core.application import Application, BoundSource
from local import wait
from local.child import running
from local.tools import free_port

__all__ = ["standing"]


@contextmanager
def standing(
    folder: Path, fill: Callable[[Settings, BoundSource], None]
) -> Iterator[tuple[Settings, BoundSource]]:
    """Redis and one API process, while the block runs, over what `fill` writes once Redis is there."""
    settings = Settings(
        data_dir=folder, redis_port=free_port(), api_port=free_port(), api_workers=1, kafka_port=free_port()
    )
    bound = Application.load(settings.application, settings.contracts_dir).source()
    with running([sys.executable, "-m", "local.redis"], folder / "redis.log", settings.environment()):
        wait.for_redis(settings)
        fill(settings, bound)
        with running([sys.executable, "-m", "serving_layer"], folder / "api.log", settings.environment()):
            wait.for_http(f"{settings.api_url}/healthz")
            yield settings, bound
