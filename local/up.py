"""`python -m local.up [NAMES]`: the platform, or some of it, in the foreground; Ctrl-C stops all of it."""

import sys
import time

from conf.settings import get_settings
from core.errors import LambdaError
from local.fetch import fetch
from local.platform import Platform
from local.signals import Told, interruptible


def main(names: list[str]) -> int:
    try:
        with interruptible():
            return _run(names)
    except LambdaError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Told):
        print("stopped", file=sys.stderr)
        return 0


def _run(names: list[str]) -> int:
    settings = get_settings()
    fetch(settings)
    with Platform(settings, names or None) as platform:
        print(_summary(platform), flush=True)
        _watch(platform)
    return 0


def _summary(platform: Platform) -> str:
    settings = platform.settings
    lines = [
        f"Kafka      {settings.bootstrap}",
        f"Redis      {settings.redis_address}",
        f"API        {settings.api_url}/docs",
        f"logs       {settings.logs_dir}",
        f"processes  {', '.join(platform.processes)}",
        "Ctrl-C stops all of it.",
    ]
    return "\n".join(lines)


def _watch(platform: Platform) -> None:
    """Says whatever changes, for ever."""
    before: dict[str, str] = {}
    while True:
        now = {name: status.state for name, status in platform.status().items()}
        for name in [name for name in now if before and now[name] != before[name]]:
            print(f"{name}: {before[name]} -> {now[name]}", file=sys.stderr, flush=True)
        before = now
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
